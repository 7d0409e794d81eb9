"""Measures what a trained sentence classifier adds to the rules, and where its thresholds should be.

    python benchmarks/sentence_classifier.py --data ../shared/data
    python benchmarks/sentence_classifier.py --data ../shared/data --encoder FOLDER   # an encoder beside it

The folder holds `openi_reports/metadata.csv` and `sentence_labels/sentences.csv`. Everything is learnt from
the Open-I reports with even numbers, the hand-labelled sentences and their near-duplicates left out.
Thresholds are chosen on those reports (table 1) and measured on the others and on the hand labels. See
docs/classifier.md.
"""

import argparse
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offclip.reports import Conventions, ReportLabeller, RuleLabeller, SentenceLabel
from offclip.reports.classifier.combine import ClassifierLabeller, ProbabilityModel, Thresholds, combine
from offclip.reports.classifier.encoder_fit import fit_encoder
from offclip.reports.classifier.features import near_duplicate_key
from offclip.reports.classifier.fit import cross_validate_hand, fit_linear
from offclip.reports.classifier.metrics import agreement as probability_agreement
from offclip.reports.classifier.settings import EncoderConfig, FitConfig, LinearConfig
from offclip.reports.classifier.training_set import (
    HandLabel,
    TrainingSet,
    make_training_set,
    split_validation,
)
from report_labels import REPORTS, SENTENCES, agreement, read_reports, read_rows

FOLDS = 5
LEVELS = (0.3, 0.4, 0.5, 0.7, 0.8, 0.9, 0.95)
NEVER = 2.0


@dataclass(frozen=True)
class Material:
    """What all measurements share."""

    reports: list[tuple[int, str, bool]]
    hand: list[HandLabel]
    even: list[str]  # unique sentences of even reports, near-duplicates of hand-labelled ones left out


def read_material(data: Path) -> Material:
    """Read reports and hand labels."""
    reports = read_reports(data / REPORTS)
    rows = read_rows(data / SENTENCES)
    hand = [HandLabel(row["sentence"], row["label"], row["idx"]) for row in rows]  # pyright: ignore
    near_hand = {near_duplicate_key(item.sentence) for item in hand}
    even: dict[str, None] = {}
    label = ReportLabeller()
    for uid, text, _ in reports:
        if uid % 2 == 0:
            even.update(dict.fromkeys(s.text for s in label(text).sentences))
    return Material(reports, hand, [s for s in even if near_duplicate_key(s) not in near_hand])


def withheld_findings(material: Material, rules: RuleLabeller, regularisation: float) -> None:
    """Table 1: findings that the lexicon is made not to know, so that their sentences are undecided.

    A fifth of the findings at a time is struck out: a sentence that asserts only such findings is not taught.
    What the classifier says of it is what it would say of a finding that the lexicon lacks.
    """
    labels = {sentence: rules(sentence) for sentence in material.even}
    abnormal, normal = [], []
    unsure = {"uncertain, by hand": [], "non-finding, by rule": []}
    hand_unsure = [item.sentence for item in material.hand if item.label == "uncertain"]
    for fold in range(FOLDS):
        hidden = [s for s in material.even if only_names(labels[s], fold)]
        left = set(material.even) - set(hidden)
        non_finding = [
            s for s in left if labels[s].label == "uncertain" and zlib.crc32(s.encode()) % FOLDS == fold
        ]
        near = {near_duplicate_key(s) for s in (*hidden, *non_finding)}
        data = make_training_set((s for s in left if near_duplicate_key(s) not in near), rules)
        model = fit_linear(data, LinearConfig(regularisation=regularisation))
        chances = model.probabilities(hidden)
        abnormal.append(chances[:, 2])
        normal.append(chances[:, 0])
        unsure["uncertain, by hand"].append(model.probabilities(hand_unsure)[:, 2])
        unsure["non-finding, by rule"].append(model.probabilities(non_finding)[:, 2])
    found, missed = np.concatenate(abnormal), np.concatenate(normal)
    others = {name: np.concatenate(parts) for name, parts in unsure.items()}
    print(
        f"1. findings unknown to the rules, C = {regularisation:g}: {len(found)} abnormal sentences, "
        "share at p >= t"
    )
    for level in LEVELS:
        shares = "  ".join(f"{name} called abnormal {(p >= level).mean():.3f}" for name, p in others.items())
        print(
            f"   t {level:.2f}  recognised as abnormal {(found >= level).mean():.3f}  "
            f"called normal {(missed >= level).mean():.3f}  {shares}"
        )


def only_names(label: SentenceLabel, fold: int) -> bool:
    """Whether the sentence is abnormal by findings of this fold alone."""
    names = {m.finding for m in label.mentions if m.status in ("asserted", "hedged")}
    return bool(names) and all(zlib.crc32(name.encode()) % FOLDS == fold for name in names)


def hand_labels(material: Material, rules: RuleLabeller) -> None:
    """Table 2: cross-validation on the hand labels."""
    data = make_training_set(material.even, rules, material.hand)
    found = cross_validate_hand(data, rules, FitConfig(), LinearConfig(), lambda _: None)
    if found:
        print(
            f"2. hand labels, cross-validated, n {found.classifier.sentences}: rules {found.rules:.4f}  both "
            f"{found.combined:.4f}  classifier alone {found.classifier.accuracy:.4f} "
            f"{found.classifier.recall}  calibration error {found.classifier.calibration_error:.4f}"
        )


def held_out(data: TrainingSet) -> None:
    """Table 3: agreement with the rules on held-out sentences."""
    held = split_validation(data, 0.1, 0)
    model, judged = fit_linear(data.subset(~held), LinearConfig()), data.subset(held)
    found = probability_agreement(model.probabilities(judged.sentences), judged.targets)
    print(f"3. rules, held-out sentences: {found}")


def variants(material: Material, rules: RuleLabeller, model: ProbabilityModel, name: str) -> None:
    """Table 4: ways to combine rules and classifier, on odd reports and on hand labels; none was taught."""
    odd = [report for report in material.reports if report[0] % 2]
    sentences = sorted({s.text for _, text, _ in odd for s in ReportLabeller()(text).sentences})
    hand = [item.sentence for item in material.hand]
    known = {
        text: row
        for part in (sentences, hand)
        for text, row in zip(part, model.probabilities(part), strict=True)
    }
    undecided = sum(rules(sentence).reason == "undecided" for sentence in sentences)
    print(f"4. {name}: {len(odd)} odd reports, {len(sentences)} different sentences, {undecided} undecided")
    recall_first = RuleLabeller(conventions=Conventions(undecided="abnormal"))
    rows = [
        ("rules", rules, Thresholds(abnormal_from=NEVER, normal_from=NEVER)),
        *((f"abnormal from {t}", rules, Thresholds(abnormal_from=t)) for t in (0.7, 0.8, 0.9, 0.95)),
        *((f"non-finding from {t}", rules, Thresholds(non_finding_from=t)) for t in (0.8, 0.9)),
        *((f"veto from {t}", rules, Thresholds(veto_from=t)) for t in (0.9, 0.95)),
        ("recall-first rules", recall_first, None),
        *(
            (f"recall-first from {t}", recall_first, Thresholds(recall_first_from=t))
            for t in (0.1, 0.2, 0.3, 0.4, 0.5)
        ),
    ]
    for title, by_rule, thresholds in rows:
        labeller = Looked(by_rule, known, thresholds)
        label = ReportLabeller(labeller)
        labels = [label(text) for _, text, _ in odd]
        right = [labeller(item.sentence).label == item.label for item in material.hand]
        print(f"   {title:22s} {agreement(odd, labels)}  hand labels {sum(right)}/{len(right)}")


class Looked:
    """Rules and probabilities that were computed before; `thresholds` None is the rules alone."""

    def __init__(
        self, rules: RuleLabeller, known: dict[str, NDArray[np.float32]], thresholds: Thresholds | None
    ) -> None:
        self.rules, self.known, self.thresholds = rules, known, thresholds

    def __call__(self, sentence: str) -> SentenceLabel:
        """Label one sentence."""
        label = self.rules(sentence)
        if self.thresholds is None:
            return label
        return combine(label, self.known[sentence], self.thresholds, self.rules.conventions.undecided)


def speed(sentences: Sequence[str], rules: RuleLabeller, model: ProbabilityModel) -> None:
    """Table 5: sentences per second, best of 3."""
    labeller = ClassifierLabeller(model, rules)
    for name, run in (
        ("classifier, every sentence", lambda: model.probabilities(sentences)),
        ("rules", lambda: [rules(sentence) for sentence in sentences]),
        ("both, the classifier for what is undecided", lambda: labeller.label_many(sentences)),
    ):
        best = float("inf")
        for _ in range(3):
            begin = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - begin)
        print(f"5. speed, {name}: {len(sentences) / best:,.0f} sentences/s")


def main() -> int:
    """Run the benchmark; exit status 2 where the data is absent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the data sets")
    parser.add_argument("--encoder", help="folder or id of a text encoder to fine-tune beside it")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of the encoder")
    parser.add_argument("--learning-rate", type=float, default=5e-5, help="peak learning rate of the encoder")
    arguments = parser.parse_args()
    missing = [str(arguments.data / p) for p in (REPORTS, SENTENCES) if not (arguments.data / p).is_file()]
    if missing:
        print(f"{missing[0]} is not there. Give the folder that holds it with --data PATH.", file=sys.stderr)
        return 2
    rules = RuleLabeller()
    material = read_material(arguments.data)
    data = make_training_set(material.even, rules)
    print(f"even reports: {data.counts()}, {data.undecided} undecided, hand-labelled sentences apart")
    for regularisation in (1.0, 10.0):
        withheld_findings(material, rules, regularisation)
    hand_labels(material, rules)
    held_out(data)
    linear = fit_linear(data, LinearConfig())
    variants(material, rules, linear, "linear")
    speed(material.even, rules, linear)
    if arguments.encoder:
        settings = EncoderConfig(
            arguments.encoder, epochs=arguments.epochs, learning_rate=arguments.learning_rate, max_length=64
        )
        begin = time.perf_counter()
        fitted = fit_encoder(material.even, rules, settings)
        print(f"encoder: {fitted.report.steps}, {time.perf_counter() - begin:.0f} s")
        print(f"encoder, held-out sentences: {fitted.report.validation}")
        variants(material, rules, fitted.model, "encoder")
        speed(material.even[:1000], rules, fitted.model)
    return 0


if __name__ == "__main__":
    sys.exit(main())

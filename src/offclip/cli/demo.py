"""`offclip demo`."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import polars as pl
from rich import box
from rich.table import Table

from offclip.cli.console import console, progress_bar
from offclip.demo import QUICK, DemoSettings, demo
from offclip.evaluation.ablation import summarise

# Short enough for five columns on a terminal of 80.
HEADINGS = {
    "infonce": "InfoNCE",
    "off-diagonal": "off-diag.\nonly",
    "offclip": "OFF-CLIP",
    "multi-positive": "multi-pos.",
}
MEASURES = {
    "normal_auc": "normal AUC",
    "worst_prompt_normal_auc": "... worst prompt",
    "neg_max_finding_auc": "... -max(finding)",
    "abnormal_auc": "abnormal AUC",
    "abnormal_auc_among_abnormals": "... among abnorm.",
    "fpr_at_95_sensitivity": "FPR at 95 % sens.",
    "false_findings_per_normal": "false find./normal",
    "pointing_accuracy": "pointing",
    "pointing_chance": "... by chance",
}


def run_demo(out: Path | None, *, quick: bool, seeds: int, workers: int) -> None:
    """Runs the demonstration with a progress bar; ends with the table and the path of the report."""
    began = time.monotonic()
    out = out or Path("demo-quick" if quick else "demo")
    settings = QUICK if quick else DemoSettings(seeds=seeds)
    settings = dataclasses.replace(settings, workers=workers)
    with progress_bar("starting", percent=True) as update:

        def tell(stage: str, share: float, note: str) -> None:
            update(round(share * 100), 100, stage, note)

        result = demo(out, settings, tell)
    console().print(results_table(result.table))
    print(f"Synthetic data; mean ± sd over {settings.seeds} seed(s). {time.monotonic() - began:.0f} s.")
    print(f"Results: {result.results}")
    print(f"Report:  {result.report.absolute()}")


def results_table(table: pl.DataFrame) -> Table:
    """The ablation as the terminal shows it: a column a variant, a row a measure."""
    shown = Table(title="What OFF-CLIP changes (test phantoms)", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    shown.add_column("", no_wrap=True)
    variants = list(summarise(table).iter_rows(named=True))
    for variant in variants:
        filtering = "\n+ filter" if variant["filter"] and variant["objective"] != "offclip" else ""
        shown.add_column(HEADINGS[variant["objective"]] + filtering, justify="right", no_wrap=True)
    for column, name in MEASURES.items():
        shown.add_row(
            name, *(_mean_and_spread(variant[column], variant[f"{column}_sd"]) for variant in variants)
        )
    return shown


def _mean_and_spread(mean: float | None, spread: float | None) -> str:
    if mean is None:
        return "-"
    # .912 instead of 0.912: five columns must fit on a terminal of 80.
    digits = 3 if mean < 1 else 2
    return "±".join(f"{value:.{digits}f}".removeprefix("0") for value in (mean, spread) if value is not None)

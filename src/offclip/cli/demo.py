"""`offclip demo`."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import polars as pl
from rich.table import Table

from offclip.cli.console import console, progress_bar
from offclip.demo import QUICK, DemoSettings, demo
from offclip.evaluation.ablation import ABLATION, summarise
from offclip.evaluation.run import COLUMNS

SHORT = {
    "normal_auc": "normal\nAUC",
    "worst_prompt_normal_auc": "worst\nprompt",
    "neg_max_finding_auc": "-max\nfinding",
    "abnormal_auc": "abnormal\nAUC",
    "abnormal_auc_among_abnormals": "among\nabnormals",
    "fpr_at_95_sensitivity": "FPR at\n95 % sens.",
    "false_findings_per_normal": "false find.\n/ normal",
    "pointing_accuracy": "pointing",
    "pointing_chance": "chance",
}


def run_demo(out: Path, *, quick: bool, seeds: int, workers: int) -> None:
    """Runs the demonstration with a progress bar; ends with the table and the path of the report."""
    began = time.monotonic()
    settings = QUICK if quick else DemoSettings(seeds=seeds)
    settings = dataclasses.replace(settings, workers=workers)
    out = out / "quick" if quick else out
    with progress_bar("starting") as update:

        def tell(stage: str, share: float, note: str) -> None:
            update(round(share * 1000), 1000, stage, note)

        result = demo(out, settings, tell)
    console().print(results_table(result.table))
    console().print(
        f"Synthetic data; mean ± sd over {settings.seeds} seed(s). {time.monotonic() - began:.0f} s."
    )
    console().print(f"Results: {result.results}")
    console().print(f"Report:  {result.report.absolute()}")


def results_table(table: pl.DataFrame) -> Table:
    """The ablation as the terminal shows it."""
    names = {(variant.objective, variant.filter_sentences): variant.name for variant in ABLATION}
    shown = Table(title="What OFF-CLIP changes (test phantoms)")
    shown.add_column("objective")
    for column in COLUMNS:
        shown.add_column(SHORT[column], justify="right")
    for row in summarise(table).iter_rows(named=True):
        cells = []
        for column in COLUMNS:
            mean, spread = row[column], row[f"{column}_sd"]
            cells.append(
                "-" if mean is None else f"{mean:.3f}" if spread is None else f"{mean:.3f}±{spread:.3f}"
            )
        shown.add_row(names[row["objective"], row["filter"]], *cells)
    return shown

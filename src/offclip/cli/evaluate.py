"""`offclip evaluate`."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from offclip.cli.console import console, progress_bar, report_skipped
from offclip.evaluation.run import evaluate


def run_evaluate(run: Path, data: Path, out: Path, split: str) -> None:
    """Evaluates with a progress bar and prints the columns of the results table."""
    with progress_bar("reading") as update:
        result = evaluate(
            run, data, out, split=split, on_progress=lambda what, done, total: update(done, total, what)
        )
    table = Table(title=f"{run} on {data}, split {split}, {len(result.scores.image_ids):,} images")
    table.add_column("measure")
    table.add_column("value", justify="right")
    for name, value in result.row().items():
        table.add_row(name.replace("_", " "), "not measurable" if value is None else f"{value:.3f}")
    console().print(table)
    if result.classification.left_out:
        print(f"Without both classes, so not in the means: {', '.join(result.classification.left_out)}")
    report_skipped(result.skipped, out / "skipped.csv")
    print(f"Wrote {out}/results.json, scores.csv, pointing.csv")

"""`offclip evaluate`."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from offclip.cli.console import console, progress_bar, report_skipped
from offclip.errors import ConfigError
from offclip.evaluation.run import evaluate
from offclip.models.carzero.scoring import PRECISIONS, ScoringOptions


def run_evaluate(
    run: Path, data: Path, out: Path, split: str, precision: str | None, cache: Path | None
) -> None:
    """Evaluates with a progress bar and prints the columns of the results table."""
    scoring = make_scoring(precision, cache)
    with progress_bar("reading") as update:

        def tell(what: str, done: int, total: int) -> None:
            update(done, total, what)

        result = evaluate(run, data, out, split=split, scoring=scoring, on_progress=tell)
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


def make_scoring(precision: str | None, cache: Path | None) -> ScoringOptions | None:
    """How a CARZero model scores; None when nothing was asked for.

    Raises:
        ConfigError: The precision is unknown.
    """
    if precision is None and cache is None:
        return None
    wanted = precision or "fp32"
    if wanted not in PRECISIONS:
        raise ConfigError(f"--precision {precision} is unknown.", f"Known: {', '.join(PRECISIONS)}.")
    return ScoringOptions(PRECISIONS[PRECISIONS.index(wanted)], cache=cache)

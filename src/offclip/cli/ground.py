"""`offclip ground`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from offclip.cli.console import console, progress_bar, report_skipped
from offclip.evaluation.grounding import GroundingResult, ground
from offclip.evaluation.grounding.run import rule_in_words
from offclip.evaluation.statistics.bootstrap import Resampling
from offclip.evaluation.statistics.estimate import Estimate

_CHECKED = {
    "insertion_gain": "insertion, above random",
    "deletion_gain": "deletion, below random",
    "insertion_rank": "random orders beaten by insertion",
    "deletion_rank": "random orders beaten by deletion",
}


def run_ground(
    model: Path,
    data: Path,
    out: Path,
    split: str,
    methods: Sequence[str],
    rule: str,
    tolerance: float,
    resamples: int,
    seed: int,
    *,
    faithfulness: bool,
    sanity: bool,
) -> None:
    """Measures with a progress bar and prints a table with a column a kind of map."""
    with progress_bar("reading") as update:

        def tell(what: str, done: int, total: int) -> None:
            update(done, total, what)

        result = ground(
            model,
            data,
            out,
            methods=methods or None,
            split=split,
            tolerance=tolerance,
            rule=rule,
            faithfulness=faithfulness,
            sanity=sanity,
            resampling=Resampling(resamples, seed),
            on_progress=tell,
        )
    first = next(iter(result.methods.values())).overall
    title = f"{model} on {data}, split {split}: {first.maps:,} maps of {first.patients:,} patients"
    console().print(_table(result, title))
    print(f"Pointing game: {rule_in_words(result.rule)}.")
    for name, method in result.methods.items():
        print(f"{name}: cut at {method.cut or 'nothing'}, chosen by {method.cut_from}.")
    for name, found in result.sanity.items():
        print(
            f"{name}: {found.verdict} (mean absolute rank correlation with the maps of shuffled weights "
            f"{found.spearman_absolute:.2f}, {found.maps} maps)."
        )
    report_skipped(result.skipped, out / "grounding_skipped.csv")
    print(f"Wrote {out}/grounding.json, grounding.csv")


def _table(result: GroundingResult, title: str) -> Table:
    table = Table(title=title)
    table.add_column("mean over findings")
    for name in result.methods:
        table.add_column(name, justify="right")
    overall = [method.overall for method in result.methods.values()]
    rows: dict[str, list[Estimate | float | None]] = {
        "pointing game: hit": [m.hit for m in overall],
        "pointing game: chance": [m.chance for m in overall],
        "mean IoU": [m.miou for m in overall],
        "Dice": [m.dice for m in overall],
    }
    for level in overall[0].iou_at:
        rows[f"share of maps with IoU >= {level}"] = [m.iou_at[level] for m in overall]
    rows["contrast-to-noise ratio"] = [m.cnr for m in overall]
    rows["energy in the region"] = [m.energy for m in overall]
    rows["share of the image in the region"] = [m.energy_chance for m in overall]
    for field, name in _CHECKED.items() if result.faithfulness else ():
        rows[name] = [getattr(found, field) for found in result.faithfulness.values()]
    for name, values in rows.items():
        table.add_row(name, *map(_cell, values))
    return table


def _cell(value: Estimate | float | None) -> str:
    if value is None:
        return "not measurable"
    if isinstance(value, Estimate):
        return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"
    return f"{value:.3f}"

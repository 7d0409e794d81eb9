"""`offclip ground`: heat maps against boxes and masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offclip.cli.console import console, report_skipped, stage_bar
from offclip.cli.measuring import MODEL_HELP, ProtocolName, Root
from offclip.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from offclip.evaluation.grounding import GroundingResult
    from offclip.evaluation.statistics.estimate import Estimate

_CHECKED = {
    "insertion_gain": "insertion, above random",
    "deletion_gain": "deletion, below random",
    "insertion_rank": "random orders beaten by insertion",
    "deletion_rank": "random orders beaten by deletion",
}


def ground(
    run: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)],
    data: Annotated[
        Path | None, typer.Option(help="Folder with boxes.csv or masks.csv and the image table.")
    ] = None,
    protocol: ProtocolName = None,
    root: Root = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("grounding"),
    split: Annotated[str, typer.Option(help="With --data: split that is reported.")] = "test",
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="With --data: similarity, attention, gradient-attention or grad-cam; may be repeated.",
            show_default="all that the model has",
        ),
    ] = None,
    rule: Annotated[str, typer.Option(help="With --data, of the pointing game: centre or peer.")] = "centre",
    tolerance: Annotated[
        float,
        typer.Option(
            min=0, help="With --data, of the pointing game: below 1 a share of the longer side, else pixels."
        ),
    ] = 0.0,
    faithfulness: Annotated[
        bool, typer.Option("--faithfulness", help="Play insertion and deletion as well.")
    ] = False,
    sanity: Annotated[
        bool, typer.Option("--sanity", help="Shuffle the weights: do the maps depend on the model at all?")
    ] = False,
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples of the patients.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of resamples, folds and random orders.")] = 0,
) -> None:
    """Measure heat maps against boxes and masks.

    Example: [bold]offclip ground runs/first --data phantom --out grounding[/bold]
    """
    if (data is None) == (root is None) or (root is None) != (protocol is None):
        raise ConfigError(
            f"The model {run} needs either --data, or --protocol with --root.", "Give one of them."
        )
    from offclip.evaluation.grounding import ground as ground_folder
    from offclip.evaluation.grounding import ground_protocol
    from offclip.evaluation.protocols.load import load_protocol
    from offclip.evaluation.statistics.bootstrap import Resampling

    with stage_bar("reading") as tell:
        common = {"faithfulness": faithfulness, "sanity": sanity, "on_progress": tell}
        resampling = Resampling(resamples, seed)
        if data is not None:
            result = ground_folder(
                run,
                data,
                out,
                methods=method or None,
                split=split,
                tolerance=tolerance,
                rule=rule,
                resampling=resampling,
                **common,
            )
        else:
            chosen = load_protocol(protocol or "")
            result = ground_protocol(
                run, root or Path(), out, protocol=chosen, resampling=resampling, **common
            )
    print_grounding(result, f"{run} on {data or root}, split {split}", out)


def print_grounding(result: GroundingResult, title: str, out: Path) -> None:
    """Prints a table with a column a kind of map, and what the checks say."""
    from offclip.evaluation.grounding.run import rule_in_words

    first = next(iter(result.methods.values())).overall
    counted = f"{first.maps:,} maps of {first.patients:,} patients"
    console().print(_table(result, f"{title}: {counted}"))
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
    from rich.table import Table

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
    from offclip.evaluation.statistics.estimate import Estimate

    if value is None:
        return "not measurable"
    if isinstance(value, Estimate):
        return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"
    return f"{value:.3f}"

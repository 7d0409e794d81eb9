"""`offclip data check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offclip.cli.data.terms import Root, SetName, Variant

if TYPE_CHECKING:
    from offclip.data.datasets.checking.check import CheckReport

_PROBLEMS_FOUND = 1


def check(
    name: SetName,
    root: Root,
    option: Variant = "",
    pixels: Annotated[
        bool, typer.Option("--pixels", help="Read every image too: unreadable ones, equal ones.")
    ] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, help="With --pixels, read so many images, spread over the set.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that read images.", show_default="one a core")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for check.json and problems.csv with every problem.")
    ] = None,
) -> None:
    """Say what is missing, doubled, unreadable, contradictory or leaked in the files of a public set.

    Nothing is changed. The exit code is 0 when all is well and 1 when there is a problem.

    Example: [bold]offclip data check vindr-cxr --root /data/vindr-cxr/1.0.0 --pixels --sample 500[/bold]
    """
    from offclip.cli.console import progress_bar
    from offclip.cli.data.terms import print_terms, require_root
    from offclip.data.datasets.catalogue import card_of
    from offclip.data.datasets.checking.check import check as check_set
    from offclip.errors import ConfigError

    if sample is not None and not pixels:
        raise ConfigError("--sample goes with --pixels.", "Give --pixels too, or leave --sample out.")
    card = card_of(name)
    require_root(card, root)
    print_terms(card)
    with progress_bar("reading") as update:

        def tell(stage: str, done: int, total: int | None) -> None:
            update(done, total, stage)

        report = check_set(
            name,
            root,
            option=option,
            pixels=pixels,
            sample=sample,
            workers=workers,
            out=out,
            on_progress=tell,
        )
    print_report(report, out)
    if not report.clean:
        raise typer.Exit(_PROBLEMS_FOUND)


def print_report(report: CheckReport, out: Path | None) -> None:
    """Prints what a check found."""
    from rich.table import Table

    from offclip.cli.console import console
    from offclip.data.datasets.preparation.fingerprint import SHORT

    counts = Table(title=report.name)
    for heading in ("", "listed", "on disk", "published"):
        counts.add_column(heading, justify="right" if heading else "left")
    published = {entry.name: entry for entry in report.published}
    for what in ("images", "studies", "patients", "reports", "boxes"):
        stated = f"{published[what].published:,}" if what in published else ""
        if what in report.listed:
            counts.add_row(what, f"{report.listed[what]:,}", f"{report.on_disk[what]:,}", stated)
    for name, entry in published.items():
        if name not in report.listed:
            found = "not counted" if entry.found is None else f"{entry.found:,}"
            counts.add_row(name, found, "", f"{entry.published:,}")
    if counts.row_count:
        console().print(counts)
    if report.opened:
        print(f"{report.opened:,} images were read.")
    for note in report.notes:
        print(note)
    if report.problems:
        problems = Table(title="problems")
        for heading in ("problem", "number", "the first"):
            problems.add_column(heading, justify="right" if heading == "number" else "left", overflow="fold")
        for group in report.problems:
            first = group.first
            about = ": ".join(part for part in (first.where, first.id, first.what) if part)
            problems.add_row(
                group.kind, f"{group.number:,}", "".join(c if c.isprintable() else "?" for c in about)
            )
        console().print(problems, markup=False)
    else:
        print("No problem was found.")
    if report.fingerprint:
        print(f"Fingerprint {report.fingerprint[:SHORT]}")
    if out is not None:
        print(f"Wrote {out}/check.json, problems.csv")

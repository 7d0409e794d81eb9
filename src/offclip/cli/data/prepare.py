"""`offclip data prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offclip.cli.data.terms import Root, SetName, Variant

if TYPE_CHECKING:
    from offclip.data.datasets.preparation.prepare import PrepareSummary


def prepare(
    name: SetName,
    root: Root,
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    option: Variant = "",
    resplit: Annotated[
        bool, typer.Option("--resplit", help="Split by patient anew, whatever the publishers say.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="TOML file: how reports are labelled, where the set has some.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that label reports.", show_default="one a core")
    ] = None,
) -> None:
    """Turn the official files of a public set into a checked study table with labels and boxes.

    Nothing is downloaded, and images stay where they are. Images that are not on disk are left out and
    listed. The folder can be given to 'offclip train' and 'offclip evaluate'.

    Example: [bold]offclip data prepare vindr-cxr --root /data/vindr-cxr/1.0.0 --out vindr[/bold]
    """
    from offclip.cli.console import progress_bar
    from offclip.cli.data.terms import print_terms, require_root
    from offclip.cli.labelling_options import make_config
    from offclip.data.datasets.catalogue import card_of
    from offclip.data.datasets.preparation.prepare import prepare as prepare_set

    card = card_of(name)
    require_root(card, root)
    print_terms(card)
    labelling = make_config(config)
    with progress_bar("reading") as update:

        def tell(stage: str, done: int, total: int | None) -> None:
            update(done, total, stage)

        summary = prepare_set(
            name,
            root,
            out,
            option=option,
            labelling=labelling,
            resplit=resplit,
            workers=workers,
            on_progress=tell,
        )
    print_summary(summary)


def print_summary(summary: PrepareSummary) -> None:
    """Prints the counts of a prepared set."""
    from rich.table import Table

    from offclip.cli.console import console
    from offclip.data.datasets.preparation.fingerprint import SHORT
    from offclip.data.study import LABELS, SPLITS

    counts = summary.counts
    table = Table(title=f"{counts['images']:,} images, {counts['studies']:,} studies")
    for heading in ("split", *(f"{label} studies" for label in LABELS), "images"):
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for split in SPLITS:
        studies = (f"{summary.labels[split, label]:,}" for label in LABELS)
        table.add_row(split, *studies, f"{counts.get(f'{split} images', 0):,}")
    console().print(table)
    if len(summary.findings) > 1:
        findings = Table(title="images with each finding")
        for heading in ("finding", "present", "absent", "unknown"):
            findings.add_column(heading, justify="left" if heading == "finding" else "right")
        for entry in summary.findings:
            values = (f"{entry.present:,}", f"{entry.absent:,}", f"{entry.unknown:,}")
            findings.add_row(entry.finding, *values)
        console().print(findings)
    print(f"{counts.get('lateral images', 0):,} images are lateral views.")
    if counts["reports"]:
        print(f"{counts['reports']:,} reports, {summary.sentences:,} labelled sentences.")
    if counts["boxes"]:
        print(f"{counts['boxes']:,} boxes.")
    for entry in summary.published:
        if entry.difference:
            print(f"{entry.name}: {entry.found:,} found, {entry.published:,} published.")
    for note in summary.notes:
        print(note)
    if summary.first_skipped:
        first = summary.first_skipped
        place = f"{first.source} row {first.row}" if first.row else first.source
        print(
            f"{summary.skipped:,} entries with reasons in {summary.out / 'skipped.csv'}; "
            f"the first: {place}: {first.reason}"
        )
    print(f"Fingerprint {summary.fingerprint[:SHORT]}, {summary.seconds:,.1f} s.")
    print(f"Wrote {summary.out}/studies.parquet, labels.csv, boxes.csv, skipped.csv, dataset.json")

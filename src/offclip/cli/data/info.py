"""`offclip data info`: what a folder, an archive or a table holds, and a picture of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offclip.cli.data.reading import Policy, make_read_options

if TYPE_CHECKING:
    from collections import Counter

    from offclip.data.overview import Overview

_SHOWN = 6


def info(
    path: Annotated[
        Path,
        typer.Argument(help="Folder or archive of images, prepared set, study table, or folder of shards."),
    ],
    sheet: Annotated[
        Path | None, typer.Option(help="Contact sheet to write.", show_default="contact-sheet.png")
    ] = None,
    no_sheet: Annotated[bool, typer.Option("--no-sheet", help="Write no contact sheet.")] = False,
    sample: Annotated[int, typer.Option(min=1, help="Images to read.")] = 48,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other images.")] = 0,
    policy: Policy = "standard",
    verify: Annotated[bool, typer.Option("--verify", help="Of shards: compare every byte.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that read images.", show_default="one a core")
    ] = None,
) -> None:
    """Print what a folder holds: kinds of files, what a sample of them says, what is refused and why.

    The exit code is 1 where shards are not what their index says.

    Example: [bold]offclip data info exports/2024 --sheet sheet.png[/bold]
    """
    from offclip.cli.console import progress_bar
    from offclip.data.overview import look
    from offclip.data.shards.verify import is_shard_folder

    if path.is_dir() and is_shard_folder(path):
        _print_shards(path, verify=verify)
        return
    table = path if path.suffix == ".parquet" else path / "studies.parquet"
    if table.is_file():
        _print_studies(table)
    options = make_read_options(policy, ("any",))
    with progress_bar("reading") as update:
        overview = look(
            table if table.is_file() else path,
            sample=sample,
            seed=seed,
            options=options,
            workers=workers,
            on_progress=update,
        )
    print_overview(path, overview)
    if overview.tiles and not no_sheet:
        _write_sheet(overview, sheet or Path("contact-sheet.png"))


def print_overview(path: Path, overview: Overview) -> None:
    """Prints what was found."""
    more = "" if overview.complete else " (only the first were looked at)"
    size = f"{overview.bytes / 1e6:,.1f} MB"
    print(f"{path}: {overview.files.total():,} file(s){more}, {size}")
    print(f"  by ending: {_counts(overview.files)}")
    print(f"Read {overview.sampled:,} of them: {len(overview.sizes):,} images")
    if overview.sizes:
        print(f"  pixels: {overview.size_range()}")
    for name, values in overview.facts.items():
        print(f"  {name}: {_counts(values)}")
    if overview.spacings_mm:
        print(f"  spacing: {min(overview.spacings_mm):.3g} to {max(overview.spacings_mm):.3g} mm")
    for note, count in overview.notes.most_common(_SHOWN):
        print(f"  note ({count:,}): {note}")
    for reason, cases in overview.refused.items():
        print(f"  refused, {reason}: {len(cases):,}; the first: {cases[0]}")


def _counts(counts: Counter[str]) -> str:
    shown = [f"{value or 'none'} {count:,}" for value, count in counts.most_common(_SHOWN)]
    rest = len(counts) - _SHOWN
    return ", ".join(shown) + (f" and {rest:,} more" if rest > 0 else "")


def _print_studies(table: Path) -> None:
    from collections import Counter

    from offclip.data.study import LABELS, SPLITS, read_studies

    studies = read_studies(table)
    views = Counter(image["view"] for images in studies["images"] for image in images)
    counts = Counter(zip(studies["split"], studies["label"], strict=True))
    print(f"{table}: {len(studies):,} studies of {studies['patient_id'].n_unique():,} patients")
    for split in SPLITS:
        of_split = ", ".join(f"{label} {counts[split, label]:,}" for label in LABELS)
        print(f"  {split}: {of_split}")
    print(f"  images: {_counts(views)}")
    print(f"  reports: {(studies['report'].fill_null('') != '').sum():,}")
    card = table.parent / "dataset.json"
    if card.is_file():
        values = json.loads(card.read_text(encoding="utf-8"))
        print(f"  public set: {values.get('name')}, fingerprint {str(values.get('fingerprint'))[:12]}")


def _print_shards(path: Path, *, verify: bool) -> None:
    from offclip.cli.console import progress_bar
    from offclip.data.shards.verify import read_card, verify_shards

    card = read_card(path)
    samples = sum(entry["samples"] for entry in card["shards"])
    size = sum(entry["bytes"] for entry in card["shards"])
    print(f"{path}: {len(card['shards']):,} shard(s), {samples:,} images, {size / 1e6:,.1f} MB")
    print(f"  options: {json.dumps(card['options'], sort_keys=True)}")
    print(f"  left out: {card['skipped']:,}")
    if not verify:
        return
    with progress_bar("verifying") as update:
        problems = verify_shards(path, update)
    for name, problem in problems:
        print(f"  {name}: {problem}")
    if problems:
        raise typer.Exit(1)
    print("  every shard is what its index says")


def _write_sheet(overview: Overview, path: Path) -> None:
    from PIL import Image

    from offclip.data.contact_sheet import contact_sheet
    from offclip.data.files import atomic_path

    with atomic_path(path) as temporary:
        Image.fromarray(contact_sheet(overview.tiles)).save(temporary, "PNG")
    print(f"Wrote {path}; it shows films and names of files.")

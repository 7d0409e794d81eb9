"""`offclip data phantom`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def phantom(
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    n: Annotated[int, typer.Option(min=1, help="Studies.")] = 4000,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other patients.")] = 0,
    size: Annotated[int, typer.Option(help="Side of the square images in pixels.")] = 256,
    style: Annotated[str, typer.Option(help="Reports: icu or neutral.")] = "icu",
    workers: Annotated[
        int, typer.Option(min=1, help="Processes; the files are the same for any number.")
    ] = 1,
) -> None:
    """Write synthetic chest films with reports, labels and boxes, as a hospital would export them.

    Example: [bold]offclip data phantom --out phantom --n 4000 --seed 0[/bold]
    """
    from offclip.cli.console import progress_bar
    from offclip.data.phantom import write_phantom

    with progress_bar("drawing phantoms") as update:
        summary = write_phantom(
            out, n, seed, size, style, workers=workers, on_progress=lambda done: update(done, n)
        )
    print(
        f"{summary.studies:,} synthetic studies of {summary.patients:,} patients, {summary.normal:,} normal: "
        + ", ".join(f"{split} {count:,}" for split, count in summary.splits.items())
    )
    print(f"Wrote {out}/images, reports.csv, labels.csv, boxes.csv")

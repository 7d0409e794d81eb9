"""`offclip data shard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from offclip.cli.data.reading import Modalities, Policy, make_read_options


def shard(
    studies: Annotated[Path, typer.Argument(help="Study table, such as studies.parquet.")],
    out: Annotated[Path, typer.Option(help="Folder for the shards; the same command goes on after a stop.")],
    size: Annotated[str, typer.Option(help="Largest size of a shard, such as 1GB or 256MB.")] = "1GB",
    pixels: Annotated[
        int | None,
        typer.Option(
            help="Encode anew as 8-bit grey PNG with this longer side.", show_default="files as they are"
        ),
    ] = None,
    caption: Annotated[
        str, typer.Option(help="Text beside an image: kept (what filtering keeps) or report.")
    ] = "kept",
    frontal_only: Annotated[bool, typer.Option("--frontal-only", help="Leave lateral films out.")] = False,
    labels: Annotated[
        Path | None,
        typer.Option(help="Table of findings by image_id.", show_default="labels.csv beside the table"),
    ] = None,
    policy: Policy = "standard",
    modality: Modalities = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that read images.", show_default="one a core")
    ] = None,
) -> None:
    """Pack a study table with its images into webdataset shards and a Parquet index.

    Example: [bold]offclip data shard studies.parquet --out shards --size 1GB --pixels 512[/bold]
    """
    from typing import get_args

    from offclip.cli.console import progress_bar, report_skipped
    from offclip.data.shards.make import make_shards
    from offclip.data.shards.options import ShardOptions, bytes_of
    from offclip.data.shards.sample import Caption
    from offclip.data.shards.verify import SKIPPED
    from offclip.errors import ConfigError

    known = next((known for known in get_args(Caption) if known == caption), None)
    if known is None:
        raise ConfigError(f"--caption {caption} is unknown.", f"Known: {', '.join(get_args(Caption))}.")
    read = make_read_options(policy, modality or ())
    options = ShardOptions(bytes_of(size), pixels, known, not frontal_only, read)
    with progress_bar("packing") as update:
        summary = make_shards(studies, out, options, labels=labels, workers=workers, on_progress=update)
    for split, samples in summary.samples.items():
        print(f"{split}: {samples:,} images in {summary.shards[split]:,} shard(s)")
    report_skipped(summary.skipped, out / SKIPPED)
    if summary.resumed:
        print(f"{summary.resumed:,} images were in shards that were finished before.")
    print(f"Wrote {out} ({summary.bytes / 1e6:,.1f} MB, verified)")

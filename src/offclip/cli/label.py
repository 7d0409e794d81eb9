"""`offclip label`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.table import Table

from offclip.cli.console import console, progress_bar, report_skipped
from offclip.data.exports import studies_from_export
from offclip.data.files import write_skipped
from offclip.data.study import LABELS, SPLITS, write_studies


def run_label(reports: Path, out: Path, *, resplit: bool) -> None:
    """Labels an export, writes the study table and skipped.csv, and prints a summary."""
    with progress_bar("labelling") as update:
        studies, skipped = studies_from_export(reports, resplit=resplit, on_progress=update)
    write_studies(studies, out)
    write_skipped(out.parent / "skipped.csv", skipped)

    counts = Counter(zip(studies["split"], studies["label"], strict=True))
    table = Table(title=f"{len(studies):,} studies")
    for heading in ("split", *LABELS):
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for split in SPLITS:
        table.add_row(split, *(f"{counts[split, label]:,}" for label in LABELS))
    sentences = studies["sentences"].explode().drop_nulls().struct.field("label")
    dropped = sum(
        sentence["label"] != row["label"]
        for row in studies.select("sentences", "label").iter_rows(named=True)
        for sentence in row["sentences"]
    )
    console().print(table)
    print(f"{len(sentences):,} sentences; filtering will leave out {dropped:,}.")
    report_skipped(skipped, out.parent / "skipped.csv")
    print(f"Wrote {out}")

"""`offclip label`."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from rich.table import Table

from offclip.cli.console import console, progress_bar
from offclip.data.labelling import LabelSummary, label_archive
from offclip.data.sources import FoundStudy, SourceFormat, SourceOptions, open_source
from offclip.data.study import LABELS, SPLITS
from offclip.errors import ConfigError
from offclip.reports.config import LabellingConfig

_SHOWN_LENGTH = 90


def run_label(
    reports: Path,
    out: Path,
    config: LabellingConfig,
    source: SourceOptions,
    workers: int | None,
) -> None:
    """Labels an archive, writes the study table and skipped.csv, and prints a summary."""
    with progress_bar("reading") as update:

        def tell(stage: str, done: int, total: int | None) -> None:
            update(done, total, stage)

        summary = label_archive(reports, out, config, source=source, workers=workers, on_progress=tell)
    print_summary(summary)


def print_estimate(
    reports: Path,
    config: LabellingConfig,
    source: SourceOptions,
    price_in: float | None,
    price_out: float | None,
) -> None:
    """Prints what a language model would be asked, and what that costs; asks nothing.

    Raises:
        ConfigError: The labeller is none that asks.
    """
    from offclip.reports.llm import estimate, unique_sentences
    from offclip.reports.llm.estimate import estimate_text

    if config.labeller != "llm":
        raise ConfigError(
            f"--dry-run: labeller {config.labeller} asks nobody.", "Give --labeller llm with it."
        )
    texts = (found.report for found in open_source(reports, source).read() if isinstance(found, FoundStudy))
    print(
        estimate_text(estimate(unique_sentences(texts), config.llm, price_in, price_out, config.conventions))
    )


def make_options(form: str, images: Path | None, *, resplit: bool) -> SourceOptions:
    """How the input is read.

    Raises:
        ConfigError: The form is unknown.
    """
    known = next((known for known in get_args(SourceFormat) if known == form), None)
    if known is None:
        raise ConfigError(f"--format {form} is unknown.", f"Known: {', '.join(get_args(SourceFormat))}.")
    return SourceOptions(known, images, resplit)


def print_summary(summary: LabelSummary) -> None:
    """Prints the counts of a labelled archive."""
    table = Table(title=f"{summary.studies:,} studies")
    for heading in ("split", *LABELS):
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for split in SPLITS:
        table.add_row(split, *(f"{summary.counts[split, label]:,}" for label in LABELS))
    table.add_section()
    table.add_row("all", *(f"{sum(summary.counts[s, label] for s in SPLITS):,}" for label in LABELS))
    console().print(table)
    print(f"{summary.sentences:,} sentences; filtering will leave out {summary.dropped:,}.")
    if summary.undecided:
        print("Most frequent undecided sentences (a lexicon of your own can decide them):")
        for text, count in summary.undecided:
            shown = text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 3]}..."
            printable = "".join(c if c.isprintable() else "?" for c in shown)
            print(f"  {count:>7,}  {printable}")
    for note in summary.notes:
        print(note)
    if summary.first_skipped:
        first = summary.first_skipped
        place = f"row {first.row}" if first.row else first.source
        print(
            f"{summary.skipped:,} row(s) left out, listed with reasons in {summary.skipped_file}; "
            f"the first: {place}: {first.reason}"
        )
    if summary.resumed:
        print(f"{summary.resumed:,} reports came from the run that was stopped.")
    speed = summary.labelled / summary.seconds if summary.seconds else 0.0
    print(f"{summary.labelled:,} reports in {summary.seconds:,.1f} s, {speed:,.0f} reports/s.")
    print(f"Wrote {summary.out}")

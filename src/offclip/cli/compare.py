"""`offclip compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.table import Table
from rich.text import Text

from offclip.cli.console import console, stage_bar
from offclip.evaluation.results.compare import compare_runs, write_comparison
from offclip.evaluation.results.compare_tables import comparison_tables
from offclip.evaluation.results.compared import ComparedRuns
from offclip.evaluation.results.table import ResultTable, printed_columns

_LONGEST = 30
_WIDE = ("first", "second", "positives")


def run_compare(
    folders: Sequence[Path], out: Path, baseline: str | None, *, allow_different_protocol: bool
) -> None:
    """Compares with a progress bar, prints the tables and says what was written."""
    with stage_bar("reading") as tell:
        compared = compare_runs(
            folders,
            baseline=baseline,
            allow_different_protocol=allow_different_protocol,
            on_progress=tell,
        )
    write_comparison(compared, out)
    _print(compared)
    print(f"Wrote {out}/report.html, compare.json, tables/")


def _print(compared: ComparedRuns) -> None:
    tables = {table.name: table for table in comparison_tables(compared)}
    for name in ("side_by_side", "differences", "differences_per_class"):
        if name in tables:
            console().print(_rich(tables[name]))
    for note in (*compared.notes, *(note for pair in compared.pairs for note in pair.notes)):
        print(note)


def _rich(table: ResultTable) -> Table:
    """The table for the terminal: without what makes it wide, cut where it is long."""
    shown = Table(title=Text(table.title), title_justify="left")
    names = [name for name in table.printed if name not in _WIDE]
    columns = printed_columns(replace(table, printed=tuple(names)))
    for column in columns:
        justify = "right" if column.numeric else "left"
        shown.add_column(Text(column.heading), justify=justify, overflow="fold")
    rows = list(zip(*(column.cells for column in columns), strict=True))
    for row in rows[:_LONGEST]:
        shown.add_row(*map(Text, row))  # text, so that brackets are no markup
    if len(rows) > _LONGEST:
        shown.caption = f"{len(rows) - _LONGEST:,} more rows in tables/{table.name}.md"
    return shown

"""The publishers' tables row by row, under the names of their columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from offclip.data.files import Skipped
from offclip.data.sources.rows import TableRows


@dataclass(frozen=True, slots=True)
class NamedRow:
    """One row of a table.

    Attributes:
        number: Its number; the header is 1.
        cells: From the name of a column to the stripped cell; the words for "nothing" are empty.
        problem: Why it cannot be used, or empty.
    """

    number: int
    cells: Mapping[str, str]
    problem: str = ""

    def skipped(self, path: Path, name: str, reason: str) -> Skipped:
        """This row as one that is left out.

        Args:
            path: The table.
            name: The column with the id.
            reason: Why.
        """
        return Skipped(str(path), self.number, self.cells.get(name, ""), reason)


class NamedRows:
    """A table as published, plain or gzipped; memory holds a few rows.

    Args:
        path: The file.
        *required: Columns that must be there.

    Attributes:
        path: The file.
        columns: The names of the columns.

    Raises:
        DataError: The file is missing, no table, or lacks a column. Also while reading, where it breaks off.
    """

    def __init__(self, path: Path, *required: str) -> None:
        self.path = path
        self._rows = TableRows(path)
        self._rows.require(*required)
        self.columns = self._rows.columns

    def __iter__(self) -> Iterator[NamedRow]:
        for row in self._rows:
            yield NamedRow(row.number, dict(zip(self.columns, row.values, strict=True)), row.problem)

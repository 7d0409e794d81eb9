"""Rows of CSV, TSV and Parquet tables as strings, one after the other, with their numbers."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from offclip.data.csv_table import EMPTY
from offclip.data.sources.limits import MAX_FILE_BYTES, bomb, byte_budget
from offclip.data.sources.members import decode_text
from offclip.errors import DataError

_LONGEST_EMPTY = max(map(len, EMPTY))
_MAX_LINE = 4 * MAX_FILE_BYTES
_CHUNK = 2**20
_BATCH = 2048
_REMEDY = "Save it as UTF-8 CSV with a header."


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        number: Its number; the header is 1.
        values: Its cells, stripped; the words for "nothing" are empty. As many as there are columns.
        problem: Why it cannot be used, or empty.
    """

    number: int
    values: list[str]
    problem: str = ""


class TableRows:
    """The rows of a `.csv`, `.tsv` or `.parquet` file, the first two also as `.gz`; memory holds a few.

    Attributes:
        columns: The names of the columns, stripped.
        foreign: Lines so far that were not UTF-8.

    Raises:
        DataError: The file is missing, empty, or no table. Also while reading, where it breaks off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.foreign = 0
        if not path.is_file():
            raise DataError(f"{path}: no such file.", "Check the path.")
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty (0 bytes).", "Export it again.")
        self._rows = self._parquet() if path.suffix.lower() in (".parquet", ".pq") else self._csv()
        self.columns = [name.strip() for name in next(self._rows).values]
        doubled = [name for i, name in enumerate(self.columns) if name and name in self.columns[:i]]
        if doubled or not any(self.columns):
            what = f"column {doubled[0]!r} stands in it twice" if doubled else "there is no header"
            raise DataError(f"{path}: not a readable table ({what}).", _REMEDY)

    def __iter__(self) -> Iterator[Row]:
        return self._rows

    def require(self, *names: str) -> None:
        """Checks that columns are there.

        Raises:
            DataError: One is missing.
        """
        for name in names:
            if name not in self.columns:
                found = ", ".join(self.columns)[:300]
                raise DataError(
                    f"{self.path}: column {name!r} is missing (found: {found}).",
                    f"The columns needed are: {', '.join(names)}.",
                )

    def _csv(self) -> Iterator[Row]:
        packed = self.path.suffix.lower() == ".gz"
        name = self.path.name.lower().removesuffix(".gz")
        csv.field_size_limit(MAX_FILE_BYTES)
        try:
            with gzip.open(self.path) if packed else self.path.open("rb") as file:
                head = file.read(4096)
                if b"\0" in head:
                    raise DataError(f"{self.path}: not a text file.", _REMEDY)
                file.seek(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0)
                lines = self._lines(file, byte_budget(self.path) if packed else None)
                reader = csv.reader(lines, delimiter="\t" if name.endswith(".tsv") else ",")
                try:
                    yield from self._numbered(reader)
                except csv.Error as error:
                    raise DataError(
                        f"{self.path}: not a readable table (line {reader.line_num}: {error}).",
                        "A quotation mark may not be closed there. " + _REMEDY,
                    ) from error
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(
                f"{self.path}: not a readable table ({error}).", "Copy the file again."
            ) from error

    def _numbered(self, reader: Iterable[list[str]]) -> Iterator[Row]:
        width = 0
        for number, cells in enumerate(reader, start=1):
            if not width:
                width = len(cells)
                yield Row(number, cells)
            elif len(cells) == width:
                yield Row(number, [clean(cell) for cell in cells])
            elif cells:  # a blank line is no row
                problem = (
                    f"the row has {len(cells)} cells instead of {width}; a text with commas needs quotes"
                )
                yield Row(number, [clean(cell) for cell in cells[:1]] + [""] * (width - 1), problem)

    def _lines(self, file: IO[bytes] | gzip.GzipFile, budget: int | None) -> Iterator[str]:
        """Lines with their ends, decoded a chunk at a time."""
        rest = b""
        while chunk := file.read(_CHUNK):
            if budget is not None:
                budget -= len(chunk)
                if budget < 0:
                    raise bomb(self.path)
            whole, newline, tail = chunk.rpartition(b"\n")
            if newline:
                yield from self._decoded(rest + whole + newline)
                rest = tail
            else:
                rest += chunk
            if len(rest) > _MAX_LINE:
                raise DataError(f"{self.path}: a line is longer than {_MAX_LINE:,} bytes.", _REMEDY)
        yield from self._decoded(rest)

    def _decoded(self, lines: bytes) -> Iterator[str]:
        try:
            yield from io.StringIO(lines.decode("utf-8"), newline="\n")
        except UnicodeDecodeError:
            for line in io.BytesIO(lines):
                text, foreign = decode_text(line)
                self.foreign += foreign
                yield text

    def _parquet(self) -> Iterator[Row]:
        import pyarrow as pa
        import pyarrow.compute as pc
        from pyarrow import parquet

        reading = ""
        try:
            with closing(parquet.ParquetFile(self.path)) as file:
                names = file.schema_arrow.names
                yield Row(1, list(names))
                number = 1
                for batch in file.iter_batches(_BATCH, use_threads=False):
                    cells = []
                    for reading, values in zip(names, batch.columns, strict=True):  # noqa: B007
                        cells.append(pc.cast(values, pa.large_string()).to_pylist())
                    for values in zip(*cells, strict=True):
                        number += 1
                        yield Row(number, [clean(value) if value else "" for value in values])
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowKeyError, OSError) as error:
            what = (str(error).splitlines() or [type(error).__name__])[0][:200]
            where = f"column {reading!r}: " if reading else ""
            raise DataError(f"{self.path}: not a readable table ({where}{what}).", _REMEDY) from error


def clean(cell: str) -> str:
    """A cell without blanks around it; empty where a word says that there is nothing.

    Example:
        >>> clean(" 007 "), clean("NaN")
        ('007', '')
    """
    cell = cell.strip()
    return "" if len(cell) <= _LONGEST_EMPTY and cell.lower() in EMPTY else cell

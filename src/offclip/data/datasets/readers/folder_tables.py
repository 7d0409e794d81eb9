"""A hospital's own tables: rows about images or studies, kept in SQLite, outside of memory when they grow."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from offclip.data.datasets.record import FindingBox
from offclip.data.datasets.tables.cells import finding_of, is_finding, number
from offclip.data.files import Skipped
from offclip.data.sources.rows import TableRows
from offclip.errors import DataError

KNOWN = ("image_id", "path", "study_id", "patient_id", "view", "split", "age", "sex", "report")
TABLES = ("images", "labels", "reports")
BOXES = "boxes"
_FORMS = (".csv", ".csv.gz", ".tsv", ".parquet")
_CORNERS = ("x", "y", "width", "height")


@dataclass(frozen=True, slots=True)
class OwnTable:
    """A table and what its columns are.

    Attributes:
        path: The file.
        columns: From each name of `KNOWN` that it has to its place.
        findings: From each finding to its place.
        passed_over: Columns that are neither.
    """

    path: Path
    columns: Mapping[str, int]
    findings: Mapping[str, int]
    passed_over: tuple[str, ...]

    @property
    def of_images(self) -> bool:
        """Whether its rows are images, not studies."""
        return "image_id" in self.columns or "path" in self.columns


def find_tables(root: Path, names: Sequence[str] = TABLES) -> list[Path]:
    """The tables that lie in the folder itself."""
    return [path for name in names for form in _FORMS if (path := root / f"{name}{form}").is_file()]


def finding_name(column: str) -> str:
    """A column or a finding as offclip calls it.

    Example:
        >>> finding_name("Pleural_Effusion")
        'pleural effusion'
    """
    return " ".join(column.replace("_", " ").lower().split())


def open_table(path: Path) -> OwnTable:
    """Looks through a table to tell columns of findings, which hold 1, 0 and nothing else, from all others.

    Raises:
        DataError: It cannot be read, names neither images nor studies, or has a finding twice.
    """
    rows = TableRows(path)
    names = [name.lower() for name in rows.columns]
    columns = {name: place for place, name in enumerate(names) if name in KNOWN}
    if not {"image_id", "path", "study_id"} & columns.keys():
        raise DataError(
            f"{path}: it has no column 'image_id', 'path' or 'study_id' (found: {', '.join(names)[:300]}).",
            "Add one, so that its rows can be joined with the images.",
        )
    others = {place: name for place, name in enumerate(rows.columns) if name and name.lower() not in KNOWN}
    good: set[int] = set()
    for row in rows:
        good.update(p for p in others.keys() - good if row.values[p] and is_finding(row.values[p]))
    findings: dict[str, int] = {}
    for place in sorted(good):
        name = finding_name(others[place])
        if name in findings:
            raise DataError(
                f"{path}: columns {rows.columns[findings[name]]!r} and {others[place]!r} are one finding.",
                "Keep one of them.",
            )
        findings[name] = place
    passed_over = tuple(name for place, name in others.items() if place not in good)
    return OwnTable(path, columns, findings, passed_over)


@dataclass(frozen=True, slots=True)
class OwnRow:
    """What the tables say about one image or one study together.

    Attributes:
        cells: From each name of `KNOWN` to what is filled in.
        findings: From each finding to 1, 0 or None.
        source: The table of the first row.
        row: The first row.
        problem: What two rows say against each other, or empty.
    """

    cells: Mapping[str, str]
    findings: Mapping[str, int | None]
    source: str = ""
    row: int = 0
    problem: str = ""


class RowStore:
    """Rows by the image or the study that they are about."""

    def __init__(self) -> None:
        # An empty name is a database of SQLite's own that leaves memory when it grows.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(
            "CREATE TABLE cells (number INTEGER PRIMARY KEY, level TEXT, key TEXT, source TEXT, row "
            "INTEGER, known TEXT, findings TEXT)"
        )
        self._database.execute("BEGIN")

    def close(self) -> None:
        """Drops everything."""
        self._database.close()

    def add(self, level: str, key: str, source: str, row: int, cells: Mapping, findings: Mapping) -> None:
        """Keeps a row of `level` `"image"` or `"study"`."""
        self._database.execute(
            "INSERT INTO cells (level, key, source, row, known, findings) VALUES (?, ?, ?, ?, ?, ?)",
            (level, key, source, row, json.dumps(cells), json.dumps(findings)),
        )

    def index(self) -> None:
        """To be called between the last `add` and the first question."""
        self._database.execute("CREATE INDEX by_key ON cells (level, key)")

    def keys(self, level: str) -> Iterator[str]:
        """The images or studies in the order of the tables."""
        query = "SELECT key FROM cells WHERE level = ? GROUP BY key ORDER BY MIN(number)"
        yield from (key for (key,) in self._database.execute(query, (level,)))

    def get(self, level: str, key: str) -> OwnRow:
        """All rows of an image or a study as one; the first to fill a cell fills it."""
        query = "SELECT source, row, known, findings FROM cells WHERE level = ? AND key = ? ORDER BY number"
        merged: dict[str, dict] = {"known": {}, "findings": {}}
        source, first, problem = "", 0, ""
        for table, row, known, findings in self._database.execute(query, (level, key)).fetchall():
            if not source:
                source, first = table, row
            for part, given in (("known", json.loads(known)), ("findings", json.loads(findings))):
                for name, value in given.items():
                    before = merged[part].setdefault(name, value)
                    if before in ("", None):
                        merged[part][name] = value
                    elif value not in ("", None, before) and not problem:
                        problem = f"column {name!r} contradicts row {row} of {Path(table).name}"
        return OwnRow(merged["known"], merged["findings"], source, first, problem)


def read_rows(table: OwnTable) -> Iterator[tuple[int, dict[str, str], dict[str, int | None]] | Skipped]:
    """The rows of a table: number, known cells, findings; or why a row is left out."""
    rows = TableRows(table.path)
    for row in rows:
        cells = {name: row.values[place] for name, place in table.columns.items()}
        bad = [n for n, p in table.findings.items() if not is_finding(row.values[p])]
        problem = row.problem
        if not problem and bad:
            cell = row.values[table.findings[bad[0]]][:40]
            problem = (
                f"column {rows.columns[table.findings[bad[0]]]!r} is {cell!r} instead of 1, 0 or nothing"
            )
        if problem:
            key = next((cells[name] for name in ("image_id", "path", "study_id") if cells.get(name)), "")
            yield Skipped(str(table.path), row.number, key, problem)
        else:
            yield row.number, cells, {n: finding_of(row.values[p]) for n, p in table.findings.items()}


def open_boxes(path: Path) -> TableRows:
    """The table of boxes, with the columns that it needs.

    Raises:
        DataError: The table cannot be read or lacks a column.
    """
    rows = TableRows(path)
    rows.require("image_id", "finding", *_CORNERS)
    return rows


def read_boxes(path: Path) -> Iterator[tuple[str, FindingBox] | Skipped]:
    """Images with a box each, and rows that are none."""
    rows = open_boxes(path)
    image, finding = rows.columns.index("image_id"), rows.columns.index("finding")
    places = [rows.columns.index(name) for name in _CORNERS]
    for row in rows:
        numbers = [n for place in places if (n := number(row.values[place])) is not None]
        problem = row.problem
        if not problem and not (row.values[image] and row.values[finding]):
            problem = "image_id or finding is empty"
        elif not problem and (len(numbers) < 4 or min(numbers[2:]) <= 0):
            problem = "x, y, width and height are no box"
        if problem:
            yield Skipped(str(path), row.number, row.values[image], problem)
        else:
            x, y, width, height = numbers
            yield row.values[image], FindingBox(finding_name(row.values[finding]), x, y, width, height)

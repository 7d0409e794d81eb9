"""What a set's reader yielded, in an SQLite file: 400,000 images with 20 labels do not belong into memory.

The tables `studies`, `images`, `skipped` and `notes` are those of `offclip.data.staging` with more columns:
the processes that label reports read them as they read any other archive.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from offclip.data.files import Skipped
from offclip.errors import DataError

SCHEMA = """
CREATE TABLE studies (
    number INTEGER PRIMARY KEY, study_id TEXT NOT NULL UNIQUE, patient_id TEXT NOT NULL, split TEXT NOT NULL,
    source TEXT NOT NULL, row INTEGER NOT NULL, report TEXT NOT NULL
);
CREATE TABLE images (
    number INTEGER PRIMARY KEY, study INTEGER NOT NULL, image_id TEXT NOT NULL UNIQUE, path TEXT NOT NULL,
    view TEXT NOT NULL, source TEXT NOT NULL, row INTEGER NOT NULL,
    labels TEXT NOT NULL, contradiction TEXT NOT NULL, age REAL, sex TEXT NOT NULL
);
CREATE TABLE absent (
    number INTEGER PRIMARY KEY, image_id TEXT NOT NULL UNIQUE, study_id TEXT NOT NULL,
    patient_id TEXT NOT NULL, split TEXT NOT NULL, view TEXT NOT NULL, path TEXT NOT NULL,
    labels TEXT NOT NULL, reported INTEGER NOT NULL
);
CREATE TABLE boxes (
    number INTEGER PRIMARY KEY, image_id TEXT NOT NULL, finding TEXT NOT NULL, x REAL NOT NULL,
    y REAL NOT NULL, width REAL NOT NULL, height REAL NOT NULL, reader TEXT NOT NULL,
    phrase TEXT NOT NULL
);
CREATE TABLE splits (
    patient_id TEXT NOT NULL, split TEXT NOT NULL, there INTEGER NOT NULL, PRIMARY KEY (patient_id, split)
) WITHOUT ROWID;
CREATE TABLE skipped (
    number INTEGER PRIMARY KEY, source TEXT NOT NULL, row INTEGER NOT NULL, id TEXT NOT NULL,
    reason TEXT NOT NULL, kind TEXT NOT NULL, listed INTEGER NOT NULL
);
CREATE TABLE notes (number INTEGER PRIMARY KEY, note TEXT NOT NULL);
"""
# The file is made anew when its making is cut short, so nothing is gained by writing it safely.
FAST = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536; PRAGMA temp_store = FILE;
"""


class Kind(StrEnum):
    """What can be wrong with a set.

    Example:
        >>> Kind.MISSING.value
        'image missing'
    """

    TABLE = "table missing"
    MISSING = "image missing"
    UNLISTED = "image not listed"
    LEFT_OUT = "row left out"
    DOUBLED_ID = "image id doubled"
    DOUBLED_PIXELS = "image doubled"
    UNREADABLE = "image unreadable"
    CONTRADICTION = "contradiction"
    BOX = "box"
    LEAK = "leak over splits"
    COUNT = "count differs"


@dataclass(frozen=True, slots=True)
class Leak:
    """A patient in more than one split.

    Attributes:
        patients: How many there are.
        patient: The first.
        splits: Of the first.
    """

    patients: int
    patient: str
    splits: tuple[str, ...]


class Collection:
    """A finished collection, read-only. Use as a context.

    Args:
        path: The file.
        findings: Offclip's names of the findings, in the order of the labels.
        devices: Films that the set calls normal in spite of a device.

    Attributes:
        path: The file.
        findings: As given.
        devices: As given.
    """

    def __init__(self, path: Path, findings: tuple[str, ...], devices: int = 0) -> None:
        self.path, self.findings, self.devices = path, findings, devices
        with explained(path):
            self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def rows(self, query: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, one after the other."""
        with explained(self.path), closing(self._database.cursor()) as cursor:
            yield from cursor.execute(query, values)

    def number(self, query: str, values: Sequence[Any] = ()) -> int:
        """The one number that a query gives."""
        return next(self.rows(query, values))[0]

    def skipped(self) -> Iterator[Skipped]:
        """What skipped.csv lists, in the order of reading."""
        for row in self.rows("SELECT source, row, id, reason FROM skipped WHERE listed ORDER BY number"):
            yield Skipped(*row)

    def notes(self) -> tuple[str, ...]:
        """What the reader said about the reading as a whole."""
        return tuple(note for (note,) in self.rows("SELECT note FROM notes ORDER BY number"))

    def leak(self, *, there: bool = True) -> Leak | None:
        """The patients with official splits that contradict each other.

        Args:
            there: Look only at images that are on disk.
        """
        query = "FROM splits WHERE there >= ? GROUP BY patient_id HAVING COUNT(*) > 1"
        found = self.rows(f"SELECT COUNT(*), MIN(patient_id) FROM (SELECT patient_id {query})", (int(there),))
        patients, patient = next(found)
        if not patients:
            return None
        query = "SELECT split FROM splits WHERE patient_id = ? AND there >= ? ORDER BY split"
        return Leak(patients, patient, tuple(split for (split,) in self.rows(query, (patient, int(there)))))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns the errors of SQLite into those of a user."""
    try:
        yield
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
        full = full or getattr(error.__cause__, "errno", 0) in (errno.ENOSPC, errno.EDQUOT)
        if full:
            raise DataError(f"{path.parent}: the disk is full.", "Free some space and run again.") from error
        raise DataError(
            f"{path}: cannot be used ({error}).", "Check the folder and its permissions."
        ) from error

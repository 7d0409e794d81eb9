"""Studies wait in an SQLite file between being read and being labelled.

Rows of one study may lie far apart in a table, and a million reports do not fit into memory. So everything
that a source yields goes into a file first, where doubled studies and images are found by an index. The
labelling processes take their batches from there. A finished file stays until the labels are written, so
that a run that was stopped goes on with the very same studies.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from offclip.data.files import Skipped
from offclip.data.sources.found import FoundImage, FoundStudy, ReportSource
from offclip.data.split import split_of
from offclip.data.study import leak_error
from offclip.errors import DataError

_SCHEMA = """
CREATE TABLE studies (
    number INTEGER PRIMARY KEY, study_id TEXT NOT NULL UNIQUE, patient_id TEXT NOT NULL, split TEXT NOT NULL,
    source TEXT NOT NULL, row INTEGER NOT NULL, report TEXT NOT NULL
);
CREATE TABLE images (
    number INTEGER PRIMARY KEY, study INTEGER NOT NULL, image_id TEXT NOT NULL UNIQUE, path TEXT NOT NULL,
    view TEXT NOT NULL, source TEXT NOT NULL, row INTEGER NOT NULL
);
CREATE TABLE skipped (
    number INTEGER PRIMARY KEY, source TEXT NOT NULL, row INTEGER NOT NULL, id TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE TABLE notes (number INTEGER PRIMARY KEY, note TEXT NOT NULL);
"""
# The file is made anew if its making is cut short, so nothing is gained by writing it safely. A negative
# size is in kB.
_FAST = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
PRAGMA cache_size = -65536; PRAGMA temp_store = FILE;
"""
_TELL_EVERY = 5000
_Study = tuple[int, str, str, str, str, int]  # number, patient, split, report, source, row


def stage(source: ReportSource, path: str | Path, on_progress: Callable[[int], None] | None = None) -> None:
    """Writes all studies of a source into a staging file, whole or not at all.

    Args:
        source: Where the reports are.
        path: The file to write.
        on_progress: Called with the number of reports and rows read, now and then.

    Raises:
        DataError: The source cannot be read, a patient is in two splits, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with suppress(FileNotFoundError):
        temporary.unlink()
    try:
        with _explained(path), closing(sqlite3.connect(temporary, isolation_level=None)) as database:
            database.executescript(_FAST + _SCHEMA)
            database.execute("BEGIN")
            _fill(database, source, on_progress or (lambda done: None))
            database.execute("CREATE INDEX images_by_study ON images (study, number)")
            _check_splits(database, str(source.path))
            database.execute("COMMIT")
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _fill(database: sqlite3.Connection, source: ReportSource, tell: Callable[[int], None]) -> None:
    writer = _Writer(database)
    for done, found in enumerate(source.read(), start=1):
        if isinstance(found, Skipped):
            writer.skip(found)
        else:
            problem = writer.add(found)
            if problem:
                writer.skip(Skipped(found.source, found.row, found.study_id, problem))
        if done % _TELL_EVERY == 0:
            tell(done)
    database.executemany("INSERT INTO notes (note) VALUES (?)", ((note,) for note in source.notes))


class _Writer:
    """Adds studies, and says what is wrong with one that cannot be added."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._execute = database.cursor().execute
        self._studies = 0

    def skip(self, entry: Skipped) -> None:
        values = (_storable(entry.source), entry.row, _storable(entry.id), _storable(entry.reason))
        self._execute("INSERT INTO skipped (source, row, id, reason) VALUES (?, ?, ?, ?)", values)

    def add(self, study: FoundStudy) -> str:
        """Adds a study, or the images of another row to it; returns what is wrong, or nothing."""
        query = "SELECT number, patient_id, split, report, source, row FROM studies WHERE study_id = ?"
        known = self._execute(query, (study.study_id,)).fetchone()
        problem = _contradiction(known, study) or self._doubled_image(study)
        if problem:
            return problem
        if known is None:
            number = self._studies
            self._execute(
                "INSERT INTO studies (number, study_id, patient_id, split, source, row, report) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    number,
                    study.study_id,
                    study.patient_id,
                    study.split,
                    study.source,
                    study.row,
                    study.report,
                ),
            )
            self._studies += 1
        else:
            number = known[0]
        for image in study.images:
            self._execute(
                "INSERT INTO images (study, image_id, path, view, source, row) VALUES (?, ?, ?, ?, ?, ?)",
                (number, image.image_id, image.path, image.view, study.source, study.row),
            )
        return ""

    def _doubled_image(self, study: FoundStudy) -> str:
        for image in study.images:
            query = "SELECT source, row FROM images WHERE image_id = ?"
            first = self._execute(query, (image.image_id,)).fetchone()
            if first:
                by_name = study.row and Path(image.path).stem == image.image_id
                hint = "; a column image_id can tell equal file names apart" if by_name else ""
                return f"image {image.image_id} {_twice(study, *first)}{hint}"
        return ""


def _contradiction(known: _Study | None, study: FoundStudy) -> str:
    """Why a row cannot belong to the study of the same id that is known."""
    if known is None:
        return ""
    _, patient_id, split, report, source, row = known
    for what, before, given in (
        ("patient", patient_id, study.patient_id),
        ("report", report, study.report),
        ("split", split or split_of(patient_id), study.split or split_of(study.patient_id)),
    ):
        if before != given and study.row:
            return f"study {study.study_id} stands in the table twice, with another {what} in row {row}"
    # Only a table spreads a study over rows, one an image.
    return "" if study.row and study.images else f"study {study.study_id} {_twice(study, source, row)}"


def _twice(study: FoundStudy, source: str, row: int) -> str:
    first = f"row {row}" if row else source
    return f"stands in the {'table' if study.row else 'input'} twice (first in {first})"


def _storable(text: str) -> str:
    """Text without the halves of characters that stand for undecodable bytes in file names."""
    return text.encode(errors="backslashreplace").decode()


def _check_splits(database: sqlite3.Connection, name: str) -> None:
    """Refuses a patient in two splits. A hash of the patient, where the split is empty, gives one alone."""
    (given,) = database.execute("SELECT EXISTS (SELECT 1 FROM studies WHERE split != '')").fetchone()
    if not given:
        return
    database.create_function("split_of", 1, split_of, deterministic=True)
    database.execute("UPDATE studies SET split = split_of(patient_id) WHERE split = ''")
    leaking = (
        "FROM (SELECT patient_id, GROUP_CONCAT(DISTINCT split) AS splits FROM studies "
        "GROUP BY patient_id HAVING COUNT(DISTINCT split) > 1)"
    )
    patients, patient = database.execute(f"SELECT COUNT(*), MIN(patient_id) {leaking}").fetchone()
    if patients:
        query = "SELECT DISTINCT split FROM studies WHERE patient_id = ? ORDER BY split"
        splits = [split for (split,) in database.execute(query, (patient,))]
        raise leak_error(name, patients, patient, splits)


class Staged:
    """A finished staging file, read-only; every process opens its own.

    Args:
        path: The file.

    Raises:
        DataError: The file cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        with _explained(self._path):
            self._database = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
            (self.studies,) = self._database.execute("SELECT COUNT(*) FROM studies").fetchone()

    def batch(self, start: int, stop: int) -> list[FoundStudy]:
        """The studies with numbers from `start` up to but not including `stop`, images included."""
        with _explained(self._path):
            images: dict[int, list[FoundImage]] = {}
            query = "SELECT study, image_id, path, view FROM images WHERE study >= ? AND study < ? "
            for study, *image in self._database.execute(f"{query} ORDER BY study, number", (start, stop)):
                images.setdefault(study, []).append(FoundImage(*image))
            query = (
                "SELECT number, study_id, patient_id, split, report, source, row FROM studies "
                "WHERE number >= ? AND number < ? ORDER BY number"
            )
            return [
                FoundStudy(
                    study_id,
                    patient_id,
                    split or split_of(patient_id),
                    report,
                    tuple(images.get(number, ())),
                    source,
                    row,
                )
                for number, study_id, patient_id, split, report, source, row in self._database.execute(
                    query, (start, stop)
                )
            ]

    def skipped(self) -> Iterator[Skipped]:
        """What was left out while reading, in order."""
        with _explained(self._path):
            for row in self._database.execute("SELECT source, row, id, reason FROM skipped ORDER BY number"):
                yield Skipped(*row)

    def notes(self) -> Iterable[str]:
        """What the source said about itself."""
        with _explained(self._path):
            return [note for (note,) in self._database.execute("SELECT note FROM notes ORDER BY number")]

    def close(self) -> None:
        """Closes the file."""
        self._database.close()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns the errors of SQLite into those of a user."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
        full = full or getattr(error, "errno", 0) in (errno.ENOSPC, errno.EDQUOT)
        if full:
            remedy = (
                "The texts are kept there while they are labelled: free space of twice their size is needed."
            )
            raise DataError(f"{path.parent}: the disk is full.", remedy) from error
        raise DataError(
            f"{path}: cannot be used ({error}).", "Check the folder and its permissions."
        ) from error

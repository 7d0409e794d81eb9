"""Reads a set into a collection: doubles, contradictions and missing files are found on the way."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from offclip.data.datasets.label_map import ABSENT, FilmLabels, LabelMap
from offclip.data.datasets.preparation.collection import FAST, SCHEMA, Collection, Kind, explained
from offclip.data.datasets.preparation.on_disk import FolderListings
from offclip.data.datasets.record import FindingBox, ImageRecord, PublicSet
from offclip.data.files import Skipped
from offclip.data.split import split_of
from offclip.data.study import SPLITS
from offclip.errors import DataError
from offclip.images.views import VIEWS

_TELL_EVERY = 5000
_SEXES = ("F", "M", "O", "")


def collect(
    reader: PublicSet,
    path: Path,
    *,
    resplit: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> Collection:
    """Reads all records of a set into an SQLite file.

    Every study has a split afterwards: the official one of the study, else that of its patient, else one by
    a hash of the patient.

    Args:
        reader: The set.
        path: The file to write; one that is there is replaced.
        resplit: Split by a hash of the patient whatever the set says.
        on_progress: Called with the number of records read, now and then.

    Raises:
        DataError: The set cannot be read, a label is unknown, or the disk is full.
    """
    tell = on_progress or (lambda done: None)
    with suppress(FileNotFoundError):
        path.unlink()
    with explained(path), closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(FAST + SCHEMA)
        database.execute("BEGIN")
        writer = _Writer(database, reader, resplit=resplit)
        for done, found in enumerate(reader.read(), start=1):
            if isinstance(found, Skipped):
                writer.note(Kind.LEFT_OUT, found.source, found.row, found.id, found.reason)
            else:
                writer.add(found)
            if done % _TELL_EVERY == 0:
                tell(done)
        database.executemany("INSERT INTO notes (note) VALUES (?)", ((note,) for note in reader.notes))
        database.execute("CREATE INDEX images_by_study ON images (study, number)")
        database.execute("CREATE INDEX boxes_by_image ON boxes (image_id, number)")
        _fill_splits(database)
        database.execute("COMMIT")
    return Collection(path, writer.labels.findings if writer.labels else (), writer.devices)


class _Writer:
    """Adds records, and notes what is wrong with them."""

    def __init__(self, database: sqlite3.Connection, reader: PublicSet, *, resplit: bool) -> None:
        self._execute = database.cursor().execute
        self._name, self._resplit = reader.card.name, resplit
        self._there = FolderListings().has
        self._names: tuple[str, ...] = ()
        self._studies = 0
        self._last_split: tuple[str, str, bool] | None = None
        # Number, study id, patient and report of the study of the record before: mostly the same again.
        self._study: tuple[int, str, str, str] | None = None
        self.labels: LabelMap | None = None
        self.devices = 0

    def note(self, kind: Kind, source: str, row: int, name: str, reason: str, *, listed: bool = True) -> None:
        """Notes what is wrong; what is `listed` stands in skipped.csv, the rest is for `check` alone."""
        values = (_storable(source), row, _storable(name), _storable(reason), kind.value, listed)
        self._execute(
            "INSERT INTO skipped (source, row, id, reason, kind, listed) VALUES (?, ?, ?, ?, ?, ?)", values
        )

    def add(self, record: ImageRecord) -> None:
        """Adds an image, or notes why not."""
        problem = _malformed(record)
        if problem:
            raise DataError(
                f"{self._name}: {record.source} row {record.row}: {problem}.",
                "This is a fault of the reader of the set.",
            )
        labels = self._labels_of(record)
        first = next(self._first(record.image_id), None)
        if first:
            self._about(Kind.DOUBLED_ID, record, f"image id doubled (first in {first})")
            return
        if _storable(str(record.path)) != str(record.path):
            self._about(Kind.LEFT_OUT, record, "the name of the image file is no text")
            return
        there = self._there(record.path)
        if not there:
            self._note_split(record, there)
            self._execute(
                "INSERT INTO absent (image_id, study_id, patient_id, split, view, path, labels, reported) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    record.image_id, record.study_id, record.patient_id, record.split, record.view,
                    str(record.path), labels.code, bool(record.report),
                ),
            )  # fmt: skip
            self._about(Kind.MISSING, record, "the image file is not there")
            return
        number = self._study_number(record)
        if number is None:
            return
        self._note_split(record, there)
        self._execute(
            "INSERT INTO images (study, image_id, path, view, source, row, labels, contradiction, age, sex) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number, record.image_id, str(record.path), record.view, record.source, record.row,
                labels.code, labels.contradiction, record.age_years, record.sex,
            ),
        )  # fmt: skip
        self.devices += labels.with_device
        if labels.contradiction:
            reason = f"kept, but whether it is normal is left open: {labels.contradiction}"
            self._about(Kind.CONTRADICTION, record, reason)
        for box in record.boxes:
            self._add_box(record, box, labels)

    def _labels_of(self, record: ImageRecord) -> FilmLabels:
        names = tuple(record.labels)
        if self.labels is None:
            self.labels, self._names = LabelMap(self._name, names), names
        elif names != self._names:
            raise DataError(
                f"{self._name}: {record.source} row {record.row} has other labels than the first image.",
                "This is a fault of the reader of the set.",
            )
        return self.labels.read(tuple(record.labels.values()))

    def _first(self, image_id: str):
        for row in self._execute("SELECT source, row FROM images WHERE image_id = ?", (image_id,)):
            yield f"row {row[1]}" if row[1] else row[0]
        for _ in self._execute("SELECT 1 FROM absent WHERE image_id = ?", (image_id,)):
            yield "a row whose image is not there"

    def _note_split(self, record: ImageRecord, there: bool) -> None:
        split = (record.patient_id, record.split, there)
        if self._resplit or not record.split or split == self._last_split:
            return
        self._last_split = split
        self._execute(
            "INSERT INTO splits VALUES (?, ?, ?) "
            "ON CONFLICT (patient_id, split) DO UPDATE SET there = MAX(there, excluded.there)",
            split,
        )

    def _study_number(self, record: ImageRecord) -> int | None:
        """The number of the record's study, which is made if it is new; None where the row contradicts it."""
        if self._study is None or self._study[1] != record.study_id:
            query = "SELECT number, study_id, patient_id, report FROM studies WHERE study_id = ?"
            self._study = self._execute(query, (record.study_id,)).fetchone()
        if self._study is None:
            self._study = (self._studies, record.study_id, record.patient_id, record.report)
            self._studies += 1
            split = "" if self._resplit else record.split
            self._execute(
                "INSERT INTO studies (number, study_id, patient_id, report, split, source, row) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*self._study, split, record.source, record.row),
            )
            return self._study[0]
        number, study, patient, report = self._study
        for what, before, given in (
            ("patient", patient, record.patient_id),
            ("report", report, record.report),
        ):
            if before != given and before and given:
                reason = f"study {study} has another {what} in a row before"
                self._about(Kind.CONTRADICTION, record, reason)
                return None
        if record.report and not report:
            self._execute("UPDATE studies SET report = ? WHERE number = ?", (record.report, number))
            self._study = (number, study, patient, record.report)
        return number

    def _add_box(self, record: ImageRecord, box: FindingBox, labels: FilmLabels) -> None:
        if self.labels is None or (finding := self.labels.word_of(box.label)).startswith("="):
            return
        edges = (float(box.x), float(box.y), float(box.width), float(box.height))
        if not (all(map(math.isfinite, edges)) and edges[2] > 0 and edges[3] > 0):
            self._about(Kind.BOX, record, f"a box for {finding} has no size")
            return
        if edges[0] < 0 or edges[1] < 0:
            self._about(Kind.BOX, record, f"a box for {finding} begins outside of the image", listed=False)
        findings = self.labels.findings
        if finding in findings and labels.code[1 + findings.index(finding)] == ABSENT:
            self._about(Kind.BOX, record, f"a box for {finding}, which the labels do not have", listed=False)
        self._execute(
            "INSERT INTO boxes (image_id, finding, x, y, width, height, reader, phrase) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (record.image_id, finding, *edges, box.reader, box.phrase),
        )

    def _about(self, kind: Kind, record: ImageRecord, reason: str, *, listed: bool = True) -> None:
        self.note(kind, record.source, record.row, record.image_id, reason, listed=listed)


def _malformed(record: ImageRecord) -> str:
    if not (record.image_id.strip() and record.study_id.strip() and record.patient_id.strip()):
        return "an id is empty"
    if record.split and record.split not in SPLITS:
        return f"unknown split {record.split!r}"
    if record.view not in VIEWS:
        return f"unknown view {record.view!r}"
    return "" if record.sex in _SEXES else f"unknown sex {record.sex!r}"


def _storable(text: str) -> str:
    """Text without the halves of characters that stand for undecodable bytes in file names."""
    return text.encode(errors="backslashreplace").decode()


def _fill_splits(database: sqlite3.Connection) -> None:
    database.create_function("split_of", 1, split_of, deterministic=True)
    database.execute(
        "UPDATE studies SET split = COALESCE("
        "(SELECT MIN(split) FROM splits WHERE splits.patient_id = studies.patient_id), split_of(patient_id)) "
        "WHERE split = ''"
    )

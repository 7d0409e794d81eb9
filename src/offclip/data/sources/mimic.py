"""MIMIC-CXR: the free-text reports in the official layout, unpacked or as `mimic-cxr-reports.zip`.

Source: Johnson et al., MIMIC-CXR Database, PhysioNet; the split, the views and the JPEG files are those of
MIMIC-CXR-JPG. Layout: `files/p10/p10000032/s50414267.txt`, `files/p10/p10000032/s50414267/<dicom_id>.jpg`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from offclip.data.files import Skipped
from offclip.data.sources.found import SPLIT_NAMES, FoundImage, FoundStudy
from offclip.data.sources.members import members
from offclip.data.sources.rows import TableRows
from offclip.data.sources.text_files import foreign_note, input_files, text_of
from offclip.errors import DataError
from offclip.images.views import view_of

ARCHIVE = "mimic-cxr-reports.zip"
SPLIT = "mimic-cxr-2.0.0-split.csv"
METADATA = "mimic-cxr-2.0.0-metadata.csv"
_REPORT = re.compile(r"s\d{6,9}\.txt")
_PLACE = re.compile(r"(?:^|.*/)(p\d\d)/(p(\d{6,9}))/(s(\d{6,9}))\.txt")


def is_mimic_report(name: str) -> bool:
    """Whether a path is that of a report in the official layout.

    Example:
        >>> is_mimic_report("files/p10/p10000032/s50414267.txt"), is_mimic_report("notes/s50414267.txt")
        (True, False)
    """
    return _PLACE.fullmatch(name) is not None


def _looks_like_report(name: str) -> bool:
    return _REPORT.fullmatch(name.rpartition("/")[2]) is not None


class MimicReports:
    """The reports of MIMIC-CXR, with the official split, views and images where they are there.

    Args:
        path: The folder that holds `files`, any folder inside it, or the archive as published.
        images: Root of MIMIC-CXR-JPG, or its `files`; without it studies have no images.
        resplit: Split by a hash of the patient even where the official split is there.
    """

    def __init__(self, path: Path, images: Path | None = None, *, resplit: bool = False) -> None:
        archive = path / ARCHIVE
        self.path = archive if archive.is_file() and not (path / "files").is_dir() else path
        self.notes: list[str] = []
        self._images = images
        self._split = None if resplit else self._beside(SPLIT)
        self._metadata = self._beside(METADATA) if images else None

    def inputs(self) -> Iterator[Path]:
        """Every file that is read."""
        yield from (table for table in (self._split, self._metadata) if table)
        yield from input_files(self.path, _looks_like_report)

    def read(self) -> Iterator[FoundStudy | Skipped]:
        """The studies, in the order of the files.

        Raises:
            DataError: The split or the metadata file cannot be read, or has a patient in two splits.
        """
        foreign = 0
        self.notes.append(
            f"Split by {self._split}."
            if self._split
            else f"No {SPLIT}.gz beside it: split by a hash of the patient."
        )
        # An empty name is a database of SQLite's own that leaves memory when it grows.
        with closing(sqlite3.connect("", isolation_level=None)) as tables:
            self._load(tables)
            # A folder inside the layout says the rest of the layout by its own path.
            above = f"{self.path.absolute().as_posix()}/" if self.path.is_dir() else ""
            for member in members(self.path, _looks_like_report):
                if isinstance(member, Skipped):
                    yield member
                    continue
                place = _PLACE.fullmatch(above + member.name)
                if not place or not place[2].startswith(place[1]):
                    reason = "not in the official layout, files/p10/p10000032/s50414267.txt"
                    yield Skipped(member.source, 0, member.name, reason)
                    continue
                text = text_of(member)
                if isinstance(text, Skipped):
                    yield Skipped(text.source, 0, place[4], text.reason)
                    continue
                foreign += text[1]
                split = self._split_of(tables, place[3])
                if split is None:
                    yield Skipped(
                        member.source, 0, place[4], f"the patient is not in {self._split}; see --resplit"
                    )
                    continue
                images = []
                for image, problem in self._images_of(tables, place):
                    if problem:
                        yield Skipped(member.source, 0, image.image_id, problem)
                    else:
                        images.append(image)
                yield FoundStudy(place[4], place[2], split, text[0], tuple(images), member.source)
        if foreign:
            self.notes.append(foreign_note(foreign))

    def _beside(self, name: str) -> Path | None:
        """A table of MIMIC-CXR-JPG beside the reports or the images, plain or gzipped."""
        folders: list[Path] = []
        for root in (self.path, self._images):
            if root is not None:
                # At most three up: files, p10, p10000032.
                folders += [root.absolute(), *list(root.absolute().parents)[:3]]
        files = (folder / f"{name}{ending}" for folder in folders for ending in (".gz", ""))
        return next((file for file in files if file.is_file()), None)

    def _load(self, tables: sqlite3.Connection) -> None:
        tables.execute("BEGIN")
        tables.execute("CREATE TABLE split (patient TEXT PRIMARY KEY, split TEXT, row INTEGER) WITHOUT ROWID")
        tables.execute("CREATE TABLE image (study TEXT, dicom TEXT, view TEXT)")
        if self._split:
            self._load_split(tables, self._split)
        if self._metadata:
            rows = TableRows(self._metadata)
            rows.require("dicom_id", "study_id", "ViewPosition")
            dicom, study, view = (rows.columns.index(c) for c in ("dicom_id", "study_id", "ViewPosition"))
            tables.executemany(
                "INSERT INTO image VALUES (?, ?, ?)",
                ((row.values[study], row.values[dicom], row.values[view]) for row in rows if not row.problem),
            )
            tables.execute("CREATE INDEX by_study ON image (study)")

    @staticmethod
    def _load_split(tables: sqlite3.Connection, path: Path) -> None:
        rows = TableRows(path)
        rows.require("subject_id", "split")
        subject, place = rows.columns.index("subject_id"), rows.columns.index("split")
        for row in rows:
            split = SPLIT_NAMES.get(row.values[place].lower())
            if row.problem or split is None:
                raise DataError(
                    f"{path}: row {row.number}: {row.problem or 'unknown split ' + repr(row.values[place])}.",
                    "Download the file again, or split anew with --resplit.",
                )
            patient = row.values[subject]
            known = tables.execute("SELECT split, row FROM split WHERE patient = ?", (patient,)).fetchone()
            if known is None:
                tables.execute("INSERT INTO split VALUES (?, ?, ?)", (patient, split, row.number))
            elif known[0] != split:
                raise DataError(
                    f"{path}: patient {patient} is in {known[0]} (row {known[1]}) and in {split} "
                    f"(row {row.number}).",
                    "Download the file again, or split anew with --resplit.",
                )

    def _split_of(self, tables: sqlite3.Connection, patient: str) -> str | None:
        if not self._split:
            return ""
        found = tables.execute("SELECT split FROM split WHERE patient = ?", (patient,)).fetchone()
        return found[0] if found else None

    def _images_of(
        self, tables: sqlite3.Connection, place: re.Match[str]
    ) -> Iterator[tuple[FoundImage, str]]:
        """The images of a study, each with what is wrong with it."""
        if not self._images:
            return
        root = self._images.absolute()
        inside = Path(place[1], place[2], place[4])
        folder = next((f for f in (root / "files" / inside, root / inside) if f.is_dir()), None)
        if self._metadata:
            query = "SELECT dicom, view FROM image WHERE study = ? ORDER BY dicom"
            for dicom, view in tables.execute(query, (place[5],)).fetchall():
                path = folder / f"{dicom}.jpg" if folder and re.fullmatch(r"[\w-]+", dicom) else None
                there = path is not None and path.is_file()
                problem = "" if there else f"no image {inside.as_posix()}/{dicom}.jpg in {root}"
                yield FoundImage(dicom, str(path), view_of(view)), problem
        elif folder:
            for path in sorted(folder.glob("*.jpg")):
                yield FoundImage(path.stem, str(path)), ""

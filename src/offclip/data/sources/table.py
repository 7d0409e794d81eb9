"""A table of reports, as a hospital exports it: a row an image, or a report where there are none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from offclip.data.files import Skipped
from offclip.data.sources.found import SPLIT_NAMES, FoundImage, FoundStudy
from offclip.data.sources.rows import Row, TableRows
from offclip.data.sources.text_files import foreign_note
from offclip.errors import DataError
from offclip.images.views import view_of

_TEXTS = ("findings", "impression")


class TableReports:
    """The rows of a table with the columns of docs/data.md.

    Args:
        path: A `.csv`, `.tsv` or `.parquet` file.
        images: Folder that `image_path` is relative to; the folder of the table by default.
        resplit: Ignore the column `split`.

    Raises:
        DataError: The table cannot be read or lacks `study_id` or a column with the text.
    """

    def __init__(self, path: Path, images: Path | None = None, *, resplit: bool = False) -> None:
        self.path = path
        self.notes: list[str] = []
        self._folder = str((images or path.parent).absolute())
        self._rows = TableRows(path)
        self._rows.require("study_id")
        names = self._rows.columns
        self._place = {name: names.index(name) for name in names if name}
        if "report" not in self._place and not set(_TEXTS) & set(self._place):
            raise DataError(
                f"{path}: there is no text column (found: {', '.join(names)[:300]}).",
                "Name it 'report', or 'findings' and 'impression'.",
            )
        if resplit:
            self._place.pop("split", None)
        self._has_images = "image_path" in self._place
        self._has_patients = "patient_id" in self._place
        if not self._has_images:
            self.notes.append("There is no column image_path, so the studies have no images.")
        if not self._has_patients:
            self.notes.append(
                "Warning: there is no column patient_id, so every study counts as a patient of its own, and "
                "a patient with several studies can come into several splits."
            )

    def inputs(self) -> Iterator[Path]:
        """The table."""
        yield self.path

    def read(self) -> Iterator[FoundStudy | Skipped]:
        """One study a row."""
        source = str(self.path)
        place = self._place.get("study_id", 0)
        for row in self._rows:
            found = row.problem or self._study(row, source)
            yield Skipped(source, row.number, row.values[place], found) if isinstance(found, str) else found
        if self._rows.foreign:
            self.notes.append(foreign_note(self._rows.foreign).replace("text(s)", "line(s)"))

    def _study(self, row: Row, source: str) -> FoundStudy | str:
        """The study of a row, or what is wrong with it."""
        study_id = self._cell(row, "study_id")
        patient_id = self._cell(row, "patient_id") if self._has_patients else study_id
        if not study_id:
            return "no study_id"
        if not patient_id:
            return "no patient_id"
        if self._has_images and not self._cell(row, "image_path"):
            return "no image_path"
        report = self._cell(row, "report")
        if not report:
            parts = ((name.upper(), self._cell(row, name)) for name in _TEXTS)
            report = "\n".join(f"{name}: {text}" for name, text in parts if text)
        if not report:
            return "the report has no text"
        given = self._cell(row, "split")
        split = SPLIT_NAMES.get(given.lower(), "") if given else ""
        if given and not split:
            return f"unknown split {given!r}; known: train, validate, test"
        images: tuple[FoundImage, ...] = ()
        if self._has_images:
            image_path = self._cell(row, "image_path")
            path = os.path.join(self._folder, image_path)  # noqa: PTH118  (a million rows: pathlib is slow)
            if not os.path.isfile(path):  # noqa: PTH113
                return f"{image_path}: the image file does not exist"
            image_id = self._cell(row, "image_id") or Path(image_path).stem
            images = (FoundImage(image_id, path, view_of(self._cell(row, "view"))),)
        return FoundStudy(study_id, patient_id, split, report, images, source, row.number)

    def _cell(self, row: Row, name: str) -> str:
        place = self._place.get(name)
        return "" if place is None else row.values[place]

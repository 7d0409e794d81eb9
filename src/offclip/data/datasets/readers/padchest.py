"""PadChest: 160,000 films of one Spanish hospital with reports and 193 labels, a quarter of them by hand.

Source: Bustos et al., Medical Image Analysis 2020;66:101797; the table is
`PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.label_map import ALL_ABSENT, ANY_OTHER, IGNORED, label_table
from offclip.data.datasets.record import ImageRecord
from offclip.data.datasets.tables.cells import number, sex_of
from offclip.data.datasets.tables.tree import ImageFiles, is_file_name, need_table
from offclip.data.files import Skipped
from offclip.data.sources.rows import Row, TableRows
from offclip.errors import DataError
from offclip.images.views import view_of

TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
COLUMNS = (
    "ImageID", "ImageDir", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM",
    "Projection", "Report", "MethodLabel", "Labels",
)  # fmt: skip
_FOLDERS = tuple(str(i) for i in range(55))
# Rib views (COSTAL) and films of unknown projection (UNK) keep the view "unknown".
_VIEWS = {"AP_horizontal": "AP"}
_EXCLUDED = "EXCLUDE"
_OLDEST = 120
_ITEM = r"""(?:'[^']*'|"[^"]*"|nan|None)"""
_LIST = re.compile(rf"\[\s*(?:{_ITEM}(?:\s*,\s*{_ITEM})*\s*)?\]")
_NAME = re.compile(r"""'([^']*)'|"([^"]*)\"""")


def parse_labels(text: str) -> tuple[str, ...] | None:
    """The names in a cell such as `['normal', ' pneumonia', '']`, each once; None where it is no list.

    A cell that is empty or `nan` holds no name, and so does an entry that is empty or `nan`.

    Example:
        >>> parse_labels("['COPD signs', ' pneumonia', '']"), parse_labels("nan"), parse_labels("['normal'")
        (('COPD signs', 'pneumonia'), (), None)
    """
    text = text.strip()
    if text in ("", "nan"):
        return ()
    if not _LIST.fullmatch(text):
        return None
    names = (" ".join((one or two).split()) for one, two in _NAME.findall(text))
    return tuple(dict.fromkeys(name for name in names if name and name != "nan"))


def age_at(date: str, birth: str) -> float | None:
    """The years between a date such as `20140915` and a year of birth such as `1930.0`; None if impossible.

    Example:
        >>> age_at("20140915", "1930.0"), age_at("20140915", ""), age_at("20140915", "2140.0")
        (84.0, None, None)
    """
    year, born = number(date[:4]) if len(date) == 8 and date.isdigit() else None, number(birth)
    if year is None or born is None or not 0 <= year - born <= _OLDEST:
        return None
    return year - born


class PadChest:
    """PadChest as BIMCV offers it.

    Args:
        root: The folder of the table; images lie in it, in `0` to `54`, or in `images`.
        option: `"physician"` for the rows that physicians labelled; empty for all.

    Raises:
        DataError: The table is missing or lacks a column.
    """

    card = Card(
        name="padchest",
        title="PadChest: chest X-rays with multi-label annotated reports (1 February 2019)",
        url="https://bimcv.cipf.es/bimcv-projects/padchest/",
        access="registration",
        terms=(
            "PADCHEST Dataset Research Use Agreement of BIMCV: research and education, not commercial use, "
            "no redistribution; the form on the page must be filled in. offclip never fetches it."
        ),
        citation=(
            "Bustos, Pertusa, Salinas, de la Iglesia-Vaya. PadChest: A large chest x-ray image dataset with "
            "multi-label annotated reports. Medical Image Analysis 2020;66:101797."
        ),
        layout=(
            f"{TABLE}  one row an image (also .csv.gz)\n"
            "<ImageDir>/<ImageID>  16-bit PNG in the folders 0 to 54, as unpacked from 0.zip to 54.zip; "
            "all in one folder, or below images/, is understood too"
        ),
        published={"images": 160850, "studies": 109931, "patients": 67625},
        published_source=(
            "the publishers' table of 1 February 2019: 160,861 rows less the 11 that they exclude; the "
            "paper counts the same patients and studies, but 160,868 images"
        ),
        options={
            "physician": "only the 39,053 images whose reports physicians labelled (MethodLabel = Physician)"
        },
        notes=(
            "Three quarters of the labels were made by a neural network from the report (MethodLabel = "
            "RNN_model).",
            "Labels are of the report, so all images of a study share them, whatever each of them shows.",
            "Rows without any label ('nan' or ['']), or with 'unchanged', 'exclude' and 'suboptimal study' "
            "alone, are unknown, not normal; in some rows 'normal' stands beside findings.",
            "The labels exclude, unchanged and suboptimal study are no findings. Names keep the publishers' "
            "spelling (pectum, pneumoperitoneo, dai for an implanted defibrillator).",
            "The age is the year of the study minus the year of birth, so it may be a year too high.",
            "There is no official split.",
            "Images that the publishers exclude (Projection EXCLUDE, 11) are left out; rib views (COSTAL) "
            "are kept with an unknown view. Study 216840111366964012558082906712010004190248051 has two "
            "patients.",
            "Some PNG files of the publishers' archives are broken: cut short, or with empty chunks.",
            "Reports are Spanish, stemmed, without accents.",
        ),
        contents=("labels", "reports"),
        language="es",
    )

    def __init__(self, root: Path, option: str = "") -> None:
        self.root = root
        self.notes: list[str] = []
        self._physician = option == "physician"
        if self._physician:
            self.card = replace(self.card, published={"images": 39053})
        self._table = need_table(root, TABLE, f"images/{TABLE}")
        TableRows(self._table).require(*COLUMNS)

    def tables(self) -> Iterator[Path]:
        """The one table."""
        yield self._table

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """The images of the table in its order.

        Raises:
            DataError: A label is not one of the 193.
        """
        known = label_table().get("padchest", {})
        absent: dict[str, int | None] = {name: 0 for name in known if name not in (ALL_ABSENT, ANY_OTHER)}
        reading = _Reading(self._table, absent, self._images(), self.root)
        left_out = 0
        for row in reading.table:
            method = row.values[reading.place["MethodLabel"]]
            if self._physician and not row.problem and method != "Physician":
                left_out += 1
                continue
            yield reading.record(row)
        if self._physician:
            self.notes.append(f"{left_out:,} image(s) with labels of a network are left out.")
        if reading.unlabelled:
            self.notes.append(
                f"{reading.unlabelled:,} image(s) have no label that says what they show: unknown."
            )

    def _images(self) -> ImageFiles:
        bases = (self.root, self.root / "images")
        return ImageFiles([*(base / folder for base in bases for folder in _FOLDERS), *bases])


class _Reading:
    """Turns rows into records."""

    def __init__(self, path: Path, absent: dict[str, int | None], files: ImageFiles, root: Path) -> None:
        self.table = TableRows(path)
        self.table.require(*COLUMNS)
        self.place = {name: self.table.columns.index(name) for name in COLUMNS}
        self.unlabelled = 0
        self._absent, self._unknown = absent, dict.fromkeys(absent)
        self._spelling = {name.casefold(): name for name in absent}
        self._silent = frozenset(name for name in absent if label_table()["padchest"][name] == IGNORED)
        self._files, self._root, self._source = files, root, str(path)

    def record(self, row: Row) -> ImageRecord | Skipped:
        """The record of a row, or why there is none."""
        cell = {name: row.values[place] for name, place in self.place.items()}
        image = cell["ImageID"]
        names = parse_labels(cell["Labels"])
        problem = row.problem
        for column in ("ImageID", "StudyID", "PatientID"):
            problem = problem or ("" if cell[column] else f"{column} is empty")
        if not problem and not is_file_name(image):
            problem = "ImageID is not the name of a file"
        if not problem and names is None:
            problem = "Labels is not a list such as ['normal']"
        if not problem and cell["Projection"] == _EXCLUDED:
            problem = "the publishers exclude this image (Projection EXCLUDE)"
        if problem or names is None:
            return Skipped(self._source, row.number, image, problem)
        folder = cell["ImageDir"].removesuffix(".0")
        return ImageRecord(
            image.removesuffix(".png"),
            cell["StudyID"],
            cell["PatientID"],
            self._files.path(image, self._root / folder if folder in _FOLDERS else self._root),
            view=_VIEWS.get(cell["Projection"]) or view_of(cell["Projection"]),
            age_years=age_at(cell["StudyDate_DICOM"].removesuffix(".0"), cell["PatientBirth"]),
            sex=sex_of(cell["PatientSex_DICOM"]),
            labels=self._labels(names, row.number),
            report=cell["Report"],
            source=self._source,
            row=row.number,
        )

    def _labels(self, names: tuple[str, ...], row: int) -> dict[str, int | None]:
        # "unchanged" alone says nothing of the film, neither that it is normal nor that it is not.
        silent = self._silent.issuperset(names)
        self.unlabelled += silent
        labels = (self._unknown if silent else self._absent).copy()
        for name in names:
            spelling = name if name in labels else self._spelling.get(name.casefold())
            if spelling is None:
                raise DataError(
                    f"{self._source}: row {row}, column Labels: {name!r} is none of the 193 labels of "
                    "PadChest.",
                    "If it is the publishers' label, report it: offclip must say what it means.",
                )
            labels[spelling] = 1
        return labels

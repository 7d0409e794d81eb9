"""Where the parts of MIMIC-CXR lie, and what its tables say; MS-CXR stands on the same tree."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from offclip.data.datasets.tables.cells import number, sex_of, split_of
from offclip.data.datasets.tables.named_rows import NamedRows
from offclip.errors import DataError
from offclip.images.views import view_of

METADATA = "mimic-cxr-2.0.0-metadata.csv"
SPLIT = "mimic-cxr-2.0.0-split.csv"
PATIENTS = ("patients.csv", "hosp/patients.csv")
_DIGITS = re.compile(r"\d{6,9}")
_DICOM = re.compile(r"[\w-]{8,64}")
# Beside the views that every set has: a lateral film taken across the table. Oblique, decubitus, lordotic and
# swimmer's films (LAO, RAO, LPO, PA LLD, AP RLD, AP AXIAL, SWIMMERS; 21 of 377,110) stay "unknown".
_VIEWS = {"xtable lateral": "lateral"}
_CODED_VIEWS = {
    "postero-anterior": "PA",
    "antero-posterior": "AP",
    "lateral": "lateral",
    "left lateral": "lateral",
}


@dataclass(frozen=True, slots=True)
class MimicIds:
    """The ids of an image, as they stand in the tables: without the letters of the folders.

    Attributes:
        subject: The patient, such as `"10000032"`.
        study: Such as `"50414267"`.
        dicom: The stem of the file.
    """

    subject: str
    study: str
    dicom: str

    @property
    def group(self) -> str:
        """The folder that the patient lies in, such as `"p10"`."""
        return f"p{self.subject[:2]}"

    def path(self, files: Path, ending: str) -> Path:
        """Where the image lies below the folder `files`."""
        return files / self.group / f"p{self.subject}" / f"s{self.study}" / f"{self.dicom}{ending}"


def read_ids(cells: Mapping[str, str]) -> MimicIds | str:
    """The ids of a row, or what is wrong with them; they cannot lead out of the tree.

    Example:
        >>> read_ids({"subject_id": "10000032", "study_id": "50414267", "dicom_id": "02aa804e"}).group
        'p10'
        >>> read_ids({"subject_id": "10000032", "study_id": "", "dicom_id": "02aa804e-bde0afdd"})
        'study_id is missing or no number'
    """
    subject, study = cells.get("subject_id", "").lstrip("p"), cells.get("study_id", "").lstrip("s")
    for name, value in (("subject_id", subject), ("study_id", study)):
        if not _DIGITS.fullmatch(value):
            return f"{name} is missing or no number"
    dicom = cells.get("dicom_id", "")
    if not _DICOM.fullmatch(dicom):
        return "dicom_id is missing or has characters that no id has"
    return MimicIds(subject, study, dicom)


def files_folder(root: Path) -> Path:
    """The folder with `p10` to `p19`: `files` below the root, or the root itself."""
    folder = root.absolute() / "files"
    return root.absolute() if not folder.is_dir() and any(root.glob("p1?")) else folder


def mimic_view(cells: Mapping[str, str]) -> str:
    """The view from ViewPosition, and from the coded view where that is empty (15,769 images).

    Example:
        >>> mimic_view({"ViewPosition": "LL"}), mimic_view({"ViewPosition": "PA LLD"})
        ('lateral', 'unknown')
        >>> mimic_view({"ViewPosition": "", "ViewCodeSequence_CodeMeaning": "postero-anterior"})
        'PA'
    """
    position = cells.get("ViewPosition", "")
    if position:
        return _VIEWS.get(position.lower()) or view_of(position)
    return _CODED_VIEWS.get(cells.get("ViewCodeSequence_CodeMeaning", "").lower(), "unknown")


def read_splits(path: Path | None) -> dict[str, str]:
    """The official split of every image, from `SPLIT`; empty without it.

    Raises:
        DataError: The table lacks a column or names an unknown split.
    """
    splits: dict[str, str] = {}
    for row in NamedRows(path, "dicom_id", "split") if path else ():
        split = split_of(row.cells["split"])
        if row.problem or not split:
            what = row.problem or f"unknown split {row.cells['split'][:20]!r}"
            raise DataError(f"{path}: row {row.number}: {what}.", "Download the file again.")
        splits[row.cells["dicom_id"]] = split
    return splits


def read_views(path: Path | None, wanted: Container[str] | None = None) -> dict[str, str]:
    """The view of every image, or of the wanted ones, from `METADATA`; empty without it.

    Raises:
        DataError: The table lacks a column.
    """
    rows = NamedRows(path, "dicom_id", "ViewPosition") if path else ()
    return {
        row.cells["dicom_id"]: mimic_view(row.cells)
        for row in rows
        if not row.problem and (wanted is None or row.cells["dicom_id"] in wanted)
    }


@dataclass(frozen=True, slots=True)
class Anchor:
    """A patient of MIMIC-IV: sex, and age in a year that stands for the real one.

    Attributes:
        sex: `"F"`, `"M"` or empty.
        age: In the year.
        year: Shifted like the dates of the patient's studies.
    """

    sex: str
    age: float | None
    year: int | None

    def age_at(self, study_date: str) -> float | None:
        """The age in years at a study; 91 stands for every age above 89.

        Args:
            study_date: As in the metadata, such as `"21800506"`.

        Example:
            >>> Anchor("F", 52.0, 2180).age_at("21810506")
            53.0
        """
        year = number(study_date[:4])
        if (
            self.age is None
            or self.year is None
            or year is None
            or not 0 < self.age + year - self.year <= 120
        ):
            return None
        return self.age + year - self.year


def read_patients(path: Path | None) -> dict[str, Anchor]:
    """The patients of MIMIC-IV by subject id, from one of `PATIENTS`; empty without it.

    Raises:
        DataError: The table lacks a column.
    """
    return dict(_anchors(path)) if path else {}


def _anchors(path: Path) -> Iterator[tuple[str, Anchor]]:
    for row in NamedRows(path, "subject_id", "gender", "anchor_age", "anchor_year"):
        if not row.problem:
            year = number(row.cells["anchor_year"])
            anchor = Anchor(
                sex_of(row.cells["gender"]), number(row.cells["anchor_age"]), int(year) if year else None
            )
            yield row.cells["subject_id"], anchor

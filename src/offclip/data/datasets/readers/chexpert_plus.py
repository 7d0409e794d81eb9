"""CheXpert Plus: the films of CheXpert as PNG or DICOM, with their reports.

Source: https://aimi.stanford.edu/datasets/chexpert-plus; Chambon et al., arXiv:2405.19538.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.readers.chexpert_labels import CHEXPERT_LABELS, NONE_KNOWN, read_labels
from offclip.data.datasets.readers.chexpert_paths import ChexpertImages, parse_path, view_from
from offclip.data.datasets.record import ImageRecord
from offclip.data.datasets.tables.cells import age_years, sex_of
from offclip.data.datasets.tables.named_rows import NamedRow, NamedRows
from offclip.data.datasets.tables.terms import STANFORD
from offclip.data.datasets.tables.tree import find_table, need_table
from offclip.data.files import Skipped
from offclip.errors import DataError

_TABLE = "df_chexpert_plus_240401.csv"
_LABELS = "impression_fixed.json"
_MAX_LINE = 2**16
_FORMS = {
    "png": (".png", ("PNG/PNG", "PNG", "PNGs", "")),
    "dicom": (".dcm", ("DICOM/DICOM", "DICOM", "")),
    "jpg": (".jpg", ("CheXpert-v1.0", "CheXpert-v1.0-small", "")),
}
_SECTIONS = {"section_findings": "FINDINGS", "section_impression": "IMPRESSION"}


class CheXpertPlus:
    """The films with their reports, and CheXbert's labels of the impressions where they are there.

    Args:
        root: The folder with `df_chexpert_plus_240401.csv`.
        option: `"png"` (default), `"dicom"`, or `"jpg"`: the files of CheXpert itself.

    Raises:
        DataError: The table is missing or lacks a column.
    """

    card = Card(
        name="chexpert-plus",
        title="CheXpert Plus",
        url="https://aimi.stanford.edu/datasets/chexpert-plus",
        access="registration",
        terms=STANFORD,
        citation=(
            "Chambon et al. CheXpert Plus: Augmenting a Large Chest X-ray Dataset with Text Radiology "
            "Reports, Patient Demographics and Additional Image Formats. arXiv:2405.19538, 2024."
        ),
        layout=(
            "df_chexpert_plus_240401.csv  path_to_image, path_to_dcm, frontal_lateral, ap_pa, "
            "deid_patient_id,\n"
            "  patient_report_date_order, report, section_findings, section_impression, age, sex, split, "
            "...\n"
            "PNG/train/patient42142/study5/view1_frontal.png, PNG/valid/...  as the archives unpack\n"
            "DICOM/train/patient42142/study5/view1_frontal.dcm  or the DICOM files (option dicom)\n"
            "CheXpert-v1.0/train/.../view1_frontal.jpg  or the files of CheXpert (option jpg)\n"
            "chexbert_labels/impression_fixed.json  CheXbert's labels, a line an image (optional)"
        ),
        published={
            "images": 223462,
            "images train": 223228,
            "images validate": 234,
            "studies": 187711,
            "patients": 64725,
        },
        published_source=(
            "Chambon et al.: 223,228 films, 187,711 reports, 64,725 patients; the table adds CheXpert's 234 "
            "validation films"
        ),
        options={
            "png": "the PNG files (default)",
            "dicom": "the DICOM files",
            "jpg": "the JPEG files of CheXpert",
        },
        notes=(
            "path_to_image ends in .jpg whatever the form; the endings are put right here.",
            "Some films of CheXpert are not in it, and it has the same patients and split: do not train on "
            "one and test on the other.",
            "Reports hold line ends inside quotation marks: read the table with a CSV parser, not line by "
            "line.",
            "impression_fixed.json labels the impression, which is what CheXpert's own labels are made from.",
        ),
        contents=("labels", "reports"),
    )

    def __init__(self, root: Path, option: str = "") -> None:
        self.root, self.notes = root, []
        self._table = need_table(root, _TABLE)
        NamedRows(self._table, "path_to_image")
        self._labels = find_table(root, f"chexbert_labels/{_LABELS}", _LABELS)
        ending, folders = _FORMS[option or "png"]
        self._images = ChexpertImages(*(root / folder for folder in folders), ending=ending)

    def tables(self) -> Iterator[Path]:
        """The table and the labels."""
        yield self._table
        if self._labels:
            yield self._labels

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """The films, in the order of the table."""
        labels = read_chexbert(self._labels) if self._labels else {}
        unlabelled = without = 0
        for row in NamedRows(self._table, "path_to_image"):
            found = row.problem or self._record(row, labels)
            if isinstance(found, str):
                yield row.skipped(self._table, "path_to_image", found)
                continue
            unlabelled += found.image_id not in labels
            without += not found.report
            yield found
        if not self._labels:
            self.notes.append(f"No chexbert_labels/{_LABELS}: the films have no labels.")
        elif unlabelled:
            self.notes.append(f"{unlabelled:,} film(s) have no line in {_LABELS}.")
        if without:
            self.notes.append(f"{without:,} film(s) have no report.")

    def _record(self, row: NamedRow, labels: Mapping[str, Mapping[str, int | None]]) -> ImageRecord | str:
        """The film of a row, or what is wrong with it."""
        cells = row.cells
        path = parse_path(cells["path_to_image"])
        if path is None:
            return "path_to_image is not of the form train/patient00001/study1/view1_frontal.jpg"
        if cells.get("deid_patient_id") not in (None, "", path.patient):
            return "deid_patient_id is not the patient of path_to_image"
        split = {"train": "train", "valid": "validate", "": path.split}.get(cells.get("split", ""))
        if split is None:
            return f"unknown split {cells['split'][:20]!r}; known: train, valid"
        return ImageRecord(
            image_id=path.image_id,
            study_id=path.study_id,
            patient_id=path.patient,
            path=self._images.path(path),
            split=split,
            view=view_from(path, cells.get("frontal_lateral", ""), cells.get("ap_pa", "")),
            age_years=age_years(cells.get("age", "")) or None,  # 0 stands for "unknown"
            sex=sex_of(cells.get("sex", "")),
            labels=labels.get(path.image_id, NONE_KNOWN) if self._labels else {},
            report=_report(cells),
            source=str(self._table),
            row=row.number,
        )


def _report(cells: Mapping[str, str]) -> str:
    """The report; from its sections where only they are there."""
    whole = cells.get("report", "")
    if whole:
        return whole
    parts = ((header, cells.get(column, "")) for column, header in _SECTIONS.items())
    return "\n".join(f"{header}: {text}" for header, text in parts if text)


def read_chexbert(path: Path) -> dict[str, Mapping[str, int | None]]:
    """CheXbert's labels by image id, from JSON lines with `path_to_image` and the fourteen labels.

    Raises:
        DataError: A line is no JSON object, or has other labels or values.
    """
    labels: dict[str, Mapping[str, int | None]] = {}
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_MAX_LINE):
                number += 1
                if line.strip():
                    image_id, found = _read_line(line, f"{path}: line {number}")
                    labels[image_id] = found
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).", "Check the path.") from error
    return labels


def _read_line(line: bytes, where: str) -> tuple[str, Mapping[str, int | None]]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not readable JSON ({error}).", "Download the file again.") from error
    if not isinstance(entry, dict) or not isinstance(entry.get("path_to_image"), str):
        raise DataError(f"{where}: no object with path_to_image.", "Download the file again.")
    path = parse_path(entry["path_to_image"])
    missing = next((label for label in CHEXPERT_LABELS if label not in entry), None)
    if path is None or missing:
        what = f"the label {missing!r} is missing" if missing else "path_to_image has an unknown form"
        raise DataError(f"{where}: {what}.", "Download the file again.")
    cells = {label: "" if entry[label] is None else str(entry[label]) for label in CHEXPERT_LABELS}
    cells |= {label: "" for label, cell in cells.items() if cell == "nan"}  # JSON of pandas: NaN
    labels = read_labels(cells, CHEXPERT_LABELS)
    if isinstance(labels, str):
        raise DataError(f"{where}: {labels}.", "Download the file again.")
    return path.image_id, labels

"""A hospital's export of reports becomes the study table.

An export is one table with a row an image: `study_id`, `patient_id`, `image_path` and the text, either in
`report` or in `findings` and `impression`; `image_id`, `view` and `split` are optional.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from offclip.data.csv_table import read_table
from offclip.data.files import Skipped
from offclip.data.split import split_of
from offclip.data.study import STUDY_SCHEMA, check_studies
from offclip.errors import DataError
from offclip.reports import label_report

SPLIT_NAMES = {"train": "train", "training": "train", "test": "test", "testing": "test"} | dict.fromkeys(
    ("validate", "validation", "valid", "val", "dev"), "validate"
)
VIEW_NAMES = {"pa": "PA", "ap": "AP", "frontal": "frontal"} | dict.fromkeys(
    ("lateral", "lat", "ll", "l"), "lateral"
)


@dataclass
class ExportedStudy:
    """One study of an export, before its report is labelled."""

    study_id: str
    patient_id: str
    split: str
    report: str
    first_row: int
    images: list[dict[str, str]] = field(default_factory=list)


def studies_from_export(
    path: str | Path, *, resplit: bool = False, on_progress: Callable[[int, int], None] | None = None
) -> tuple[pl.DataFrame, list[Skipped]]:
    """Reads an export, labels every report, and returns the study table.

    Args:
        path: The table; image paths in it are relative to its folder, or absolute.
        resplit: Ignore the column `split` and split by a hash of the patient id.
        on_progress: Called with (studies done, studies in all).

    Returns:
        The checked table with absolute image paths, and the rows that were left out with the reason.

    Raises:
        DataError: The table cannot be read, no usable row is left, or a patient is in two splits.
    """
    studies, skipped = read_export(path, resplit=resplit)
    records = []
    for done, study in enumerate(studies, start=1):
        labelled = label_report(study.report)
        if on_progress:
            on_progress(done, len(studies))
        if not labelled.sentences:
            reason = "the report has no sentence in findings or impression"
            skipped.append(Skipped(str(path), study.first_row, study.study_id, reason))
            continue
        records.append(
            {
                "study_id": study.study_id,
                "patient_id": study.patient_id,
                "split": study.split,
                "images": study.images,
                "report": study.report,
                "sentences": [
                    {
                        "text": s.text,
                        "label": s.label,
                        "reason": s.reason,
                        "prompt": s.prompt,
                        "section": s.section,
                        "start": s.start,
                        "end": s.end,
                        "findings": [],
                    }
                    for s in labelled.sentences
                ],
                "label": labelled.label,
            }
        )
    if not records:
        reasons = f" The first reason: {skipped[0].reason}" if skipped else ""
        raise DataError(f"{path}: no usable row is left.{reasons}", "Mend the rows and run again.")
    return check_studies(pl.DataFrame(records, schema=STUDY_SCHEMA), str(path)), skipped


def read_export(path: str | Path, *, resplit: bool = False) -> tuple[list[ExportedStudy], list[Skipped]]:
    """Reads and checks the rows of an export; see `studies_from_export`.

    Raises:
        DataError: The table cannot be read.
    """
    path = Path(path)
    table = read_table(path, ("study_id", "patient_id", "image_path"))
    if "report" not in table.columns and not {"findings", "impression"} & set(table.columns):
        raise DataError(
            f"{path}: there is no text column.", "Name it 'report', or 'findings' and 'impression'."
        )
    studies: dict[str, ExportedStudy] = {}
    image_rows: dict[str, int] = {}
    skipped: list[Skipped] = []
    for number, row in enumerate(table.iter_rows(named=True), start=2):  # row 1 is the header
        problem = _add_row(row, number, path.parent.absolute(), resplit, studies, image_rows)
        if problem:
            skipped.append(Skipped(str(path), number, row["study_id"] or row.get("image_id") or "", problem))
    return list(studies.values()), skipped


def _add_row(
    row: dict[str, str | None],
    number: int,
    folder: Path,
    resplit: bool,
    studies: dict[str, ExportedStudy],
    image_rows: dict[str, int],
) -> str | None:
    """Adds one row to the studies; returns what is wrong with it, or None."""
    for column in ("study_id", "patient_id", "image_path"):
        if not row[column]:
            return f"no {column}"
    study_id, patient_id, image_path = (str(row[c]) for c in ("study_id", "patient_id", "image_path"))
    report = _text_of(row)
    if not report:
        return "the report has no text"
    split = (
        split_of(patient_id)
        if resplit or not row.get("split")
        else SPLIT_NAMES.get(str(row["split"]).lower())
    )
    if split is None:
        return f"unknown split {row['split']!r}; known: train, validate, test"
    image_id = row.get("image_id") or Path(image_path).stem
    if image_id in image_rows:
        hint = "" if row.get("image_id") else "; a column image_id can tell equal file names apart"
        return f"image {image_id} stands in the table twice (first in row {image_rows[image_id]}){hint}"
    if not _is_file(folder / image_path):
        return f"{image_path}: the image file does not exist"
    study = studies.setdefault(study_id, ExportedStudy(study_id, patient_id, split, report, number))
    for what, known, given in (
        ("patient", study.patient_id, patient_id),
        ("report", study.report, report),
        ("split", study.split, split),
    ):
        if known != given:
            return f"study {study_id} stands in the table twice, with another {what} in row {study.first_row}"
    view = VIEW_NAMES.get((row.get("view") or "").lower(), "unknown")
    image_rows[image_id] = number
    study.images.append({"image_id": image_id, "path": str(folder / image_path), "view": view})
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a folder that may not be entered
        return False


def _text_of(row: dict[str, str | None]) -> str:
    if row.get("report"):
        return str(row["report"])
    parts = [f"{name.upper()}: {row[name]}" for name in ("findings", "impression") if row.get(name)]
    return "\n".join(parts)

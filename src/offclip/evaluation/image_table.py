"""The images of an evaluation folder, as `studies.parquet` or else `reports.csv` says them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from offclip.data.exports import read_export
from offclip.data.files import Skipped
from offclip.data.loader import ImageRef
from offclip.data.study import check_patients, read_studies
from offclip.errors import DataError

# Of a study table; the last two are there for public sets only.
_COLUMNS = ("study_id", "patient_id", "split", "images", "age_years", "sex")


@dataclass(frozen=True, slots=True)
class About:
    """What the table says of one image beside its path.

    Attributes:
        study_id, patient_id: Its own.
        attributes: From a name of `ATTRIBUTES` to its value, where known.
    """

    study_id: str
    patient_id: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ImageTable:
    """The images of a folder.

    Attributes:
        splits: For each split its images, in the order of the table.
        about: For each of their ids the study, the patient and attributes.
        lateral: Ids of the lateral images that were not asked for.
        skipped: Rows that were left out, with the reason.
    """

    splits: dict[str, list[ImageRef]]
    about: dict[str, About]
    lateral: set[str]
    skipped: list[Skipped]


def read_image_table(folder: Path, *, lateral: bool = False) -> ImageTable:
    """Reads `studies.parquet`, or `reports.csv` where there is no such table.

    Args:
        folder: Holds one of them.
        lateral: Take lateral images as well; else frontal ones only.

    Raises:
        DataError: There is neither file, it is unusable, or a patient is in two splits.
    """
    studies, skipped = _read_rows(folder)
    table = ImageTable({}, {}, set(), skipped)
    for study in studies:
        refs = table.splits.setdefault(study["split"], [])
        for image in study["images"]:
            if image["view"] == "lateral" and not lateral:
                table.lateral.add(image["image_id"])
                continue
            refs.append(ImageRef(image["image_id"], Path(image["path"])))
            table.about[image["image_id"]] = _about(study, image["view"])
    return table


def _read_rows(folder: Path) -> tuple[list[dict[str, Any]], list[Skipped]]:
    """A row a study, with those of `_COLUMNS` that are there, and what was left out."""
    table, reports = folder / "studies.parquet", folder / "reports.csv"
    if table.is_file():
        studies = read_studies(table)
        rows = studies.select(column for column in _COLUMNS if column in studies.columns)
        return list(rows.iter_rows(named=True)), []
    if not reports.is_file():
        raise DataError(
            f"{folder}: neither studies.parquet nor reports.csv.", "One of them says where the images are."
        )
    exported, skipped = read_export(reports)
    patients = {"patient_id": [s.patient_id for s in exported], "split": [s.split for s in exported]}
    check_patients(pl.DataFrame(patients), str(reports))
    return [
        {"study_id": s.study_id, "patient_id": s.patient_id, "split": s.split, "images": s.images}
        for s in exported
    ], list(skipped)


def _about(study: Mapping[str, Any], view: str | None) -> About:
    age = study.get("age_years")
    # A study table of the user's own may hold ages as text.
    written = age if age is None or isinstance(age, str) else f"{age:g}"
    known = {"view": view, "sex": study.get("sex"), "age": written}
    attributes = {name: value for name, value in known.items() if value}
    return About(study["study_id"], study["patient_id"], attributes)

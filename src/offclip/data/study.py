"""The one table of studies that every step reads and writes.

One row is one study: its report, the images that belong to it, and what the labeller made of the
report. The table lives in a Parquet file; image paths are relative to the folder of that file, or
absolute.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import polars as pl

from offclip.data.files import atomic_path
from offclip.errors import DataError

SPLITS = ("train", "validate", "test")
LABELS = ("normal", "abnormal", "uncertain")
# Columns of labels.csv that are no findings.
LABEL_KEYS = ("image_id", "study_id", "patient_id", "split", "view", "normal")
# What else a table of labels may say of an image; results are reported for the groups that these make.
ATTRIBUTES = ("view", "age", "sex", "source")
NOT_FINDINGS = frozenset((*LABEL_KEYS, *ATTRIBUTES))

IMAGE = pl.Struct({"image_id": pl.String, "path": pl.String, "view": pl.String})
FINDING = pl.Struct(
    {
        "finding": pl.String,
        "certainty": pl.String,
        "side": pl.String,
        "zone": pl.String,
        "severity": pl.String,
    }
)
# `report[start:end]` is the text; `section` is where it stands.
SENTENCE = pl.Struct(
    {
        "text": pl.String,
        "label": pl.String,
        "reason": pl.String,
        "prompt": pl.String,
        "section": pl.String,
        "start": pl.Int64,
        "end": pl.Int64,
        "findings": pl.List(FINDING),
    }
)
STUDY_SCHEMA = pl.Schema(
    {
        "study_id": pl.String,
        "patient_id": pl.String,
        "split": pl.String,
        "images": pl.List(IMAGE),
        "report": pl.String,
        "sentences": pl.List(SENTENCE),
        "label": pl.String,
    }
)


def check_studies(studies: pl.DataFrame, name: str = "studies") -> pl.DataFrame:
    """Checks a study table against the schema and the rules that no run may break.

    Args:
        studies: A table with the columns of `STUDY_SCHEMA`; others are kept.
        name: What to call the table in messages.

    Returns:
        The same table.

    Raises:
        DataError: A column is missing or of another type; a value is missing; a study or an image stands in
            the table twice; a patient is in two splits; a split or a label is unknown; the table is empty.
    """
    _check_columns(studies, name)
    if studies.is_empty():
        raise DataError(f"{name} holds no study.", "Check how the table was made.")
    for column in ("study_id", "patient_id", "split", "images", "sentences", "label"):
        missing = studies.with_row_index("row").filter(pl.col(column).is_null())
        if len(missing):
            raise DataError(
                f"{name}: row {missing['row'][0]} has no {column}.", "Fill it or leave the row out."
            )
    _check_unique(studies["study_id"], "study", name)
    images = _check_parts(studies, "images", ("image_id", "path"), name)
    _check_unique(images["image_id"], "image", name)
    sentences = _check_parts(studies, "sentences", ("text", "label", "prompt"), name)
    _check_known(studies["split"], SPLITS, "split", name)
    _check_known(studies["label"], LABELS, "label", name)
    _check_known(sentences["label"], LABELS, "sentence label", name)
    check_patients(studies, name)
    return studies


def check_patients(studies: pl.DataFrame, name: str) -> None:
    """Refuses a table that has a patient in two splits.

    Args:
        studies: At least the columns `patient_id` and `split`.
        name: What to call the table in messages.

    Raises:
        DataError: A patient is in two splits.
    """
    leaks = leaking_patients(studies)
    if len(leaks):
        patient, splits = leaks.row(0)
        raise leak_error(name, len(leaks), patient, splits)


def leak_error(name: str, patients: int, patient: str, splits: Sequence[str]) -> DataError:
    """The error for a table with `patients` patients in more than one split, `patient` being the first."""
    return DataError(
        f"{name}: {patients} patient(s) are in more than one split, "
        f"such as {patient} in {', '.join(splits)}.",
        "Split by patient; 'offclip label --resplit' makes a patient-level split.",
    )


def leaking_patients(studies: pl.DataFrame) -> pl.DataFrame:
    """Patients with studies in more than one split: columns `patient_id`, `splits` (list)."""
    return (
        studies.group_by("patient_id")
        .agg(pl.col("split").unique().sort().alias("splits"))
        .filter(pl.col("splits").list.len() > 1)
        .sort("patient_id")
    )


def read_studies(path: str | Path) -> pl.DataFrame:
    """Reads and checks a study table, with image paths made absolute.

    Raises:
        DataError: The file is missing, no Parquet file, or breaks a rule of `check_studies`.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            f"{path}: no such file.", "Make it with 'offclip label reports.csv --out studies.parquet'."
        )
    try:
        studies = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}).", "Make it again.") from error
    check_studies(studies, str(path))
    return _map_paths(studies, lambda image: str(path.parent.absolute() / image))


def write_studies(studies: pl.DataFrame, path: str | Path) -> None:
    """Checks and writes a study table; paths inside the folder of the file become relative to it.

    Raises:
        DataError: The table breaks a rule, or the file cannot be written.
    """
    path = Path(path)
    folder = path.parent.absolute()

    def relative(image: str) -> str:
        absolute = Path(image).absolute()
        return str(absolute.relative_to(folder)) if absolute.is_relative_to(folder) else str(absolute)

    table = _map_paths(check_studies(studies, str(path)), relative)
    buffer = BytesIO()  # polars' own writer does not say that the disk is full
    table.write_parquet(buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _map_paths(studies: pl.DataFrame, change) -> pl.DataFrame:
    images = [
        [{**image, "path": change(image["path"])} for image in row] for row in studies["images"].to_list()
    ]
    return studies.with_columns(pl.Series("images", images, dtype=pl.List(IMAGE)))


def _check_columns(studies: pl.DataFrame, name: str) -> None:
    for column, dtype in STUDY_SCHEMA.items():
        if column not in studies.columns:
            raise DataError(
                f"{name} has no column {column!r} (it has {', '.join(studies.columns)}).",
                "A study table is made by 'offclip label'.",
            )
        if studies.schema[column] != dtype:
            raise DataError(
                f"{name}: column {column!r} is {studies.schema[column]}, expected {dtype}.",
                "A study table is made by 'offclip label'.",
            )


def _check_parts(studies: pl.DataFrame, column: str, parts: tuple[str, ...], name: str) -> pl.DataFrame:
    """All structs of a list column as a table with `study_id`, every one of `parts` filled."""
    filled = studies.select("study_id", column).filter(pl.col(column).list.len() > 0)
    table = filled.explode(column).unnest(column)
    for part in parts:
        missing = table.filter(pl.col(part).is_null() | (pl.col(part).str.strip_chars() == ""))
        if len(missing):
            raise DataError(
                f"{name}: study {missing['study_id'][0]} has an entry in {column} without {part}.",
                "Fill it or leave the entry out.",
            )
    return table


def _check_unique(ids: pl.Series, what: str, name: str) -> None:
    doubled = ids.filter(ids.is_duplicated())
    if len(doubled):
        raise DataError(
            f"{name}: {what} {doubled[0]} stands in the table twice.", f"Keep one row per {what}."
        )


def _check_known(values: pl.Series, known: tuple[str, ...], what: str, name: str) -> None:
    unknown = values.filter(~values.is_in(known))
    if len(unknown):
        raise DataError(f"{name}: unknown {what} {unknown[0]!r}.", f"Known: {', '.join(known)}.")

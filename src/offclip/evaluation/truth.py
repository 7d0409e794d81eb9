"""Ground truth of an evaluation: which image shows what, and where. Everything is joined by image id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from offclip.data.csv_table import read_table
from offclip.data.files import Skipped
from offclip.data.loader import ImageRef
from offclip.data.study import NOT_FINDINGS
from offclip.errors import DataError
from offclip.evaluation.boxes_table import read_boxes
from offclip.evaluation.image_table import About, read_image_table
from offclip.grounding.regions import Box
from offclip.zeroshot.prompts import NORMAL_PROMPTS, finding_prompt


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of N images.

    Attributes:
        image_ids: N ids.
        findings: F names.
        present: (N, F) 1 present, 0 absent, NaN unknown.
        normal: (N,) 1 normal, 0 abnormal, NaN unknown.
    """

    image_ids: tuple[str, ...]
    findings: tuple[str, ...]
    present: np.ndarray
    normal: np.ndarray

    def select(self, image_ids: Sequence[str]) -> Labels:
        """The labels of the given images, in that order.

        Raises:
            DataError: An image has no label.
        """
        position = {image_id: row for row, image_id in enumerate(self.image_ids)}
        unknown = [image_id for image_id in image_ids if image_id not in position]
        if unknown:
            raise DataError(
                f"{len(unknown)} image(s) have no labels, such as {unknown[0]}.", "Add them to labels.csv."
            )
        rows = [position[image_id] for image_id in image_ids]
        return Labels(tuple(image_ids), self.findings, self.present[rows], self.normal[rows])


@dataclass(frozen=True, slots=True)
class EvaluationData:
    """An evaluation folder.

    Attributes:
        images: For each split its images that have labels.
        labels: Of all of them.
        boxes: For each image id its boxes; empty without boxes.csv.
        about: For each image id its study, patient and attributes.
        skipped: Rows that were left out, with the reason.
    """

    images: dict[str, list[ImageRef]]
    labels: Labels
    boxes: dict[str, list[Box]]
    about: dict[str, About]
    skipped: list[Skipped]


def read_evaluation_folder(folder: str | Path, *, lateral: bool = False) -> EvaluationData:
    """Reads `studies.parquet` or `reports.csv`, `labels.csv`, and `boxes.csv` if there is one.

    Args:
        folder: Holds these files.
        lateral: Take lateral images as well; else frontal ones only.

    Raises:
        DataError: A file is missing or unusable, a label is not 0, 1 or blank, or nothing is left.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder.", "Give the folder that holds labels.csv.")
    table = read_image_table(folder, lateral=lateral)
    labels, bad_labels = read_labels(folder / "labels.csv")
    labelled = set(labels.image_ids)
    known = set(table.about)
    drawn, bad_boxes = read_boxes(folder / "boxes.csv")
    boxes: dict[str, list[Box]] = {}
    for image_id, box in drawn:
        boxes.setdefault(image_id, []).append(box)
    in_table = known | table.lateral
    named = [("labels.csv", image_id) for image_id in labels.image_ids] + [("boxes.csv", i) for i in boxes]
    unknown = [
        Skipped(file, 0, image_id, "no such image in the table")
        for file, image_id in named
        if image_id not in in_table
    ]
    unlabelled = [Skipped("labels.csv", 0, i, "the image has no row here") for i in sorted(known - labelled)]
    images = {split: [i for i in refs if i.image_id in labelled] for split, refs in table.splits.items()}
    if not any(images.values()):
        raise DataError(
            f"{folder}: no image of the table has a row in labels.csv.",
            "Compare the column image_id of both files.",
        )
    skipped = table.skipped + bad_labels + bad_boxes + unknown + unlabelled
    return EvaluationData(images, labels, boxes, table.about, skipped)


def read_labels(path: str | Path) -> tuple[Labels, list[Skipped]]:
    """Reads a table with `image_id`, optionally `normal`, and one 0/1/blank column a finding.

    Without a column `normal`, an image is normal when every finding is known to be absent.

    Raises:
        DataError: There is no finding column, two columns ask for the same prompt, or a value is something
            else.
    """
    path = Path(path)
    table = read_table(path, ("image_id",))
    findings = [column for column in table.columns if column not in NOT_FINDINGS]
    if not findings:
        raise DataError(
            f"{path}: no finding column beside {', '.join(table.columns)}.", "Add one 0/1 column a finding."
        )
    _check_prompts(findings, path)
    row_number = table.with_row_index("row", offset=2)
    bad = row_number.filter(pl.col("image_id").is_null() | pl.col("image_id").is_duplicated())
    first = {
        i: r for r, i in reversed(list(zip(row_number["row"], row_number["image_id"], strict=True))) if i
    }
    skipped = [
        Skipped(
            str(path),
            row,
            image_id or "",
            "no image_id" if not image_id else f"doubled (first in row {first[image_id]})",
        )
        for row, image_id in zip(bad["row"], bad["image_id"], strict=True)
        if not image_id or first[image_id] != row
    ]
    left_out = {entry.row for entry in skipped}
    table = row_number.filter(~pl.col("row").is_in(left_out))
    present = np.stack([_flags(table, finding, path) for finding in findings], axis=1)
    if "normal" in table.columns:
        normal = _flags(table, "normal", path)
    else:
        any_present = (present == 1).any(axis=1)
        normal = np.where(any_present, 0.0, np.where(np.isnan(present).any(axis=1), np.nan, 1.0))
    contradiction = (normal == 1) & (present == 1).any(axis=1)
    if contradiction.any():
        row = table["row"][int(np.flatnonzero(contradiction)[0])]
        raise DataError(f"{path}: row {row} is normal and has a finding.", "Mend the row.")
    return Labels(tuple(table["image_id"]), tuple(findings), present, normal), skipped


def _check_prompts(findings: Sequence[str], path: Path) -> None:
    asked: dict[str, str] = dict.fromkeys(NORMAL_PROMPTS, "the normal class")
    for finding in findings:
        prompt = finding_prompt(finding)
        if prompt in asked:
            raise DataError(
                f"{path}: column {finding!r} asks {prompt!r}, and so does {asked[prompt]}.",
                "Keep one of them; a column that says which images are normal has the name 'normal'.",
            )
        asked[prompt] = f"column {finding!r}"


def _flags(table: pl.DataFrame, column: str, path: Path) -> np.ndarray:
    value = pl.col(column).cast(pl.Float64, strict=False)
    wrong = table.filter(pl.col(column).is_not_null() & ~value.is_in([0.0, 1.0]).fill_null(False))
    if len(wrong):
        raise DataError(
            f"{path}: row {wrong['row'][0]}, column {column!r}: {wrong[column][0]!r} is not 0, 1 or blank.",
            "Give 1 for present, 0 for absent, nothing for unknown.",
        )
    return table.select(value.fill_null(float("nan")))[column].to_numpy()

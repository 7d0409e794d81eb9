"""The test set of CheXpert: 500 studies read by radiologists, with the masks of CheXlocalize.

Source: https://github.com/rajpurkarlab/cheXpert-test-set-labels and
https://github.com/rajpurkarlab/cheXlocalize; Saporta et al., Nature Machine Intelligence 2022;4:867-878.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.readers.chexpert_labels import label_columns, read_labels
from offclip.data.datasets.readers.chexpert_paths import (
    ChexpertImages,
    ChexpertPath,
    parse_path,
    parse_study,
    view_from,
)
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.datasets.tables.coco_rle import mask_extent
from offclip.data.datasets.tables.named_rows import NamedRow, NamedRows
from offclip.data.datasets.tables.terms import STANFORD
from offclip.data.datasets.tables.tree import find_table, need_table, read_json
from offclip.data.files import Skipped
from offclip.errors import DataError

_INSIDE = ("", "CheXpert", "chexlocalize/CheXpert", "CheXpert-v1.0")
_LABELS = ("test_labels.csv", "groundtruth.csv")
_MASKS = tuple(
    f"{folder}gt_segmentations_test.json" for folder in ("", "CheXlocalize/", "chexlocalize/CheXlocalize/")
)


class CheXpertTest:
    """The test films with the radiologists' labels, a row an image or a row a study.

    Args:
        root: The folder of CheXlocalize, or the one with the table and `test/`.
        option: None is known.

    Raises:
        DataError: There is no table of labels, or it lacks a column.
    """

    card = Card(
        name="chexpert-test",
        title="CheXpert test set, with the masks of CheXlocalize",
        url="https://aimi.stanford.edu/datasets/chexlocalize",
        access="registration",
        terms=STANFORD,
        citation=(
            "Saporta et al. Benchmarking saliency methods for chest X-ray interpretation. Nature Machine "
            "Intelligence 2022;4:867-878. Irvin et al. CheXpert. AAAI 2019;33:590-597."
        ),
        layout=(
            "CheXpert/test_labels.csv  Path, 14 labels; a row an image\n"
            "groundtruth.csv  or: Study, 14 labels; a row a study, which needs the images to list them\n"
            "CheXpert/test/patient64741/study1/view1_frontal.jpg\n"
            "CheXlocalize/gt_segmentations_test.json  masks of ten findings (optional)"
        ),
        published={"images": 668, "images test": 668, "studies": 500, "patients": 500},
        published_source="https://github.com/rajpurkarlab/cheXlocalize (README)",
        notes=(
            "Labels are the majority of five radiologists and belong to the study: a lateral film carries "
            "the labels of its frontal one.",
            "Films with none of the 14 labels and 'No Finding' = 0 are there: they show something else.",
            "A box is the extent of a mask: two lungs with an effusion make one wide box.",
            "Age and sex are not published.",
        ),
        contents=("labels", "boxes"),
    )

    def __init__(self, root: Path, option: str = "") -> None:
        self.root, self.notes = root, []
        self._table = need_table(root, *(f"{i}/{name}".lstrip("/") for name in _LABELS for i in _INSIDE))
        self._masks = find_table(root, *_MASKS)
        rows = NamedRows(self._table)
        self._key = "Path" if "Path" in rows.columns else "Study"
        NamedRows(self._table, self._key)
        self._labels = label_columns(rows.columns, self._table)
        self._images = ChexpertImages(self._table.parent, *(root / inside for inside in _INSIDE))

    def tables(self) -> Iterator[Path]:
        """The table of labels and the masks."""
        yield self._table
        if self._masks:
            yield self._masks

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """The films, in the order of the table."""
        masks = self._read_masks()
        for row in NamedRows(self._table, self._key):
            found = row.problem or self._records(row, masks)
            if isinstance(found, str):
                yield row.skipped(self._table, self._key, found)
            else:
                yield from found
        if not self._masks:
            self.notes.append("No gt_segmentations_test.json: the films have no boxes.")

    def _records(self, row: NamedRow, masks: dict[str, object]) -> list[ImageRecord | Skipped] | str:
        """The films of a row with what is wrong with their masks, or what is wrong with the row."""
        cell = row.cells[self._key]
        image, study = parse_path(cell), parse_study(cell)
        if image is None and study is None:
            return f"{self._key} is not of the form test/patient64741/study1/view1_frontal.jpg"
        labels = read_labels(row.cells, self._labels)
        if isinstance(labels, str):
            return labels
        images = [image] if image else self._images.views(study) if study else []
        if not images:
            return "no image of this study is there; test_labels.csv would name them"
        records: list[ImageRecord | Skipped] = []
        for path in images:
            boxes, problems = self._boxes(path, masks)
            records += problems
            records.append(
                ImageRecord(
                    image_id=path.image_id,
                    study_id=path.study_id,
                    patient_id=path.patient,
                    path=self._images.path(path),
                    split="test",
                    view=view_from(path),
                    labels=labels,
                    boxes=tuple(boxes),
                    source=str(self._table),
                    row=row.number,
                )
            )
        return records

    def _boxes(
        self, path: ChexpertPath, masks: dict[str, object]
    ) -> tuple[list[FindingBox], list[ImageRecord | Skipped]]:
        """The boxes of an image, and masks that cannot be read."""
        boxes: list[FindingBox] = []
        problems: list[ImageRecord | Skipped] = []
        found = masks.get(path.image_id)
        for label, mask in found.items() if isinstance(found, dict) else ():
            try:
                (height, width), counts = mask["size"], mask["counts"]
                extent = mask_extent(int(height), int(width), counts)
            except (KeyError, TypeError, ValueError) as error:
                reason = f"the mask of {label} cannot be read ({error})"
                problems.append(Skipped(str(self._masks), 0, path.image_id, reason))
                continue
            if extent:
                boxes.append(FindingBox(label, extent.x, extent.y, extent.width, extent.height))
        return boxes, problems

    def _read_masks(self) -> dict[str, object]:
        if self._masks is None:
            return {}
        masks = read_json(self._masks)
        if not isinstance(masks, dict):
            raise DataError(f"{self._masks}: not a JSON object of images.", "Download the file again.")
        return masks

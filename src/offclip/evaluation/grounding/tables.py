"""Where findings are, as tables say it: boxes.csv and masks.csv beside the table of images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from offclip.data.csv_table import read_table
from offclip.data.files import Skipped
from offclip.data.loader import ImageRef
from offclip.errors import DataError, ImageError
from offclip.evaluation.boxes_table import read_boxes
from offclip.evaluation.image_table import read_image_table
from offclip.grounding.regions import Box, Mask
from offclip.images.limits import Limits
from offclip.images.reading import ReadOptions, read

_MASK_COLUMNS = ("image_id", "finding", "mask")
# A mask has the pixels of its image, one bit each: even a film of 64 million pixels packs into a few MB.
_MASK_LIMITS = Limits(max_file_bytes=16 * 2**20)


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A row of masks.csv.

    Attributes:
        finding: In lower case.
        path: Of the PNG.
        table, row: Where it stands.
    """

    finding: str
    path: Path
    table: str
    row: int


@dataclass(slots=True)
class GroundedImage:
    """An image and where its findings are."""

    ref: ImageRef
    patient_id: str
    boxes: list[Box] = field(default_factory=list)
    masks: list[MaskFile] = field(default_factory=list)

    @property
    def findings(self) -> tuple[str, ...]:
        """What is marked on it, in alphabetical order."""
        return tuple(sorted({region.finding for region in (*self.boxes, *self.masks)}))


@dataclass(frozen=True, slots=True)
class GroundingData:
    """The images of a folder that have boxes or masks.

    Attributes:
        images: For each split that has such images, by image id.
        skipped: Rows that were left out, with the reason.
    """

    images: dict[str, list[GroundedImage]]
    skipped: list[Skipped]


def read_grounding_folder(folder: str | Path) -> GroundingData:
    """Reads `studies.parquet` or `reports.csv`, and `boxes.csv`, `masks.csv` or both.

    Raises:
        DataError: A file is missing or unusable, or no image of the table has a box or a mask.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder.", "Give the folder that holds boxes.csv or masks.csv.")
    tables = [folder / "boxes.csv", folder / "masks.csv"]
    if not any(table.is_file() for table in tables):
        raise DataError(f"{folder}: neither boxes.csv nor masks.csv.", "One of them says where findings are.")
    table = read_image_table(folder)
    images = {
        ref.image_id: (split, GroundedImage(ref, table.about[ref.image_id].patient_id))
        for split, refs in table.splits.items()
        for ref in refs
    }
    boxes, bad_boxes = read_boxes(tables[0])
    masks, bad_masks = read_masks(tables[1]) if tables[1].is_file() else ([], [])
    skipped = table.skipped + bad_boxes + bad_masks
    marked: dict[str, tuple[str, GroundedImage]] = {}
    unknown: dict[tuple[str, str], Skipped] = {}
    for image_id, region in (*boxes, *masks):
        name = tables[0 if isinstance(region, Box) else 1].name
        if image_id not in images:
            reason = "a lateral view" if image_id in table.lateral else "no such image in the table"
            unknown.setdefault((name, image_id), Skipped(name, 0, image_id, reason))
            continue
        _, image = marked.setdefault(image_id, images[image_id])
        if isinstance(region, Box):
            image.boxes.append(region)
        else:
            image.masks.append(region)
    if not marked:
        first = [*skipped, *unknown.values()][:1]
        raise DataError(
            f"{folder}: no frontal image of the table has a box or a mask."
            + "".join(f" The first row left out: {s.id}, {s.reason}." for s in first),
            "Compare the column image_id of the files.",
        )
    splits: dict[str, list[GroundedImage]] = {}
    for _, (split, image) in sorted(marked.items()):
        splits.setdefault(split, []).append(image)
    return GroundingData(splits, skipped + list(unknown.values()))


def read_masks(path: Path) -> tuple[list[tuple[str, MaskFile]], list[Skipped]]:
    """Mask files with the id of their image: columns `image_id`, `finding`, `mask`.

    The path in `mask` is relative to the folder of the table, or absolute. The files are not opened here.

    Raises:
        DataError: The table cannot be read, or lacks a column.
    """
    masks, skipped = [], []
    for number, row in enumerate(read_table(path, _MASK_COLUMNS).iter_rows(named=True), start=2):
        image_id, finding, mask = (row[column] or "" for column in _MASK_COLUMNS)
        if not image_id or not finding or not mask:
            skipped.append(Skipped(str(path), number, image_id, "no id, no finding, or no mask"))
            continue
        masks.append((image_id, MaskFile(finding.lower(), path.parent / mask, str(path), number)))
    return masks, skipped


def open_mask(file: MaskFile, height: int, width: int) -> Mask:
    """The mask of a file, which must have the size of its image.

    Args:
        file: A row of masks.csv.
        height: Of the image, in pixels.
        width: Of the image, in pixels.

    Raises:
        ImageError: The file cannot be read.
        DataError: It is no PNG, has another size, more than two grey values, or covers nothing.
    """
    film = read(file.path, ReadOptions(limits=_MASK_LIMITS))
    pixels, what = film.pixels, None
    if film.metadata.format != "PNG":
        what = f"a mask is a PNG, and this is a {film.metadata.format} file"
    elif pixels.shape != (height, width):
        what = f"the mask has {pixels.shape[0]} x {pixels.shape[1]} pixels, the image {height} x {width}"
    elif len(np.unique(pixels)) > 2 or (len(np.unique(pixels)) == 2 and pixels.min() > 0):
        what = "a mask has two grey values, and one of them is black"
    elif not pixels.any():
        what = "the mask covers nothing"
    if what:
        raise DataError(f"{file.path}: {what}.", "Mend the mask.")
    return Mask(file.finding, pixels > 0)


def open_masks(
    files: Iterable[MaskFile], image_id: str, size: tuple[int, int]
) -> tuple[list[Mask], list[Skipped]]:
    """The masks of an image that can be used, and those that cannot, with the reason."""
    masks, skipped = [], []
    for file in files:
        try:
            masks.append(open_mask(file, *size))
        except (ImageError, DataError) as error:
            skipped.append(Skipped(file.table, file.row, image_id, error.message))
    return masks, skipped

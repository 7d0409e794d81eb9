"""PadChest with the labels of `manual_image.json`, the file that CARZero and OFF-CLIP read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from offclip.data.datasets.record import ImageRecord
from offclip.data.datasets.tables.tree import find_table, read_json
from offclip.data.files import Skipped
from offclip.errors import DataError

MANUAL = "manual_image.json"
_REMEDY = "Get the file from CARZero's data, or remove it to use the rows that physicians labelled."


def manual_records(
    records: Iterable[ImageRecord | Skipped], root: Path, notes: list[str]
) -> Iterator[ImageRecord | Skipped]:
    """The records that the file names, with its labels; all records as they are where there is no file.

    Args:
        records: Of the set's reader, for the places, patients and views of the images.
        root: Folder of the set.
        notes: Filled: which labels were used.

    Raises:
        DataError: The file is no such list.
    """
    path = find_table(root, MANUAL, f"PadChest/{MANUAL}")
    if path is None:
        notes.append(f"No {MANUAL}: labels are those of the table's rows that physicians labelled.")
        for record in records:
            if isinstance(record, ImageRecord):
                record = replace(record, labels={name: value or 0 for name, value in record.labels.items()})
            yield record
        return
    manual = read_manual(path)
    notes.append(f"{len(manual):,} image(s) are labelled by {path.name}.")
    known: dict[str, str] = {}
    for record in records:
        if isinstance(record, Skipped):
            yield record
            continue
        known = known or {name.casefold(): name for name in record.labels}
        names = manual.pop(record.image_id, None)
        if names is not None:
            yield replace(record, labels=_labels(names, record.labels, known, path), source=str(path))
    for image_id in manual:
        yield Skipped(str(path), 0, image_id, "the image is not among the rows that physicians labelled")


def read_manual(path: Path) -> dict[str, list[str]]:
    """From image id to the names of its labels.

    Raises:
        DataError: The file is no object of lists of names.
    """
    manual = read_json(path)
    if not isinstance(manual, dict):
        raise DataError(f"{path}: not a JSON object of images and their labels.", _REMEDY)
    for image, names in manual.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{path}: {image[:80]!r} has no list of labels.", _REMEDY)
    return {image.rpartition("/")[2].removesuffix(".png"): names for image, names in manual.items()}


def _labels(
    names: Iterable[str], labels: Mapping[str, int | None], known: Mapping[str, str], path: Path
) -> dict[str, int | None]:
    found: dict[str, int | None] = dict.fromkeys(labels, 0)
    for name in filter(None, (" ".join(name.split()) for name in names)):
        if name.casefold() not in known:
            raise DataError(f"{path}: {name[:60]!r} is none of the labels of PadChest.", _REMEDY)
        found[known[name.casefold()]] = 1
    return found

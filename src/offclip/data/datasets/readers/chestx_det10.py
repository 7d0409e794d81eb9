"""ChestX-Det10: boxes of ten findings on 3,543 films of ChestX-ray14, drawn by three radiologists.

Source: Liu, Lian, Yu, arXiv:2006.10550; https://github.com/Deepwise-AILab/ChestX-Det10-Dataset.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.datasets.tables.tree import ImageFiles, need_table, read_json
from offclip.data.files import Skipped
from offclip.errors import DataError

FINDINGS = (
    "Atelectasis", "Calcification", "Consolidation", "Effusion", "Emphysema", "Fibrosis", "Fracture", "Mass",
    "Nodule", "Pneumothorax",
)  # fmt: skip
PARTS = ("train", "test")
_IMAGE = re.compile(r"(\d{8})_\d{3}\.png")
_REMEDY = "Download the file again from the publishers."


class ChestXDet10:
    """ChestX-Det10 as its publishers offer it.

    Args:
        root: The folder of `train.json` and `test.json`; images lie in `train_data` and `test_data`, or with
            those of ChestX-ray14 in `images`.
        option: `"official"` for the parts as published; empty for parts that share no patient.

    Raises:
        DataError: Neither of the tables is there.
    """

    card = Card(
        name="chestx-det10",
        title="ChestX-Det10",
        url="https://github.com/Deepwise-AILab/ChestX-Det10-Dataset",
        access="open",
        terms=(
            "The publishers name no licence and ask for citation of the paper; the films are the NIH "
            "Clinical Center's, which asks for acknowledgement and a link to its page."
        ),
        citation=(
            "Liu, Lian, Yu. ChestX-Det10: Chest X-ray Dataset on Detection of Thoracic Abnormalities. "
            "arXiv:2006.10550 (2020)."
        ),
        layout=(
            "train.json, test.json  a list of {file_name, syms, boxes}; a box is [x1, y1, x2, y2]\n"
            "train_data/<file_name>  1024x1024 PNG, as unpacked from train_data.zip\n"
            "test_data/<file_name>  the same from test_data.zip\n"
            "images/<file_name>  ChestX-ray14's own images instead"
        ),
        published={"images": 3543, "images train": 3001, "images test": 542},
        published_source="the publishers' README (3,543) and lists",
        options={"official": "the two parts as published, which share patients"},
        notes=(
            "The published parts share patients. So training films of patients of the test part are left "
            "out, unless the option official is given; the test part is always whole.",
            "The films are ChestX-ray14's under their own names: a model that was trained on ChestX-ray14 "
            "has seen most of them.",
            "A film without a box has none of the ten findings; it is not known to be normal.",
            "A finding stands once for each of its boxes.",
        ),
        contents=("labels", "boxes"),
    )

    def __init__(self, root: Path, option: str = "") -> None:
        self.root = root
        self.notes: list[str] = []
        self._official = option == "official"
        if not self._official:
            self.card = replace(self.card, published={"images test": 542})
        self._tables = {part: root / f"{part}.json" for part in PARTS if (root / f"{part}.json").is_file()}
        if not self._tables:
            need_table(root, "train.json", "test.json")

    def tables(self) -> Iterator[Path]:
        """The tables that are read."""
        yield from self._tables.values()

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """The films of the training part, then those of the test part, in the order of the files.

        Raises:
            DataError: A file is no such list, or has an unknown finding.
        """
        parts = {part: _entries(path) for part, path in self._tables.items()}
        for part in PARTS:
            if part not in parts:
                self.notes.append(f"No {part}.json: the {part} part is left out.")
        names = (entry.get("file_name") for entry in parts.get("test", ()) if isinstance(entry, dict))
        tested = {name[:8] for name in names if isinstance(name, str)}
        shared: dict[str, int] = {}
        for part, entries in parts.items():
            folder = self.root / f"{part}_data"
            files = ImageFiles([folder, folder / f"{part}_data", self.root / "images", self.root])
            for row, entry in enumerate(entries, start=1):
                found = _record(entry, part, row, self._tables[part], folder, files)
                if part == "train" and isinstance(found, ImageRecord) and found.patient_id in tested:
                    shared[found.patient_id] = shared.get(found.patient_id, 0) + 1
                    if not self._official:
                        reason = "its patient is in the test part (kept with the option official)"
                        found = Skipped(found.source, row, found.image_id, reason)
                yield found
        if shared:
            what = "are kept" if self._official else "are left out"
            self.notes.append(
                f"{sum(shared.values()):,} training film(s) of {len(shared):,} patient(s) of the test part "
                f"{what}."
            )


def _entries(path: Path) -> list[object]:
    entries = read_json(path)
    if not isinstance(entries, list):
        raise DataError(f"{path}: not a list of films with 'file_name', 'syms' and 'boxes'.", _REMEDY)
    return entries


def _record(
    entry: object, part: str, row: int, path: Path, folder: Path, files: ImageFiles
) -> ImageRecord | Skipped:
    """The record of an entry, whose row is its place in the list, first = 1."""
    entry = entry if isinstance(entry, dict) else {}
    name, syms = entry.get("file_name"), entry.get("syms")
    image = _IMAGE.fullmatch(name) if isinstance(name, str) else None
    if not isinstance(name, str) or not image:
        return Skipped(
            str(path), row, str(name or "")[:60], "file_name is not a name such as 00000001_000.png"
        )
    image_id = name.removesuffix(".png")
    if not isinstance(syms, list) or not all(isinstance(sym, str) for sym in syms):
        return Skipped(str(path), row, image_id, "syms is not a list of findings")
    unknown = [sym for sym in syms if sym not in FINDINGS]
    if unknown:
        raise DataError(f"{path}: entry {row}, syms: {unknown[0]!r} is none of the ten findings.", _REMEDY)
    drawn = entry.get("boxes", [None] * len(syms))  # copies of the list for classification have no boxes
    if not isinstance(drawn, list) or len(drawn) != len(syms):
        return Skipped(str(path), row, image_id, "boxes is not a list with a box for each of syms")
    boxes = [_box(sym, corners) for sym, corners in zip(syms, drawn, strict=True) if corners is not None]
    if None in boxes:
        return Skipped(str(path), row, image_id, f"box {boxes.index(None) + 1} is not [x1, y1, x2, y2]")
    return ImageRecord(
        image_id,
        image_id,
        image[1],
        files.path(name, folder),
        split=part,
        view="frontal",
        labels={finding: int(finding in syms) for finding in FINDINGS},
        boxes=tuple(box for box in boxes if box),
        source=str(path),
        row=row,
    )


def _box(label: str, corners: object) -> FindingBox | None:
    if not isinstance(corners, list) or len(corners) != 4:
        return None
    if not all(isinstance(edge, int | float) and math.isfinite(edge) for edge in corners):
        return None
    left, top, right, bottom = map(float, corners)
    return FindingBox(label, left, top, right - left, bottom - top) if right > left and bottom > top else None

"""A public set of a few films for tests of what all sets share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from offclip.data.datasets.card import Card
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.files import Skipped

CARD = Card(
    name="folder",  # its labels keep their names
    title="Tiny",
    url="https://example.org/tiny",
    access="open",
    terms="For tests.",
    citation="Nobody et al.",
    layout="films/<image_id>.png",
    published={"images": 4, "images train": 2, "boxes": 2, "Effusion": 1, "hospitals": 7},
)


def film(path: Path, grey: int = 0, side: int = 12) -> Path:
    """Writes a small film, another one for every grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (np.arange(side * side).reshape(side, side) + grey) % 256
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def records(root: Path, report: str = "") -> list[ImageRecord]:
    """Four films of three studies of three patients; all files are written."""

    def record(number: int, study: str, patient: str, split: str, normal, effusion, nodule, **more):
        path = film(root / "films" / f"i{number}.png", number * 10)
        labels = {"normal": normal, "Effusion": effusion, "Nodule": nodule}
        return ImageRecord(
            f"i{number}", study, patient, path, split, labels=labels, source="t.csv", row=number + 1, **more
        )

    box = FindingBox("Effusion", 1.0, 2.5, 4.0, 5.0, "R1")
    return [
        record(
            1, "s1", "p1", "train", 0, 1, 0, view="PA", age_years=61.0, sex="F", boxes=(box,), report=report
        ),
        record(2, "s1", "p1", "train", 0, None, 0, view="lateral", age_years=61.0, sex="F", report=report),
        record(3, "s2", "p2", "validate", 1, 0, 0, view="AP", sex="M"),
        record(4, "s3", "p3", "test", None, None, 0, view="PA"),
    ]


class TinySet:
    """Yields what it was given."""

    def __init__(self, root: Path, found: list[ImageRecord | Skipped], **card) -> None:
        self.card, self.root, self.found = replace(CARD, **card), root, found
        self.notes = ["A note of the reader."]

    def tables(self) -> Iterator[Path]:
        yield from sorted(self.root.glob("*.csv"))

    def read(self) -> Iterator[ImageRecord | Skipped]:
        yield from self.found

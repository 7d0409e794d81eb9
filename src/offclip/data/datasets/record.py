"""What the reader of a public set yields: one record an image, whatever the set's own tables look like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from offclip.data.datasets.card import Card
from offclip.data.files import Skipped


@dataclass(frozen=True, slots=True)
class FindingBox:
    """Where a finding lies, in pixels of the image as stored; (x, y) is the upper left corner.

    Attributes:
        label: The set's own name of the finding.
        x, y, width, height: In pixels.
        reader: Who drew it, empty where the set does not say.
        phrase: The sentence of the report that it belongs to, in sets that tie boxes to sentences.
    """

    label: str
    x: float
    y: float
    width: float
    height: float
    reader: str = ""
    phrase: str = ""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image of a public set.

    Attributes:
        image_id: The set's own id, without the ending of the file; unique in the set.
        study_id: Its study; images of a study share report and split.
        patient_id: Its patient; the study where the set does not say.
        path: Absolute path, whether or not the file is there.
        split: `"train"`, `"validate"` or `"test"` of the publishers; empty where they give none.
        view: One of `offclip.images.views.VIEWS`.
        age_years: At the time of the study, None when unknown or impossible.
        sex: `"F"`, `"M"`, `"O"` or empty.
        labels: From the set's own label name to 1 (present), 0 (absent) or None (unknown or uncertain).
            Every record of a set has the same names, in the same order.
        boxes: Where findings lie.
        report: The radiologist's text, empty where the set has none.
        source: The table that the record stands in.
        row: Its row there, header = 1.
    """

    image_id: str
    study_id: str
    patient_id: str
    path: Path
    split: str = ""
    view: str = "unknown"
    age_years: float | None = None
    sex: str = ""
    labels: Mapping[str, int | None] = field(default_factory=dict)
    boxes: tuple[FindingBox, ...] = ()
    report: str = ""
    source: str = ""
    row: int = 0


class PublicSet(Protocol):
    """The reader of a public set: one class a set, one file a class.

    Made with the folder that the publishers' tree was downloaded to, and the option of `card.options` or
    empty. Raises DataError at once when a table without which nothing works is missing, with the path.

    Attributes:
        card: What is known of the set.
        root: The folder.
        notes: What the user should know about the reading as a whole; complete when `read` has ended.
    """

    card: Card
    root: Path
    notes: list[str]

    def tables(self) -> Iterator[Path]:
        """The tables that are read; their contents make the fingerprint."""
        ...

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """Images in the order of the tables, and rows that are left out with the reason."""
        ...

"""What a source of reports yields, whatever its form: studies, and what it had to leave out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from offclip.data.files import Skipped

SPLIT_NAMES = {"train": "train", "training": "train", "test": "test", "testing": "test"} | dict.fromkeys(
    ("validate", "validation", "valid", "val", "dev"), "validate"
)


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image of a study.

    Attributes:
        image_id: The key by which images are joined.
        path: Absolute path.
        view: One of `offclip.images.views.VIEWS`.
    """

    image_id: str
    path: str
    view: str = "unknown"


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study as it stands in a source, or one row of it: rows of the same study are put together later.

    Attributes:
        study_id: Its id.
        patient_id: Whose it is.
        split: `"train"`, `"validate"`, `"test"`, or empty: by a hash of the patient id.
        report: The text, not empty.
        images: Its images; empty when the source names none.
        source: The file that the report stands in.
        row: The row in that file, header = 1; 0 when it is no table.
    """

    study_id: str
    patient_id: str
    split: str
    report: str
    images: tuple[FoundImage, ...] = ()
    source: str = ""
    row: int = 0


class ReportSource(Protocol):
    """A place where reports are, in one of the forms that `offclip label` reads.

    Attributes:
        path: What the user named.
        notes: What the user should know about the reading as a whole; complete when `read` has ended.
    """

    path: Path
    notes: list[str]

    def inputs(self) -> Iterator[Path]:
        """Every file that is read, so that a change of any of them can be noticed."""
        ...

    def read(self) -> Iterator[FoundStudy | Skipped]:
        """Studies in the order of the source, and what is left out with the reason; never all in memory."""
        ...

"""What was counted in a set, beside what its publishers state."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from offclip.data.datasets.label_map import PRESENT
from offclip.data.datasets.preparation.collection import Collection

_SAME = {
    "validation": "validate", "valid": "validate", "val": "validate", "training": "train", "testing": "test",
    "image": "images", "study": "studies", "patient": "patients", "box": "boxes", "bounding": "boxes",
    "report": "reports", "subjects": "patients", "films": "images", "radiographs": "images",
}  # fmt: skip
_STUDIES = "SELECT study_id, patient_id, split FROM studies"
_ALL_STUDIES = f"{_STUDIES} UNION SELECT study_id, patient_id, split FROM absent"


@dataclass(frozen=True, slots=True)
class Count:
    """A number that the publishers state, and the one that was counted.

    Attributes:
        name: What is counted, as the card says it.
        published: The publishers' number.
        found: The number counted; None where offclip does not count such a thing.
    """

    name: str
    published: int
    found: int | None

    @property
    def difference(self) -> int | None:
        """Found less published; None where nothing was counted."""
        return None if self.found is None else self.found - self.published


def count(collection: Collection, *, what: Literal["on disk", "listed"] = "on disk") -> dict[str, int]:
    """Images, studies, patients, reports and boxes, also by split, view and finding.

    Args:
        collection: What was read.
        what: Only the images whose files are there, or all that the tables list.
    """
    listed = what == "listed"
    images = "SELECT split, view FROM images JOIN studies ON studies.number = images.study"
    images = f"{images} UNION ALL SELECT split, view FROM absent" if listed else images
    studies = _ALL_STUDIES if listed else _STUDIES
    reports = "SELECT study_id FROM studies WHERE report != ''"
    reports = f"{reports} UNION SELECT study_id FROM absent WHERE reported" if listed else reports
    counts = {
        "images": collection.number(f"SELECT COUNT(*) FROM ({images})"),
        "studies": collection.number(f"SELECT COUNT(DISTINCT study_id) FROM ({studies})"),
        "patients": collection.number(f"SELECT COUNT(DISTINCT patient_id) FROM ({studies})"),
        "reports": collection.number(f"SELECT COUNT(*) FROM ({reports})"),
        "boxes": collection.number("SELECT COUNT(*) FROM boxes"),
    }
    for split, number in collection.rows(f"SELECT split, COUNT(*) FROM ({images}) GROUP BY split"):
        if split:
            counts[f"{split} images"] = number
    for split, patients, number in collection.rows(
        f"SELECT split, COUNT(DISTINCT patient_id), COUNT(DISTINCT study_id) FROM ({studies}) GROUP BY split"
    ):
        if split:
            counts[f"{split} patients"], counts[f"{split} studies"] = patients, number
    for view, number in collection.rows(f"SELECT view, COUNT(*) FROM ({images}) GROUP BY view"):
        counts[f"{view.lower()} images"] = number
    labels = "SELECT labels FROM images" + (" UNION ALL SELECT labels FROM absent" if listed else "")
    present = dict.fromkeys(("normal", *collection.findings), 0)
    for code, number in collection.rows(f"SELECT labels, COUNT(*) FROM ({labels}) GROUP BY labels"):
        for finding, character in zip(present, code, strict=True):
            present[finding] += number * (character == PRESENT)
    counts |= {f"{finding} images": number for finding, number in present.items()}
    known = [counts.get(f"{view} images", 0) for view in ("pa", "ap", "frontal")]
    counts["frontal images"] = sum(known)
    return counts


def compare(published: Mapping[str, int], counts: Mapping[str, int]) -> tuple[Count, ...]:
    """The publishers' numbers beside those that were counted.

    Example:
        >>> compare({"train_images": 3, "hospitals": 2}, {"train images": 4})[0].difference
        1
    """
    by_words = {_words(name): number for name, number in counts.items()}
    return tuple(Count(name, number, by_words.get(_words(name))) for name, number in published.items())


def _words(name: str) -> frozenset[str]:
    words = {_SAME.get(word, word) for word in re.split(r"[\W_]+", name.lower()) if word}
    if words and not words & {"images", "studies", "patients", "reports", "boxes"}:
        words.add("images")
    return frozenset(words)

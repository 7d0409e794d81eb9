"""Writes labels.csv, boxes.csv and skipped.csv of a set, row after row."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from pathlib import Path

from offclip.data.datasets.label_map import ABSENT, PRESENT, UNKNOWN
from offclip.data.datasets.preparation.collection import Collection
from offclip.data.files import Skipped
from offclip.data.study import LABEL_KEYS

BOX_COLUMNS = ("image_id", "finding", "x", "y", "width", "height", "reader", "phrase")
_REMEMBERED = 10_000
_CELLS = {PRESENT: "1", ABSENT: "0", UNKNOWN: ""}


@dataclass(frozen=True, slots=True)
class FindingCount:
    """How many images have a finding.

    Attributes:
        finding: Its name, or `normal`.
        present: Images that have it.
        absent: Images known not to have it.
        unknown: All others.
    """

    finding: str
    present: int
    absent: int
    unknown: int


def write_labels(collection: Collection, path: Path) -> tuple[FindingCount, ...]:
    """Writes a row an image: ids, split, view, `normal`, and a 0/1/blank column a finding."""
    names = ("normal", *collection.findings)
    counts = [dict.fromkeys(_CELLS, 0) for _ in names]
    seen: dict[str, int] = {}
    query = (
        "SELECT image_id, study_id, patient_id, split, view, labels FROM images "
        "JOIN studies ON studies.number = images.study ORDER BY images.number"
    )
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*LABEL_KEYS, *collection.findings))
        for *ids, code in collection.rows(query):
            writer.writerow((*ids, *_cells(code)))
            seen[code] = seen.get(code, 0) + 1
            if len(seen) > _REMEMBERED:
                _count(counts, seen)
        _count(counts, seen)
    return tuple(
        FindingCount(name, values[PRESENT], values[ABSENT], values[UNKNOWN])
        for name, values in zip(names, counts, strict=True)
    )


def write_boxes(collection: Collection, path: Path) -> None:
    """Writes a row a box, in pixels of the image as stored."""
    query = f"SELECT {', '.join(BOX_COLUMNS)} FROM boxes ORDER BY number"
    rows = ((*row[:2], *map(_number, row[2:6]), *row[6:]) for row in collection.rows(query))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(BOX_COLUMNS)
        writer.writerows(rows)


def write_all_skipped(
    collection: Collection, more: Sequence[Skipped], path: Path
) -> tuple[int, Skipped | None]:
    """Writes what was left out or could not be used as it is; returns how many, and the first."""
    number, first = 0, None
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Skipped))
        for entry in itertools.chain(collection.skipped(), more):
            writer.writerow(astuple(entry))
            number, first = number + 1, first or entry
    return number, first


@lru_cache(_REMEMBERED)
def _cells(code: str) -> tuple[str, ...]:
    return tuple(_CELLS[character] for character in code)


def _count(counts: list[dict[str, int]], seen: dict[str, int]) -> None:
    for code, number in seen.items():
        for values, character in zip(counts, code, strict=True):
            values[character] += number
    seen.clear()


def _number(value: float) -> float | int:
    """A whole number without its decimal point."""
    return int(value) if value == int(value) else value

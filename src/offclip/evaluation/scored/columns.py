"""One table of numbers a class and an image: read strictly, every mistake named by file, row and column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from offclip.data.csv_table import read_table
from offclip.errors import DataError
from offclip.evaluation.cases import ATTRIBUTES
from offclip.zeroshot.words import NORMAL_CLASS, NORMAL_LABELS, plain_words

IDS = ("image_id", "study_id", "patient_id")
KEYS = (*IDS, "split", *ATTRIBUTES)
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class ClassTable:
    """A table of N images.

    Attributes:
        path: The file.
        image_ids: N different ids.
        keys: Those of the other columns of `KEYS` that the file has: N values as text, None where blank.
        classes: From class name to (N,) float64, NaN where blank.
    """

    path: Path
    image_ids: tuple[str, ...]
    keys: Mapping[str, tuple[str | None, ...]]
    classes: Mapping[str, np.ndarray]


def read_class_table(path: str | Path) -> ClassTable:
    """Reads `image_id`, keys, and one column of numbers a class.

    Raises:
        DataError: The file is unusable; an id is missing or doubled; two columns name one class; there is no
            class; a value is no number.
    """
    path = Path(path)
    table = read_table(path, ("image_id",))
    if table.is_empty():
        raise DataError(f"{path}: no row below the header.", "Export it again.")
    names = [column for column in table.columns if column not in KEYS]
    if not names:
        raise DataError(
            f"{path}: no class beside {', '.join(table.columns)}.", "Add one column of numbers a class."
        )
    _check_names(names, path)
    _check_ids(table["image_id"], path)
    classes = {name: _numbers(table[name], name, path) for name in names}
    keys = {key: tuple(table[key]) for key in KEYS[1:] if key in table.columns}
    return ClassTable(path, tuple(table["image_id"]), keys, classes)


def canonical(name: str) -> str:
    """The name under which two spellings of a class are one; "No Finding" is `"normal"`.

    Example:
        >>> canonical("Pleural_Thickening"), canonical("No Finding")
        ('pleural thickening', 'normal')
    """
    plain = plain_words(name)
    return NORMAL_CLASS if plain in NORMAL_LABELS else plain


def listed(values: Sequence[str]) -> str:
    """The first few of a list, and how many more there are.

    Example:
        >>> listed(["a", "b"])
        'a, b'
    """
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(values[:_SHOWN]) + more


def _check_names(names: Sequence[str], path: Path) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if not name:
            raise DataError(f"{path}: a column has no name.", "Name every column in the header.")
        first = seen.setdefault(canonical(name), name)
        if first != name:
            raise DataError(
                f"{path}: the columns {first!r} and {name!r} name one class.", "Keep one of them."
            )


def _check_ids(ids: pl.Series, path: Path) -> None:
    blank = ids.is_null().arg_true().to_list()
    if blank:
        raise DataError(
            f"{path}: {len(blank)} row(s) have no image_id, the first is row {blank[0] + 2}.",
            "Fill the ids in or leave the rows out.",
        )
    doubled = ids.filter(ids.is_duplicated())
    if len(doubled):
        first = doubled[0]
        rows = [str(row + 2) for row in (ids == first).arg_true().to_list()]
        names = doubled.unique(maintain_order=True).to_list()
        raise DataError(
            f"{path}: {len(names)} image id(s) stand in more than one row: {listed(names)}; "
            f"{first} in the rows {listed(rows)}.",
            "Keep one row an image.",
        )


def _numbers(column: pl.Series, name: str, path: Path) -> np.ndarray:
    numbers = column.cast(pl.Float64, strict=False)
    wrong = (column.is_not_null() & numbers.is_null()).arg_true().to_list()
    if wrong:
        raise DataError(
            f"{path}: row {wrong[0] + 2}, column {name!r}: {column[wrong[0]]!r} is no number"
            + (f" ({len(wrong)} such cells in the column)." if len(wrong) > 1 else "."),
            f"Every column but {', '.join(KEYS)} holds numbers, one class a column.",
        )
    return numbers.fill_null(float("nan")).to_numpy()

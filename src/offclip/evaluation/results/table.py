"""One table of results: typed columns for machines, and the cells that people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from offclip.evaluation.results import wording
from offclip.evaluation.results.reading import estimate
from offclip.evaluation.statistics.estimate import Estimate

# Headings for people where the name of a column does not say it well enough.
HEADINGS: Mapping[str, str] = {
    "auc": "AUC",
    "auc_delong": "AUC (DeLong)",
    "auprc": "AUPRC",
    "ece": "ECE",
    "ece_before": "ECE before",
    "brier": "Brier score",
    "npv": "NPV",
    "ppv": "PPV",
    "p": "p",
    "p_holm": "p (Holm)",
    "p_delong": "p (DeLong)",
    "tp": "TP",
    "fp": "FP",
    "tn": "TN",
    "fn": "FN",
}
_P_VALUES = ("p", "p_holm", "p_delong")
_SETTINGS = ("threshold",)


@dataclass(frozen=True, slots=True)
class ResultTable:
    """A table of results.

    Attributes:
        name: Of its files.
        title: For people.
        frame: Typed columns. A number with an interval is three columns: `auc`, `auc_low`, `auc_high`, or
            `value`, `low`, `high`.
        printed: The columns of the printed forms, in order; all when empty. An interval is printed with its
            number.
        headings: For people, where `HEADINGS` and the name do not do.
        notes: Sentences under the printed forms.
    """

    name: str
    title: str
    frame: pl.DataFrame
    printed: tuple[str, ...] = ()
    headings: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PrintedColumn:
    """A column as people read it.

    Attributes:
        heading: Of the column.
        numeric: To the right.
        cells: Text, one a row.
    """

    heading: str
    numeric: bool
    cells: tuple[str, ...]


def printed_columns(table: ResultTable) -> list[PrintedColumn]:
    """The cells of the printed forms; a number and its limits share one.

    Example:
        >>> auc = estimates("auc", [{"value": 1, "low": 0.9, "high": 1}])
        >>> frame = pl.DataFrame({"finding": ["edema"], **auc})
        >>> [(c.heading, c.cells) for c in printed_columns(ResultTable("t", "T", frame))]
        [('finding', ('edema',)), ('AUC', ('1.000 (.900-1.000)',))]
    """
    frame = table.frame
    limits = {limit for name in frame.columns for limit in _limits(name, frame)}
    names = table.printed or tuple(name for name in frame.columns if name not in limits)
    return [
        PrintedColumn(
            table.headings.get(name) or HEADINGS.get(name) or name.replace("_", " "),
            frame[name].dtype.is_numeric(),
            tuple(_cells(frame, name)),
        )
        for name in names
    ]


def _limits(name: str, frame: pl.DataFrame) -> tuple[str, ...]:
    """The columns that hold the interval of a column; empty where there is none."""
    names = ("low", "high") if name == "value" else (f"{name}_low", f"{name}_high")
    return names if set(names) <= set(frame.columns) else ()


def _cells(frame: pl.DataFrame, name: str) -> list[str]:
    column, limits = frame[name], _limits(name, frame)
    if limits:
        rows = zip(column, frame[limits[0]], frame[limits[1]], strict=True)
        nan = float("nan")
        return [
            wording.interval(
                None
                if value is None
                else Estimate(value, nan if low is None else low, nan if high is None else high)
            )
            for value, low, high in rows
        ]
    if name in _P_VALUES:
        return [wording.p_value(value) for value in column]
    if name in _SETTINGS:
        return [wording.setting(value) for value in column]
    if column.dtype.is_integer():
        return [wording.count(value) for value in column]
    if column.dtype.is_float():
        return [wording.decimal(value) for value in column]
    if column.dtype == pl.Boolean:
        return ["yes" if value else wording.MISSING for value in column]
    return [wording.MISSING if value in (None, "") else str(value) for value in column]


def estimates(name: str, values: Sequence[Any]) -> dict[str, pl.Series]:
    """The three columns of numbers with intervals, made of objects with `value`, `low` and `high`.

    Example:
        >>> made = estimates("auc", [{"value": 1, "low": 0.5, "high": 1}, None])
        >>> {name: column.to_list() for name, column in made.items()}
        {'auc': [1.0, None], 'auc_low': [0.5, None], 'auc_high': [1.0, None]}
    """
    found = [estimate(value) for value in values]
    low, high = ("low", "high") if name == "value" else (f"{name}_low", f"{name}_high")
    return {
        name: pl.Series([None if e is None else e.value for e in found], dtype=pl.Float64),
        low: pl.Series([None if e is None else e.low for e in found], dtype=pl.Float64).fill_nan(None),
        high: pl.Series([None if e is None else e.high for e in found], dtype=pl.Float64).fill_nan(None),
    }

"""Typed columns out of the objects of results.json; what is missing or of another type is null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from offclip.evaluation.results.reading import number, text, whole
from offclip.evaluation.results.table import estimates

Rows = Sequence[Mapping[str, Any]]


def estimate_columns(rows: Rows, *names: str) -> dict[str, pl.Series]:
    """Three columns a name: the number and its limits."""
    return {
        column: values
        for name in names
        for column, values in estimates(name, [row.get(name) for row in rows]).items()
    }


def number_column(rows: Rows, name: str) -> pl.Series:
    """Numbers."""
    return pl.Series([number(row.get(name)) for row in rows], dtype=pl.Float64)


def whole_column(rows: Rows, name: str) -> pl.Series:
    """Whole numbers."""
    return pl.Series([whole(row.get(name)) for row in rows], dtype=pl.Int64)


def text_column(rows: Rows, name: str) -> pl.Series:
    """Text."""
    return pl.Series([text(row.get(name)) for row in rows], dtype=pl.String)

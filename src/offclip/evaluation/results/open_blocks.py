"""Tables of blocks whose measures differ from run to run: negation, grounding, extras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from offclip.evaluation.results.reading import block, estimate, is_estimate, number, text
from offclip.evaluation.results.table import ResultTable, estimates

# By these keys an object of a list is called in the table.
_NAMING = ("name", "finding", "class", "method", "map", "template", "prompt", "layer", "attribute", "value")


def block_table(results: Mapping[str, Any], name: str, title: str) -> ResultTable | None:
    """One row a number of the block; None where the block is missing.

    `part` says where in the block the number stands, `measure` what it is; whole numbers are counts and stand
    in a column of their own. Classes that `class_table` holds whole are not repeated, and curves (lists of
    numbers) stay in results.json.
    """
    found = block(results, name)
    whole = _is_flat(block(found, "per_class"))
    rows = list(_walk({key: value for key, value in found.items() if not (whole and key == "per_class")}, ()))
    if not rows:
        return None
    frame = pl.DataFrame(
        {
            "part": pl.Series([part for part, _, _ in rows], dtype=pl.String),
            "measure": pl.Series([measure for _, measure, _ in rows], dtype=pl.String),
            **estimates("value", [None if isinstance(value, int) else value for _, _, value in rows]),
            "count": pl.Series(
                [value if isinstance(value, int) else None for _, _, value in rows], dtype=pl.Int64
            ),
        }
    )
    notes = [f"{key.replace('_', ' ')}: {value}" for key, value in found.items() if isinstance(value, str)]
    printed = ("part", "measure", "value", *(["count"] if frame["count"].count() else []))
    return ResultTable(name, title, frame, printed, notes=tuple(notes))


def class_table(results: Mapping[str, Any], name: str, title: str) -> ResultTable | None:
    """One row a class of the block, one column a measure; None where the block has no classes."""
    found = block(results, name, "per_class")
    rows = [block(found, finding) for finding in found]
    columns: dict[str, pl.Series] = {"finding": pl.Series(list(found), dtype=pl.String)}
    for measure in dict.fromkeys(key for row in rows for key in row):
        columns |= _column(measure, [row.get(measure) for row in rows])
    if len(columns) == 1:
        return None
    left_out = block(results, name, "left_out")
    notes = tuple(f"Left out: {finding} ({reason})." for finding, reason in left_out.items())
    return ResultTable(f"{name}_per_class", title, pl.DataFrame(columns), notes=notes)


def _is_flat(classes: Mapping[str, Any]) -> bool:
    """Whether one table holds everything that is said of the classes."""
    return all(
        is_estimate(value) or not isinstance(value, Mapping | list)
        for row in classes.values()
        for value in (row.values() if isinstance(row, Mapping) else [[]])
    )


def _column(name: str, values: Sequence[Any]) -> dict[str, pl.Series]:
    """A measure of every class: with its interval, as a count or as a number; what is neither is out."""
    there = [value for value in values if value is not None]
    if there and all(map(is_estimate, there)):
        return estimates(name, values)
    if not there or any(number(value) is None for value in there):
        return {}
    if all(isinstance(value, int) for value in there):
        return {name: pl.Series(values, dtype=pl.Int64)}
    return {name: pl.Series([number(value) for value in values], dtype=pl.Float64)}


def _walk(
    found: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[str, str, Mapping[str, Any] | int]]:
    """(part, measure, estimate or count) of every number below an object."""
    for key, value in found.items():
        if is_estimate(value):
            if estimate(value):
                yield " / ".join(path), key, value
        elif isinstance(value, Mapping):
            yield from _walk(value, (*path, key))
        elif isinstance(value, list):
            for place, entry in enumerate(value, start=1):
                if isinstance(entry, Mapping):
                    yield from _walk(entry, (*path, key, _name(entry) or str(place)))
        elif isinstance(value, int) and not isinstance(value, bool):
            yield " / ".join(path), key, value
        elif number(value) is not None:
            yield " / ".join(path), key, {"value": value, "low": None, "high": None}


def _name(entry: Mapping[str, Any]) -> str | None:
    """What an object of a list is called, by its first text under a naming key."""
    named = (text(entry[key]) for key in _NAMING if isinstance(entry.get(key), str))
    return next(named, None)

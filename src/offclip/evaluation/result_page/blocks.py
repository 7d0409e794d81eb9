"""Parts of the results whose measures differ from run to run, shown as they stand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from offclip.evaluation.result_page.reading import Node
from offclip.evaluation.result_page.rows import Cell, measure_cell
from offclip.evaluation.result_page.words import count, decimal, plain

MOST_ROWS = 60
_DEEPEST = 4
_MOST_COLUMNS = 4
# Keys by which an object of a list is called, the likeliest first.
_NAMES = ("name", "finding", "class", "prompt", "method", "attribute", "value")


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A row of a table."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class BlockTable:
    """A table.

    Attributes:
        title: Empty for the block's own.
        columns: Headings; the first is that of the rows' names.
        rows: Their names, and as many cells as there are further columns.
        more: Rows that are left out.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[BlockRow, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """One part of the page.

    Attributes:
        facts: Single values by name.
        tables: Below them.
    """

    facts: Mapping[str, str]
    tables: tuple[BlockTable, ...]


def block_of(value: Any, where: str = "results") -> Block | None:
    """A part of the results as facts and tables; None for nothing.

    Lists of plain numbers, such as curves, are left out: `results.json` holds them.

    Raises:
        DataError: An interval in it is malformed.

    Example:
        >>> block_of({"hit_rate": {"value": 0.5, "low": 0.4, "high": 0.6}, "rule": "cell centre"}).facts
        {'hit rate': '0.500 (0.400–0.600)', 'rule': 'cell centre'}
    """
    if isinstance(value, Mapping):
        value = _methods_together(value)
    facts: dict[str, str] = {}
    tables: list[BlockTable] = []
    _collect(value, where, "", facts, tables, 0)
    return Block(facts, tuple(tables)) if facts or tables else None


def _collect(
    value: Any, where: str, title: str, facts: dict[str, str], tables: list[BlockTable], depth: int
) -> None:
    if isinstance(value, list | tuple):
        value = {title or "values": value}
    if not isinstance(value, Mapping):
        if (cell := _cell(value, where)) is not None:
            facts[title or "value"] = _text(cell)
        return
    own: dict[str, Cell] = {}
    before = len(tables)
    for key, inner in value.items():
        name, place = plain(str(key)), f"{where}.{key}"
        cell = _cell(inner, place)
        if cell is not None:
            own[name] = cell
        elif isinstance(inner, Mapping) and _alike(list(inner.values())):
            tables += _tables({str(k): v for k, v in inner.items()}, place, within(title, name), depth)
        elif isinstance(inner, list | tuple) and _alike(inner):
            tables += _tables(_named(inner), place, within(title, name), depth)
        elif isinstance(inner, Mapping) and inner and depth < _DEEPEST:
            _collect(inner, place, within(title, name), facts, tables, depth + 1)
    if depth and own:
        rows = tuple(BlockRow(name, (cell,)) for name, cell in own.items())
        tables.insert(before, BlockTable(title, ("measure", "value"), rows))
    else:
        facts |= {name: _text(cell) for name, cell in own.items()}


def _flat(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row whose small objects of single values, such as one value a level, are columns of their own."""
    if _is_estimate(row):
        return row
    found: dict[str, Any] = {}
    for key, value in row.items():
        small = isinstance(value, Mapping) and not _is_estimate(value) and 0 < len(value) <= _MOST_COLUMNS
        if small and all(
            _is_estimate(v) or not isinstance(v, Mapping | list | tuple) for v in value.values()
        ):
            found |= {f"{key} {inner}": v for inner, v in value.items()}
        else:
            found[str(key)] = value
    return found


def _methods_together(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The kinds of heat map of a grounding block, known by their hit rate, as the rows of one table."""
    methods = {k: v for k, v in value.items() if isinstance(v, Mapping) and _is_estimate(v.get("hit"))}
    if not methods:
        return value
    return {"method": methods} | {k: v for k, v in value.items() if k not in methods}


def _tables(rows: Mapping[str, Mapping[str, Any]], where: str, title: str, depth: int) -> list[BlockTable]:
    """One table a level: rows of values as they are, and deeper objects as tables of their own."""
    rows = {name: _flat(row) for name, row in rows.items()}
    cells = {
        name: {str(k): c for k, v in row.items() if (c := _cell(v, f"{where}.{name}.{k}")) is not None}
        if not _is_estimate(row)
        else {"value": _cell(row, f"{where}.{name}") or Cell("")}
        for name, row in rows.items()
    }
    columns = list(dict.fromkeys(key for row in cells.values() for key in row))
    found: list[BlockTable] = []
    if columns:
        shown = list(cells.items())[:MOST_ROWS]
        found.append(
            BlockTable(
                title,
                ("", *(plain(c) for c in columns)),
                tuple(
                    BlockRow(plain(name), tuple(row.get(c, Cell("")) for c in columns)) for name, row in shown
                ),
                len(cells) - len(shown),
            )
        )
    if depth < _DEEPEST:
        for name, row in list(rows.items())[:MOST_ROWS]:
            inner = {k: v for k, v in row.items() if _is_inner(v)}
            if inner and not _is_estimate(row):
                _collect(inner, f"{where}.{name}", f"{title}: {plain(name)}", {}, found, depth + 1)
    return found


def within(title: str, name: str) -> str:
    """The title of a table below another one."""
    return f"{title}: {name}" if title else name


def _cell(value: Any, where: str) -> Cell | None:
    """A single value; None for what is none."""
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, str):
        return Cell(value)
    if isinstance(value, int):
        return Cell(count(value) if value >= 0 else str(value))
    if isinstance(value, float):
        return Cell(decimal(value)) if math.isfinite(value) else None
    if _is_estimate(value):
        return measure_cell(Node({"value": value}, where).estimate("value"))
    if isinstance(value, list | tuple) and value and all(isinstance(v, str) for v in value):
        return Cell(", ".join(value))
    return None


def _text(cell: Cell) -> str:
    return f"{cell.value} ({cell.small})" if cell.small else cell.value


def _named(entries: list[Any] | tuple[Any, ...]) -> dict[str, Mapping[str, Any]]:
    """Objects of a list by their names, numbered where a name is missing or taken."""
    found: dict[str, Mapping[str, Any]] = {}
    for number, entry in enumerate(entries, start=1):
        key = next((k for k in _NAMES if isinstance(entry.get(k), str)), None)
        name = entry[key] if key else str(number)
        name = f"{name} ({number})" if name in found else name
        found[name] = {k: v for k, v in entry.items() if k != key}
    return found


def _alike(values: Sequence[Any]) -> bool:
    """Whether they are objects that make the rows of one table: all estimates, or none."""
    if not values or not all(isinstance(value, Mapping) for value in values):
        return False
    return len({_is_estimate(value) for value in values}) == 1


def _is_estimate(value: Any) -> bool:
    return isinstance(value, Mapping) and "value" in value and set(value) - {"value"} <= {"low", "high", "n"}


def _is_inner(value: Any) -> bool:
    """Whether a value needs a table of its own."""
    if isinstance(value, Mapping):
        return bool(value) and not _is_estimate(value)
    return isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value)

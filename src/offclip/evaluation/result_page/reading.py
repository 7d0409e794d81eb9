"""A tree of JSON read by type: what is absent is None, what has a wrong type is an error that says where."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from offclip.errors import DataError
from offclip.evaluation.statistics.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Node:
    """One object of the tree.

    Attributes:
        values: Its keys and values.
        where: Its place, for messages.

    Example:
        >>> node = Node({"n": 3, "auc": {"value": 0.8, "low": 0.7, "high": 0.9}})
        >>> node.count("n"), node.count("m"), node.estimate("auc").high
        (3, None, 0.9)
    """

    values: Mapping[str, Any]
    where: str = "results"

    def node(self, key: str) -> Node | None:
        """An object below this one."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self._wrong(key, value, "an object")
        return Node(value, f"{self.where}.{key}")

    def children(self, key: str) -> Iterator[tuple[str, Node]]:
        """The objects of an object, by name; those that are null are passed over."""
        parent = self.node(key)
        for name in parent.values if parent else ():
            child = parent.node(name) if parent else None
            if child:
                yield name, child

    def nodes(self, key: str) -> list[Node]:
        """The objects of a list."""
        found = self._list(key)
        for number, value in enumerate(found):
            if not isinstance(value, Mapping):
                raise self._wrong(f"{key}[{number}]", value, "an object")
        return [Node(value, f"{self.where}.{key}[{number}]") for number, value in enumerate(found)]

    def text(self, key: str) -> str:
        """A text; empty where it is absent."""
        value = self.values.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._wrong(key, value, "a text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        found = self._list(key)
        for number, value in enumerate(found):
            if not isinstance(value, str):
                raise self._wrong(f"{key}[{number}]", value, "a text")
        return tuple(found)

    def words(self, key: str) -> dict[str, str]:
        """An object of short values, as text; those that are null are passed over."""
        node = self.node(key)
        found = {name: value for name, value in node.values.items() if value is not None} if node else {}
        for name, value in found.items():
            if not isinstance(value, str | int | float):
                raise self._wrong(f"{key}.{name}", value, "a text")
        return {name: str(value) for name, value in found.items()}

    def count(self, key: str) -> int | None:
        """A whole number of at least 0."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or value < 0:
            raise self._wrong(key, value, "a whole number")
        return int(value)

    def number(self, key: str) -> float | None:
        """A number; one that is not finite counts as absent."""
        return self._number(key, self.values.get(key))

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of numbers; those that are absent or not finite are NaN."""
        found = [self._number(f"{key}[{i}]", value) for i, value in enumerate(self._list(key))]
        return tuple(math.nan if value is None else value for value in found)

    def flag(self, key: str) -> bool | None:
        """True or false."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def estimate(self, key: str) -> Estimate | None:
        """A number with its interval; the bounds of a plain number are NaN."""
        value = self.values.get(key)
        if not isinstance(value, Mapping):
            middle = self._number(key, value)
            return None if middle is None else Estimate(middle, math.nan, math.nan)
        node = Node(value, f"{self.where}.{key}")
        if "value" not in value:
            raise self._wrong(key, value, "an object with a value")
        middle, low, high = node.number("value"), node.number("low"), node.number("high")
        if middle is None:
            return None
        if low is None or high is None:
            return Estimate(middle, math.nan, math.nan)
        if low > high:
            raise self._wrong(key, f"{low} to {high}", "an interval from low to high")
        return Estimate(middle, low, high)

    def _number(self, key: str, value: Any) -> float | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, value, "a number")
        return float(value) if math.isfinite(value) else None

    def _list(self, key: str) -> list[Any]:
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            raise self._wrong(key, value, "a list")
        return list(value)

    def _wrong(self, key: str, value: Any, wanted: str) -> DataError:
        shown = repr(value)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return DataError(f"{self.where}.{key} is {shown}, not {wanted}.", "Evaluate again with this version.")

"""Groups of classes by how many positives they have: head, medium, tail."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from offclip.errors import ConfigError

BETWEEN = "between"
_COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "==": operator.eq}
_CONDITION = re.compile(r"positives\s*(<=|>=|==|<|>)\s*(percentile\s+)?(\d+(?:\.\d+)?)")


def assign_groups(rules: Mapping[str, str], positives: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """The classes of each group.

    A rule is one condition, or several joined by "and": `positives <= 10`, `positives > percentile 65`,
    `positives > 10 and positives <= 100`. The percentile is that of the counts of all classes given, with
    linear interpolation. `between` takes the classes that no other group takes.

    Args:
        rules: From the name of a group to its rule.
        positives: From class to its number of positives.

    Returns:
        From group, in the order of the rules, to its classes, in theirs.

    Raises:
        ConfigError: A rule cannot be read.

    Example:
        >>> rules = {"head": "positives > percentile 65", "medium": "between", "tail": "positives <= 10"}
        >>> assign_groups(rules, {"effusion": 900, "mass": 40, "cyst": 3})
        {'head': ('effusion',), 'medium': ('mass',), 'tail': ('cyst',)}
    """
    counts = np.array(list(positives.values()), np.float64)
    read = {group: _conditions(rule) for group, rule in rules.items() if rule.strip() != BETWEEN}
    named = {
        group: tuple(
            name
            for name, count in positives.items()
            if all(condition.holds(count, counts) for condition in conditions)
        )
        for group, conditions in read.items()
    }
    taken = {name for classes in named.values() for name in classes}
    rest = tuple(name for name in positives if name not in taken)
    return {group: named.get(group, rest) for group in rules}


@dataclass(frozen=True, slots=True)
class _Condition:
    compare: Callable[[float, float], bool]
    number: float
    percentile: bool

    def holds(self, count: int, counts: np.ndarray) -> bool:
        limit = float(np.percentile(counts, self.number)) if self.percentile else self.number
        return self.compare(count, limit)


def _conditions(rule: str) -> list[_Condition]:
    found = [_CONDITION.fullmatch(part.strip()) for part in rule.split(" and ")]
    conditions = [_Condition(_COMPARE[m[1]], float(m[3]), m[2] is not None) for m in found if m]
    if len(conditions) < len(found) or any(c.percentile and c.number > 100 for c in conditions):
        raise ConfigError(
            f"The rule {rule!r} of a group of classes cannot be read.",
            "Write 'positives <= 10', 'positives > percentile 65', two of them with 'and', or 'between'.",
        )
    return conditions

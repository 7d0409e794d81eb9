"""Groups of classes, such as head, medium and tail, by how often they occur.

A rule is one of `positives > N`, `positives >= N`, `positives <= N`, `positives < N`, two of them joined by
`and`, where N is a number or `p65`, the 65th percentile of the positives over the classes; `rarest N`; or
`classes A; B; C`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from offclip.errors import ConfigError

_BOUND = re.compile(r"positives (<=|>=|<|>) (p?)(\d+(?:\.\d+)?)")
_RAREST = re.compile(r"rarest (\d+)")
_CLASSES = "classes "
_REMEDY = "Write 'positives <= 10', 'positives > p65 and positives > 10', 'rarest 20' or 'classes a; b'."


def check_group(rule: str, class_names: Sequence[str]) -> None:
    """Checks that a rule can be understood.

    Raises:
        ConfigError: It cannot, or it names a class that is not there.
    """
    _members(rule, class_names, np.zeros(len(class_names)))


def assign_groups(rules: Mapping[str, str], positives: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """The classes of each group, in the order of the rules; a group may be empty.

    Args:
        rules: From the name of a group to its rule.
        positives: From class to its number of positives; the peers leave out the normal class before they
            count.

    Raises:
        ConfigError: A rule cannot be understood.

    Example:
        >>> counts = {"mass": 900, "edema": 40, "cyst": 3}
        >>> assign_groups({"head": "positives > p65", "one": "rarest 1"}, counts)
        {'head': ('mass',), 'one': ('cyst',)}
    """
    names, counts = list(positives), np.array(list(positives.values()), int)
    return {group: _members(rule, names, counts) for group, rule in rules.items()}


def _members(rule: str, class_names: Sequence[str], positives: np.ndarray) -> tuple[str, ...]:
    if rule.startswith(_CLASSES):
        wanted = [name.strip() for name in rule.removeprefix(_CLASSES).split(";")]
        unknown = [name for name in wanted if name not in class_names]
        if unknown:
            raise ConfigError(f"The group {rule!r} names {unknown[0]!r}, which is no class.", _REMEDY)
        return tuple(wanted)
    if rarest := _RAREST.fullmatch(rule):
        order = np.argsort(positives, kind="stable")[: int(rarest[1])]
        return tuple(name for place, name in enumerate(class_names) if place in order)
    inside = np.ones(len(class_names), bool)
    for part in rule.split(" and "):
        bound = _BOUND.fullmatch(part)
        if not bound or (bound[2] and float(bound[3]) > 100):
            raise ConfigError(f"The group rule {rule!r} cannot be understood.", _REMEDY)
        limit = float(bound[3])
        if bound[2]:
            limit = float(np.percentile(positives, limit)) if len(positives) else 0.0
        inside &= {
            "<=": positives <= limit,
            "<": positives < limit,
            ">=": positives >= limit,
            ">": positives > limit,
        }[bound[1]]
    return tuple(name for name, member in zip(class_names, inside, strict=True) if member)

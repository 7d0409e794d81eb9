"""The labels of a set become the classes of a protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from offclip.data.datasets.label_map import ABSENT, PRESENT, LabelMap
from offclip.data.datasets.record import FindingBox
from offclip.errors import ConfigError
from offclip.evaluation.protocols.protocol import ClassRule, Protocol
from offclip.grounding.pointing import Box

_CODES = {PRESENT: 1.0, ABSENT: 0.0}


class ClassLabels:
    """Makes the truth of images from labels of one set.

    Args:
        protocol: Its classes and its rule count.
        names: The set's own labels, in the order of its records.
        dataset: Section of `labels.toml` by which images are called normal where no class says so; empty:
            their normality is unknown.

    Raises:
        ConfigError: A class has a label that the set does not have.
    """

    def __init__(self, protocol: Protocol, names: Sequence[str], dataset: str) -> None:
        self.names = tuple(names)
        place = {name: i for i, name in enumerate(names)}
        for rule in protocol.classes:
            lacking = next((name for name in (*rule.labels, *rule.unless) if name not in place), None)
            if lacking is not None:
                raise ConfigError(
                    f"{protocol.name}: class {rule.name!r} needs the label {lacking!r}, which the set lacks.",
                    f"Its labels are: {', '.join(names)[:300]}.",
                )
        self._first = np.array([place[rule.labels[0]] for rule in protocol.classes], np.intp)
        self._several = _where(
            place, [rule.labels if len(rule.labels) > 1 else () for rule in protocol.classes]
        )
        self._unless = _where(place, [rule.unless for rule in protocol.classes])
        self._normal = next((i for i, rule in enumerate(protocol.classes) if rule.normal), None)
        self._findings = np.array([not rule.normal for rule in protocol.classes], bool)
        self._rule = protocol.labels
        self._set = LabelMap(dataset, names) if dataset and self._normal is None else None
        self._classes_of = _classes_of(protocol.classes)

    def truth(self, labels: Mapping[str, int | None]) -> np.ndarray:
        """(C,) 1, 0 or NaN of an image, from the set's labels."""
        values = np.array(list(labels.values()), np.float64)  # None becomes NaN
        truth = values[self._first]
        for i, places in self._several:
            truth[i] = _highest(values[places])
        for i, places in self._unless:
            if (values[places] == 1).any():
                truth[i] = 0.0
        if self._rule == "absent-unless-present":
            return np.nan_to_num(truth, nan=0.0)
        with_finding = bool((truth[self._findings] == 1).any())
        if self._rule == "consistent" and self._normal is not None and with_finding:
            truth[self._normal] = np.nan if truth[self._normal] == 1 else truth[self._normal]
        return truth

    def normal(self, labels: Mapping[str, int | None], truth: np.ndarray) -> float:
        """1, 0 or NaN: whether an image is normal."""
        if self._normal is not None:
            return float(truth[self._normal])
        if self._set is not None:
            return _CODES.get(self._set.read(tuple(labels.values())).code[0], np.nan)
        return 0.0 if (truth == 1).any() else np.nan

    def boxes(self, drawn: Iterable[FindingBox]) -> list[Box]:
        """Boxes of the classes; those of other findings are left out."""
        return [
            Box(name, box.x, box.y, box.width, box.height)
            for box in drawn
            for name in self._classes_of.get(box.label, ())
        ]


def _where(place: Mapping[str, int], labels: Iterable[Sequence[str]]) -> list[tuple[int, list[int]]]:
    """The class and the places of its labels, for the classes that have some."""
    return [(i, [place[name] for name in names]) for i, names in enumerate(labels) if names]


def _highest(values: np.ndarray) -> float:
    """Present beats unknown beats absent."""
    return 1.0 if (values == 1).any() else float(values.max())  # the maximum with a NaN is NaN


def _classes_of(rules: Sequence[ClassRule]) -> dict[str, list[str]]:
    classes: dict[str, list[str]] = {}
    for rule in rules:
        for label in rule.labels:
            classes.setdefault(label, []).append(rule.name)
    return classes

"""Joins the cases of two models by id, and refuses what does not fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from offclip.errors import DataError
from offclip.evaluation.cases import Cases

_SHOWN = 10


def same_cases(first: Cases, second: Cases, names: tuple[str, str]) -> Cases:
    """The second's cases in the order of the first.

    Args:
        first: Cases of one model.
        second: Of another.
        names: What they are called in messages.

    Raises:
        DataError: An id repeats, the ids differ, or the truth of a shared finding or of being normal does;
            both sides are listed, ten entries at most.
    """
    for cases, name in zip((first, second), names, strict=True):
        if len(set(cases.ids)) < len(cases):
            raise DataError(f"{name} holds an id more than once.", "Give one row a case.")
    here, there = set(first.ids), set(second.ids)
    if here != there:
        only = [[i for i in first.ids if i not in there], [i for i in second.ids if i not in here]]
        told = "; ".join(f"only in {name}: {_listed(ids)}" for name, ids in zip(names, only, strict=True))
        raise DataError(f"The two runs hold different cases: {told}.", "Compare runs of the same cases.")
    place = {name: row for row, name in enumerate(second.ids)}
    second = second.select(np.array([place[name] for name in first.ids], int))
    _check_same_truth(first, second, names)
    return second


def _check_same_truth(first: Cases, second: Cases, names: tuple[str, str]) -> None:
    shared = [name for name in first.findings if name in second.findings]
    labels = [
        np.column_stack([cases.truth[:, [cases.findings.index(name) for name in shared]], cases.normal])
        for cases in (first, second)
    ]
    differ = np.argwhere((labels[0] != labels[1]) & ~(np.isnan(labels[0]) & np.isnan(labels[1])))
    if not len(differ):
        return

    def cells(side: np.ndarray) -> str:
        return _listed(
            [f"{first.ids[r]} {[*shared, 'normal'][c]} = {_truth(float(side[r, c]))}" for r, c in differ]
        )

    told = "; ".join(f"{name}: {cells(side)}" for name, side in zip(names, labels, strict=True))
    raise DataError(f"The truth of the two runs differs: {told}.", "Use the same labels for both.")


def _truth(value: float) -> str:
    return "unknown" if np.isnan(value) else f"{value:g}"


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "none"
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else f" ({len(names)})"
    return ", ".join(names[:_SHOWN]) + more

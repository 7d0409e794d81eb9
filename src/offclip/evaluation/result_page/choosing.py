"""Which cases the gallery shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offclip.evaluation.cases import Cases
from offclip.evaluation.result_page.curves import NormalScored
from offclip.evaluation.statistics.ranks import midranks

MOST = 8


@dataclass(frozen=True, slots=True)
class Chosen:
    """Rows of the cases, most telling first.

    Attributes:
        best: Those on which the score is right most clearly.
        worst: Those on which it is wrong most clearly.
        cleared: Abnormal cases that a rule-out operating point clears, the most normal-looking first.
        cleared_total: Number of all such cases; None where it is not known.
        by_normal_score: Whether the normal score decided, or the scores of the findings.
    """

    best: tuple[int, ...]
    worst: tuple[int, ...]
    cleared: tuple[int, ...]
    cleared_total: int | None
    by_normal_score: bool


def choose(cases: Cases, scored: NormalScored | None, missed: int | None, most: int = MOST) -> Chosen:
    """Best, worst and wrongly cleared cases; where two are equal the smaller id comes first.

    With a normal score, best are the most normal-looking normal cases and the least normal-looking abnormal
    ones, half of each; worst are the normal cases that look least normal and, when `missed` is not known,
    the abnormal ones that look most normal. Without one, a case is as wrong as the mean, over its known
    findings, of the distance between truth and the score's rank from 0 to 1.

    Args:
        cases: N cases.
        scored: The reported normal score of those that are known to be normal or abnormal.
        missed: Number of abnormal cases that the operating point clears. It clears from the highest score
            down, so these are the first of them.
        most: Cases a group.
    """
    if scored is None:
        order = _by_findings(cases)
        return Chosen(tuple(order[:most]), tuple(order[::-1][:most]), (), None, False)
    normal = _ordered(cases, scored, scored.normal)
    abnormal = _ordered(cases, scored, ~scored.normal)
    half = most // 2
    best = normal[:half] + abnormal[::-1][: most - half]
    falsely_kept = normal[::-1]
    if missed is None:
        return Chosen(tuple(best), tuple(falsely_kept[:half] + abnormal[: most - half]), (), None, True)
    cleared = abnormal[: min(most, missed)]
    return Chosen(tuple(best), tuple(falsely_kept[:most]), tuple(cleared), missed, True)


def ranks(scores: np.ndarray) -> np.ndarray:
    """(N,) the share of the other cases that score lower, ties counting one half.

    Example:
        >>> ranks(np.array([0.2, 0.9, 0.5])).tolist()
        [0.0, 1.0, 0.5]
    """
    return (midranks(scores) - 1) / max(1, len(scores) - 1)


def _ordered(cases: Cases, scored: NormalScored, which: np.ndarray) -> list[int]:
    """Rows from the highest normal score down."""
    pairs = zip(scored.rows[which].tolist(), scored.score[which].tolist(), strict=True)
    return [row for row, _ in sorted(pairs, key=lambda pair: (-pair[1], cases.ids[pair[0]]))]


def _by_findings(cases: Cases) -> list[int]:
    """Rows from the rightest to the most wrong; cases without a known finding are left out."""
    if not cases.findings or not len(cases):
        return []
    places = np.column_stack([ranks(column) for column in cases.scores.T])
    usable = np.flatnonzero((~np.isnan(cases.truth)).any(axis=1))
    wrong = np.nanmean(np.abs(cases.truth - places)[usable], axis=1)
    return [usable[i] for i in sorted(range(len(usable)), key=lambda i: (wrong[i], cases.ids[usable[i]]))]

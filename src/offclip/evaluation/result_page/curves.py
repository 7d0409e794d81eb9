"""Points of the curves, thinned to what a drawing can show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offclip.errors import OffclipError
from offclip.evaluation.cases import Cases
from offclip.evaluation.normal.scores import normal_scores
from offclip.evaluation.statistics.precision_recall import pr_curve
from offclip.evaluation.statistics.ranks import roc_curve

MOST_POINTS = 240


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of at most `MOST_POINTS` points: two vectors of one length."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True, slots=True)
class NormalScored:
    """The cases that are known to be normal or abnormal.

    Attributes:
        rows: (M,) of the cases.
        score: (M,), higher where normal is likelier.
        normal: (M,) bool.
    """

    rows: np.ndarray
    score: np.ndarray
    normal: np.ndarray


def normal_scored(cases: Cases, name: str) -> NormalScored | None:
    """The reported normal score; None where these cases cannot give it, or all are of one kind."""
    try:
        scores = normal_scores(cases)
    except OffclipError:  # the page does without the curves; the numbers stand in the results
        return None
    rows = np.flatnonzero(~np.isnan(cases.normal))
    normal = cases.normal[rows] == 1
    if name not in scores or not normal.any() or normal.all():
        return None
    return NormalScored(rows, scores[name][rows], normal)


def roc(scores: np.ndarray, positive: np.ndarray) -> Curve:
    """Sensitivity over 1 - specificity."""
    false, true = roc_curve(scores, positive)
    return thinned(false, true)


def precision_recall(scores: np.ndarray, positive: np.ndarray) -> Curve:
    """Precision over recall."""
    recall, precision = pr_curve(scores, positive)
    return thinned(recall, precision)


def rule_out_curve(scored: NormalScored) -> Curve:
    """Share of normal cases cleared over the share of abnormal cases kept.

    Example:
        >>> some = NormalScored(np.arange(3), np.array([3.0, 2.0, 1.0]), np.array([True, False, True]))
        >>> curve = rule_out_curve(some)
        >>> curve.x.tolist(), curve.y.tolist()
        ([1.0, 1.0, 0.0, 0.0], [0.0, 0.5, 0.5, 1.0])
    """
    cleared_abnormal, cleared_normal = roc_curve(scored.score, scored.normal)
    return thinned(1 - cleared_abnormal, cleared_normal)


def known(cases: Cases, finding: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Scores and truth (bool) of the cases where a finding is known; None where only one kind is there."""
    if finding not in cases.findings:
        return None
    column = cases.findings.index(finding)
    usable = ~np.isnan(cases.truth[:, column]) & np.isfinite(cases.scores[:, column])
    positive = cases.truth[usable, column] == 1
    if not positive.any() or positive.all():
        return None
    return cases.scores[usable, column], positive


def thinned(x: np.ndarray, y: np.ndarray, most: int = MOST_POINTS) -> Curve:
    """A line without the points that lie closest to their neighbours; both ends stay.

    Points are kept at even steps of the way along the line, so that steep and flat parts keep their shape.
    """
    if len(x) <= most:
        return Curve(x, y)
    way = np.append(0.0, np.cumsum(np.hypot(np.diff(x), np.diff(y))))
    wanted = np.linspace(0, way[-1], most)
    chosen = np.unique(np.append(np.searchsorted(way, wanted), len(x) - 1).clip(0, len(x) - 1))
    return Curve(x[chosen], y[chosen])

"""DeLong's variance of an AUC: intervals, covariances and the paired test, with or without clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from offclip.errors import DataError, InputError
from offclip.evaluation.statistics.estimate import Estimate
from offclip.evaluation.statistics.newcombe import newcombe_interval
from offclip.evaluation.statistics.ranks import midranks

Scale = Literal["logit", "plain"]

# Rounding leaves about 1e-17 where the variance is 0; the variance of a million cases is above 1e-8.
_NO_VARIANCE = 1e-15


@dataclass(frozen=True, slots=True)
class Covariance:
    """AUCs of several scores on the same cases.

    Attributes:
        auc: (K,) AUCs.
        matrix: (K, K) their estimated covariance; NaN when one class has a single case or cluster.
        freedom: (K,) Satterthwaite's degrees of freedom of each variance.
        positives: Number of positives.
        negatives: Number of negatives.
    """

    auc: np.ndarray
    matrix: np.ndarray
    freedom: np.ndarray
    positives: int
    negatives: int


@dataclass(frozen=True, slots=True)
class PairedTest:
    """The difference of two AUCs on the same cases.

    Attributes:
        first: AUC of the first score.
        second: AUC of the second score.
        difference: `first - second` with its interval.
        z: The difference over its standard error; NaN when the standard error is 0 or unknown.
        p: Two-sided p-value of no difference; NaN where z is. Two scores that rank all pairs alike have
            z 0 and p 1.
    """

    first: float
    second: float
    difference: Estimate
    z: float
    p: float


def delong_covariance(
    scores: np.ndarray, positive: np.ndarray, clusters: np.ndarray | Sequence[str] | None = None
) -> Covariance:
    """AUCs of K scores and their covariance.

    Args:
        scores: (K, N) or (N,) finite values.
        positive: (N,) bool.
        clusters: (N,) patient of each case. Cases of one patient are then counted as correlated; without
            it every case is independent.

    Raises:
        InputError: Shapes differ, or a score is not finite.
        DataError: There is no positive or no negative.

    Source:
        DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), by midranks as in Sun and Xu, IEEE Signal
        Processing Letters 21 (2014); clusters as in Obuchowski, Biometrics 53 (1997), which is DeLong's
        when every case is a cluster of its own.
    """
    scores, positive = _checked(scores, positive)
    placed_positive, placed_negative, auc = _placements(scores, positive)
    m, n = placed_positive.shape[1], placed_negative.shape[1]
    below, above = placed_positive - auc[:, None], placed_negative - auc[:, None]
    if clusters is None:
        parts = _independent(below, above)
    else:
        codes = np.unique(np.asarray(clusters), return_inverse=True)[1].reshape(-1)
        if codes.shape != positive.shape:
            raise InputError(f"{len(codes)} clusters for {len(positive)} cases.", "Give one cluster a case.")
        parts = _clustered(below, above, codes[positive], codes[~positive])
    return Covariance(auc, parts.matrix, parts.freedom, m, n)


def delong_interval(
    scores: np.ndarray,
    positive: np.ndarray,
    *,
    clusters: np.ndarray | Sequence[str] | None = None,
    level: float = 0.95,
    scale: Scale = "logit",
) -> Estimate:
    """AUC of one score with its DeLong interval.

    A perfect AUC (0 or 1), a single positive or negative, and scores that are all equal have no DeLong
    variance; the interval is then Newcombe's, with clusters counted in the place of cases.

    Args:
        scores: (N,) finite values.
        positive: (N,) bool.
        clusters: (N,) patient of each case, see `delong_covariance`.
        level: Confidence level.
        scale: `"logit"`: symmetric on the log odds of the AUC, with Student's t in the place of the normal
            distribution as in the test of Brunner and Munzel (Biometrical J. 42, 2000); it is never
            outside [0, 1] and keeps its level with few cases (docs/statistics.md). `"plain"`: AUC +- z
            standard errors, cut at 0 and 1, as most programs print it.

    Raises:
        InputError: Shapes differ, a score is not finite, or the scale is unknown.
        DataError: There is no positive or no negative.

    Example:
        >>> e = delong_interval(np.array([1.0, 2, 3, 4, 5, 6]), np.array([0, 0, 1, 0, 1, 1], bool))
        >>> round(e.value, 4), round(e.low, 4), round(e.high, 4)
        (0.8889, 0.088, 0.9985)
    """
    found = delong_covariance(scores, positive, clusters)
    value, variance = float(found.auc[0]), float(found.matrix[0, 0])
    if scale not in ("logit", "plain"):
        raise InputError(f"scale {scale!r} is unknown.", "Use 'logit' or 'plain'.")
    if not variance > _NO_VARIANCE:
        positive = np.asarray(positive, bool)
        sizes = [_clusters_in(clusters, positive), _clusters_in(clusters, ~positive)]
        return newcombe_interval(value, sizes[0], sizes[1], level=level)
    if scale == "plain":
        half = NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(variance)
        return Estimate(value, float(np.fmax(value - half, 0.0)), float(np.fmin(value + half, 1.0)))
    t = float(stdtrit(found.freedom[0], (1 + level) / 2))
    odds, half = np.log(value / (1 - value)), t * np.sqrt(variance) / (value * (1 - value))
    return Estimate(value, float(1 / (1 + np.exp(half - odds))), float(1 / (1 + np.exp(-half - odds))))


def delong_test(
    first: np.ndarray,
    second: np.ndarray,
    positive: np.ndarray,
    *,
    clusters: np.ndarray | Sequence[str] | None = None,
    level: float = 0.95,
) -> PairedTest:
    """Whether two scores of the same cases have the same AUC.

    Args:
        first: (N,) finite values.
        second: (N,) of the same cases in the same order.
        positive: (N,) bool.
        clusters: (N,) patient of each case, see `delong_covariance`.
        level: Of the interval of the difference.

    Raises:
        InputError: Shapes differ, or a score is not finite.
        DataError: There is no positive or no negative.

    Example:
        >>> truth = np.array([0, 0, 1, 0, 1, 1], bool)
        >>> t = delong_test(np.arange(6.0), np.array([0.0, 5, 1, 3, 2, 4]), truth)
        >>> round(t.difference.value, 4), round(t.z, 3), round(t.p, 3)
        (0.4444, 1.414, 0.157)
    """
    found = delong_covariance(np.stack([first, second]), positive, clusters)
    difference = float(found.auc[0] - found.auc[1])
    variance = float(found.matrix[0, 0] + found.matrix[1, 1] - 2 * found.matrix[0, 1])
    error = np.sqrt(variance) if variance > _NO_VARIANCE else variance * 0.0  # NaN stays NaN
    half = NormalDist().inv_cdf((1 + level) / 2) * error
    interval = Estimate(difference, float(difference - half), float(difference + half))
    if error > 0:
        z = difference / error
        p = 2 * NormalDist().cdf(-abs(z))
    else:
        z, p = (0.0, 1.0) if error == 0 and abs(difference) < 1e-12 else (np.nan, np.nan)
    return PairedTest(float(found.auc[0]), float(found.auc[1]), interval, float(z), float(p))


def _checked(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, positive = np.atleast_2d(np.asarray(scores, np.float64)), np.asarray(positive, bool)
    if scores.ndim != 2 or positive.ndim != 1 or scores.shape[1] != len(positive):
        raise InputError(
            f"scores {scores.shape} and labels {positive.shape} differ.", "Give K scores a case."
        )
    if not np.isfinite(scores).all():
        raise InputError(f"{(~np.isfinite(scores)).sum()} scores are not finite.", "Find their images.")
    if not positive.any() or positive.all():
        m, n = positive.sum(), (~positive).sum()
        raise DataError(
            f"AUC needs both classes; there are {m} positives and {n} negatives.",
            "Take a larger split, or leave the class out.",
        )
    return scores, positive


def _placements(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of negatives below each positive (K, m), of positives above each negative (K, n), AUCs (K,)."""
    m, n = int(positive.sum()), int((~positive).sum())
    among_all = np.stack([midranks(row) for row in scores])
    below = (among_all[:, positive] - np.stack([midranks(row[positive]) for row in scores])) / n
    above = 1 - (among_all[:, ~positive] - np.stack([midranks(row[~positive]) for row in scores])) / m
    return below, above, below.mean(axis=1)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What positives and negatives add to the covariance, and how many independent units each has."""

    of_positive: np.ndarray
    of_negative: np.ndarray
    cross: np.ndarray | float
    units: tuple[int, int]

    @property
    def matrix(self) -> np.ndarray:
        return self.of_positive + self.of_negative + self.cross

    @property
    def freedom(self) -> np.ndarray:
        parts = [np.diag(self.of_positive), np.diag(self.of_negative)]
        with np.errstate(invalid="ignore", divide="ignore"):
            return (parts[0] + parts[1]) ** 2 / sum(
                part**2 / (count - 1) for part, count in zip(parts, self.units, strict=True)
            )


def _independent(below: np.ndarray, above: np.ndarray) -> _Parts:
    """Of deviations (K, m) and (K, n) of cases that are all independent."""

    def spread(deviations: np.ndarray) -> np.ndarray:
        count = deviations.shape[1]
        if count < 2:
            return np.full((len(deviations),) * 2, np.nan)
        return deviations @ deviations.T / (count - 1) / count

    return _Parts(spread(below), spread(above), 0.0, (below.shape[1], above.shape[1]))


def _clustered(
    below: np.ndarray, above: np.ndarray, positive_codes: np.ndarray, negative_codes: np.ndarray
) -> _Parts:
    """Of the deviations summed over each cluster."""
    total = max(positive_codes.max(), negative_codes.max()) + 1
    sums = [
        np.stack([np.bincount(codes, row, minlength=total) for row in rows])
        for rows, codes in ((below, positive_codes), (above, negative_codes))
    ]
    sizes = [len(positive_codes), len(negative_codes)]
    units = len(np.unique(positive_codes)), len(np.unique(negative_codes))
    if min(units) < 2:
        unknown = np.full((len(below),) * 2, np.nan)
        return _Parts(unknown, unknown, 0.0, units)
    of_positive, of_negative = (
        count / (count - 1) * s @ s.T / size**2 for count, s, size in zip(units, sums, sizes, strict=True)
    )
    every = len(np.union1d(positive_codes, negative_codes))
    cross = every / (every - 1) * sums[0] @ sums[1].T / (sizes[0] * sizes[1])
    return _Parts(of_positive, of_negative, cross + cross.T, units)


def _clusters_in(clusters: np.ndarray | Sequence[str] | None, chosen: np.ndarray) -> int:
    return int(chosen.sum()) if clusters is None else len(np.unique(np.asarray(clusters)[chosen]))

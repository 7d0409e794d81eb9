"""Areas under the ROC and precision-recall curves of many weighted copies of one sample, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from offclip.errors import InputError

Auprc = Literal["average-precision", "trapezoid"]

_STEPS_AT_ONCE = 256  # 256 steps x 1,000 resamples x 8 bytes stay in the second-level cache


@dataclass(frozen=True, slots=True)
class Descent:
    """The order in which a threshold that goes down meets negatives and positives.

    The threshold stops at each distinct score of a positive. Where negatives share that score there are two
    stops: one before the tie, one at it. The last stop is below every score.

    Attributes:
        negatives: (n,) rows of the weight table, from the highest score down.
        negatives_met: (S,) how many of them have been met at each stop.
        positives: (m,) rows of the weight table, from the highest score down.
        positives_met: (S,) how many of them have been met at each stop.
        tied: (S,) bool: the negatives met at this stop tie with its positives.
    """

    negatives: np.ndarray
    negatives_met: np.ndarray
    positives: np.ndarray
    positives_met: np.ndarray
    tied: np.ndarray


@dataclass(frozen=True, slots=True)
class Areas:
    """Areas of every resample; NaN where a resample has lost the positives, or for the AUC the negatives.

    Attributes:
        auc: (R,) under the ROC curve.
        auprc: (R,) under the precision-recall curve.
    """

    auc: np.ndarray
    auprc: np.ndarray


def resampled_auc(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUC of every resample, exact with ties.

    Args:
        scores: (N,) finite where the truth is known.
        truth: (N,) 1 or 0 (or bool), NaN unknown: left out.
        weights: (N, R) whole numbers, how often each case stands in each resample.

    Returns:
        (R,), NaN where a resample lacks a class.

    Raises:
        InputError: Shapes differ, or a score is not finite.

    Example:
        >>> weights = np.array([[1, 2], [1, 1], [1, 1]])
        >>> resampled_auc(np.array([1.0, 3, 2]), np.array([0, 0, 1]), weights).round(4).tolist()
        [0.5, 0.6667]
    """
    return resampled_areas(scores, truth, weights).auc


def resampled_average_precision(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average precision of every resample, exact with ties; see `resampled_auc`."""
    return resampled_areas(scores, truth, weights).auprc


def resampled_areas(
    scores: np.ndarray, truth: np.ndarray, weights: np.ndarray, auprc: Auprc = "average-precision"
) -> Areas:
    """Both areas of every resample; see `resampled_auc`."""
    weights = np.asarray(weights)
    if weights.ndim != 2 or len(weights) != len(scores):
        raise InputError(f"weights {weights.shape} for {len(scores)} cases.", "Give one row a case.")
    return areas_of(descent(scores, truth, np.arange(len(scores))), weights.astype(np.int32), auprc)


def descent(scores: np.ndarray, truth: np.ndarray, rows: np.ndarray) -> Descent:
    """Sorts the known cases once for all resamples.

    Args:
        scores: (N,) finite where the truth is known.
        truth: (N,) 1, 0 or NaN.
        rows: (N,) the row of the weight table that holds each case.

    Raises:
        InputError: Shapes differ, or a score is not finite.
    """
    scores, truth = np.asarray(scores, np.float64), np.asarray(truth, np.float64)
    if scores.shape != truth.shape or scores.ndim != 1 or len(rows) != len(scores):
        raise InputError(
            f"scores {scores.shape} and labels {truth.shape} differ.", "Give vectors of one length."
        )
    if not np.isfinite(scores[~np.isnan(truth)]).all():
        raise InputError("A score of a case with known truth is not finite.", "Find its image.")
    negative, positive = np.flatnonzero(truth == 0), np.flatnonzero(truth == 1)
    negative = negative[np.argsort(-scores[negative], kind="stable")]
    positive = positive[np.argsort(-scores[positive], kind="stable")]
    rising = scores[negative][::-1]
    stops = np.append(np.diff(scores[positive]) != 0, True) if len(positive) else np.zeros(0, bool)
    at = scores[positive][stops]
    above = len(rising) - np.searchsorted(rising, at, "right")
    down_to = len(rising) - np.searchsorted(rising, at, "left")
    found = np.flatnonzero(stops) + 1
    # Two stops a score, before and at it; the first is only needed where negatives tie.
    tie = down_to > above
    wanted = np.stack([tie, np.ones_like(tie)], axis=1).ravel()
    met = np.stack([above, down_to], axis=1).ravel()[wanted]
    found = np.stack([np.append(0, found)[:-1], found], axis=1).ravel()[wanted]
    tied = np.stack([np.zeros_like(tie), tie], axis=1).ravel()[wanted]
    return Descent(
        rows[negative].astype(np.int32),
        np.append(met, len(negative)),
        rows[positive].astype(np.int32),
        np.append(found, len(positive)),
        np.append(tied, False),
    )


def areas_of(order: Descent, weights: np.ndarray, auprc: Auprc = "average-precision") -> Areas:
    """Walks down the scores once, for all resamples side by side.

    Args:
        order: From `descent`.
        weights: (rows, R) int32, the weight table, C-contiguous.
        auprc: Average precision, or the trapezoid of the peers.
    """
    resamples = weights.shape[1]
    negatives, positives = np.zeros(resamples), np.zeros(resamples)
    lost, area = np.zeros(resamples), np.zeros(resamples)
    for start in range(0, len(order.tied), _STEPS_AT_ONCE):
        stop = min(start + _STEPS_AT_ONCE, len(order.tied))
        met = _sums(order.negatives, order.negatives_met, start, stop, weights)
        found = _sums(order.positives, order.positives_met, start, stop, weights)
        tied = order.tied[start:stop]
        tie = met[tied]
        false, true = _running(met, negatives), _running(found, positives)
        before = false.copy()
        before[tied] -= tie
        lost += np.einsum("kr,kr->r", found, false)
        lost += np.einsum("kr,kr->r", found, before)
        precision = true / np.maximum(true + false, 1)
        if auprc == "trapezoid":
            passed = true - found
            called = passed + before
            precision += np.where(called > 0, passed / np.maximum(called, 1), 1.0)
            precision /= 2
        area += np.einsum("kr,kr->r", found, precision)
        negatives, positives = false[-1].copy(), true[-1].copy()
    pairs = negatives * positives
    with np.errstate(invalid="ignore", divide="ignore"):
        return Areas(
            np.where(pairs > 0, 1 - lost / 2 / pairs, np.nan),
            np.where(positives > 0, area / positives, np.nan),
        )


def _sums(rows: np.ndarray, met: np.ndarray, start: int, stop: int, weights: np.ndarray) -> np.ndarray:
    """(stop - start, R) weight met between one stop and the next, float64."""
    from scipy.sparse import csr_array  # here: scipy takes longer to load than the rest together

    ends = np.append(met[start - 1] if start else 0, met[start:stop])
    rows = rows[ends[0] : ends[-1]]
    # A product with a sparse matrix of ones adds whole rows of weights, in any order, without the GIL.
    between = csr_array(
        (np.ones(len(rows), np.int32), rows, (ends - ends[0]).astype(np.int32)),
        shape=(stop - start, len(weights)),
    )
    return (between @ weights).astype(np.float64)


def _running(steps: np.ndarray, carried: np.ndarray) -> np.ndarray:
    """Running sums down the stops; row by row, which is ten times as fast as `cumsum` over columns."""
    total = steps.copy()
    total[0] += carried
    for row in range(1, len(total)):
        np.add(total[row - 1], total[row], out=total[row])
    return total

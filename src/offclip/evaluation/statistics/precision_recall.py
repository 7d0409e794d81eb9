"""Precision and recall: the curve, and the two areas under it that are in use."""

from __future__ import annotations

import numpy as np

from offclip.errors import DataError, InputError


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Mean of the precision at each positive, where tied scores are passed in one step.

    Args:
        scores: (N,) finite values.
        positive: (N,) bool.

    Raises:
        InputError: Shapes differ, or a score is not finite.
        DataError: There is no positive.

    Source:
        Equals scikit-learn's `average_precision_score`: the sum over thresholds of recall gained x precision.

    Example:
        >>> round(average_precision(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1], bool)), 4)
        0.8333
    """
    recall, precision = pr_curve(scores, positive)
    return float((np.diff(recall) * precision[1:]).sum())


def trapezoid_auprc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under straight lines between the points of the precision-recall curve, as the peers report it.

    Straight lines are optimistic: the precision between two points is not linear in the recall. It stands
    here so that published numbers can be reproduced.

    Raises:
        InputError: Shapes differ, or a score is not finite.
        DataError: There is no positive.

    Source:
        Equals scikit-learn's `auc(recall, precision)` of `precision_recall_curve`.

    Example:
        >>> round(trapezoid_auprc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1], bool)), 4)
        0.7917
    """
    recall, precision = pr_curve(scores, positive)
    return float((np.diff(recall) * (precision[1:] + precision[:-1]) / 2).sum())


def pr_curve(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision over all thresholds, from the highest down; the first point is (0, 1).

    Args:
        scores: (N,) finite values.
        positive: (N,) bool.

    Returns:
        Recall and precision, each (T + 1,) for T distinct scores.

    Raises:
        InputError: Shapes differ, or a score is not finite.
        DataError: There is no positive.

    Example:
        >>> recall, precision = pr_curve(np.array([3.0, 2.0, 2.0]), np.array([True, True, False]))
        >>> recall.tolist(), precision.round(4).tolist()
        ([0.0, 0.5, 1.0], [1.0, 1.0, 0.6667])
    """
    scores, positive = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if scores.shape != positive.shape or scores.ndim != 1:
        raise InputError(
            f"scores {scores.shape} and labels {positive.shape} differ.", "Give two vectors of one length."
        )
    if not np.isfinite(scores).all():
        raise InputError(
            f"{(~np.isfinite(scores)).sum()} of {len(scores)} scores are not finite.", "Find their images."
        )
    if not positive.any():
        raise DataError(
            f"Precision and recall need a positive; there is none among {len(positive)}.",
            "Take a larger split, or leave the class out.",
        )
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    found = np.cumsum(positive[order])[last_of_tie]
    called = np.flatnonzero(last_of_tie) + 1
    return np.append(0.0, found / found[-1]), np.append(1.0, found / called)

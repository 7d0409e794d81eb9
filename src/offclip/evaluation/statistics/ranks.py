"""Area under the ROC curve by exact ranks."""

from __future__ import annotations

import numpy as np

from offclip.errors import DataError, InputError


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Probability that a positive scores above a negative; a tie counts one half.

    Args:
        scores: (N,) finite values.
        positive: (N,) bool.

    Raises:
        InputError: Shapes differ, or a score is not finite.
        DataError: There is no positive or no negative.

    Source:
        Mann-Whitney U; equals scikit-learn's `roc_auc_score`.

    Example:
        >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
        0.75
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
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        raise DataError(
            f"AUC needs both classes; there are {n_positive} positives and {n_negative} negatives.",
            "Take a larger split, or leave the class out.",
        )
    rank_sum = midranks(scores)[positive].sum()
    return float((rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def midranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of their ranks.

    Example:
        >>> midranks(np.array([3.0, 1.0, 3.0])).tolist()
        [2.5, 1.0, 2.5]
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def roc_curve(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates over all thresholds, from (0, 0) to (1, 1), for drawing."""
    order = np.argsort(-scores, kind="stable")
    changes = np.append(np.diff(scores[order]) != 0, True)  # ties are passed in one step
    true = np.cumsum(positive[order])[changes] / positive.sum()
    false = np.cumsum(~positive[order])[changes] / (~positive).sum()
    return np.append(0.0, false), np.append(0.0, true)

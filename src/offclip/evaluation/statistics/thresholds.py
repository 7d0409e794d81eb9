"""Thresholds, always fitted on validation data."""

from __future__ import annotations

import numpy as np

from offclip.errors import DataError


def threshold_at_sensitivity(scores: np.ndarray, positive: np.ndarray, sensitivity: float = 0.95) -> float:
    """The highest threshold t at which `score >= t` finds at least this share of the positives.

    Args:
        scores: (N,) of validation images.
        positive: (N,) bool.
        sensitivity: Share in (0, 1].

    Raises:
        DataError: There is no positive.

    Example:
        >>> threshold_at_sensitivity(np.array([1.0, 2, 3, 4, 0]), np.array([1, 1, 1, 1, 0], bool), 0.75)
        2.0
    """
    found = np.sort(scores[positive])[::-1]
    if not len(found):
        raise DataError("There is no positive to set a threshold with.", "Take a larger validation split.")
    needed = int(np.ceil(sensitivity * len(found) - 1e-9))
    return float(found[max(needed, 1) - 1])


def youden_threshold(scores: np.ndarray, positive: np.ndarray) -> float:
    """The threshold t whose rule `score >= t` has the largest sensitivity + specificity - 1.

    Of several equally good ones it is the highest, which finds the fewest.

    Raises:
        DataError: One class is missing.

    Source:
        Youden, Cancer 1950.

    Example:
        >>> youden_threshold(np.array([0.1, 0.3, 0.35, 0.8]), np.array([False, False, True, True]))
        0.35
    """
    n_positive = int(positive.sum())
    if not n_positive or n_positive == len(positive):
        raise DataError("A Youden threshold needs both classes.", "Take a larger validation split.")
    order = np.argsort(-scores, kind="stable")
    gain = np.cumsum(np.where(positive[order], 1 / n_positive, -1 / (len(positive) - n_positive)))
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    return float(scores[order][np.argmax(np.where(last_of_tie, gain, -np.inf))])

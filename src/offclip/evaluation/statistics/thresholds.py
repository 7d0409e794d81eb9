"""Thresholds: fitted on validation data; and that of the peers, fitted on the test set itself."""

from __future__ import annotations

import numpy as np

from offclip.errors import DataError, InputError


def threshold_at_sensitivity(scores: np.ndarray, positive: np.ndarray, sensitivity: float = 0.95) -> float:
    """The highest threshold t at which `score >= t` finds at least this share of the positives.

    Args:
        scores: (N,) of validation images.
        positive: (N,) bool.
        sensitivity: Share in (0, 1].

    Raises:
        InputError: A score is not finite.
        DataError: There is no positive.

    Example:
        >>> threshold_at_sensitivity(np.array([1.0, 2, 3, 4, 0]), np.array([1, 1, 1, 1, 0], bool), 0.75)
        2.0
    """
    _require_finite(scores)
    found = np.sort(scores[positive])[::-1]
    if not len(found):
        raise DataError("There is no positive to set a threshold with.", "Take a larger validation split.")
    needed = int(np.ceil(sensitivity * len(found) - 1e-9))
    return float(found[max(needed, 1) - 1])


def youden_threshold(scores: np.ndarray, positive: np.ndarray) -> float:
    """The threshold t whose rule `score >= t` has the largest sensitivity + specificity - 1.

    Of several equally good ones it is the highest, which finds the fewest.

    Raises:
        InputError: A score is not finite.
        DataError: One class is missing.

    Source:
        Youden, Cancer 1950.

    Example:
        >>> youden_threshold(np.array([0.1, 0.3, 0.35, 0.8]), np.array([False, False, True, True]))
        0.35
    """
    _require_finite(scores)
    n_positive = _require_both(positive)
    order = np.argsort(-scores, kind="stable")
    gain = np.cumsum(np.where(positive[order], 1 / n_positive, -1 / (len(positive) - n_positive)))
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    return float(scores[order][np.argmax(np.where(last_of_tie, gain, -np.inf))])


def peer_youden(scores: np.ndarray, positive: np.ndarray) -> float:
    """The threshold t of the peers, whose rule is `score > t`, fitted on the very scores it is used on.

    Optimistic, and only here to reproduce published numbers. It is the first largest TPR - FPR of
    scikit-learn's `roc_curve`, whose thresholds mean `score >= t`; the peers' rule is strict, so that the
    case that sets the threshold counts as negative. Where no threshold is better than none it is infinite,
    and every case counts as negative.

    Args:
        scores: (N,) of the test set itself.
        positive: (N,) bool.

    Raises:
        InputError: A score is not finite.
        DataError: One class is missing.

    Source:
        OFF-CLIP's released `compute_auc_threshold`.

    Example:
        Scores that separate the classes perfectly do not get everything right:

        >>> scores, positive = np.array([0.1, 0.2, 0.3, 0.8, 0.9]), np.array([0, 0, 0, 1, 1], bool)
        >>> t = peer_youden(scores, positive)
        >>> t, float(((scores > t) == positive).mean())
        (0.8, 0.8)
    """
    from sklearn.metrics import roc_curve  # takes a second to import

    _require_finite(scores)
    _require_both(positive)
    false, true, thresholds = roc_curve(positive, scores)
    return float(thresholds[np.argmax(true - false)])


def _require_finite(scores: np.ndarray) -> None:
    wrong = int((~np.isfinite(scores)).sum())
    if wrong:
        raise InputError(f"{wrong} of {len(scores)} scores are not finite.", "Find their images.")


def _require_both(positive: np.ndarray) -> int:
    """Number of positives, which is neither none nor all."""
    n_positive = int(positive.sum())
    if not n_positive or n_positive == len(positive):
        raise DataError("A Youden threshold needs both classes.", "Take a larger validation split.")
    return n_positive

"""Correction of p-values when many classes are tested at once."""

from __future__ import annotations

import numpy as np


def holm(p_values: np.ndarray | list[float]) -> np.ndarray:
    """Holm's step-down adjusted p-values, in the order given.

    A class is significant at level alpha, with the chance of any false one held below alpha, when its
    adjusted p-value is at most alpha. NaN stands for a test that could not be made: it stays NaN and does
    not count among the tests.

    Args:
        p_values: (C,) in [0, 1], or NaN.

    Returns:
        (C,) adjusted p-values.

    Source:
        Holm, Scand. J. Stat. 6 (1979): the i-th smallest of m is multiplied by m - i + 1, never below the
        one before it, at most 1.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
        [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, np.float64)
    adjusted = np.full(given.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(given))
    order = tested[np.argsort(given[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    return adjusted

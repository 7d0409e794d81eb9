"""Interval of an AUC where its variance cannot be seen in the data."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from offclip.evaluation.statistics.estimate import Estimate


def newcombe_interval(auc: float, positives: int, negatives: int, *, level: float = 0.95) -> Estimate:
    """Interval of an AUC from its value and the two sample sizes alone; it is sensible at 0 and 1 too.

    Source:
        Newcombe, Stat. Med. 25 (2006), method 5: all t with |auc - t| <= z sqrt(V(t)), where
        V(t) = t(1 - t)/(mn) (1 + k(1 - t)/(2 - t) + k t/(1 + t)) and k = (m + n)/2 - 1.

    Example:
        >>> e = newcombe_interval(1.0, 20, 30)
        >>> round(e.low, 3), e.high
        (0.916, 1.0)
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    k = (positives + negatives) / 2 - 1

    def outside(t: float) -> float:
        variance = t * (1 - t) * (1 + k * (1 - t) / (2 - t) + k * t / (1 + t)) / (positives * negatives)
        return abs(auc - t) - z * np.sqrt(variance)

    def limit(end: float) -> float:
        inner, outer = auc, end
        for _ in range(60):  # halving: the difference changes its sign once between the AUC and the end
            middle = (inner + outer) / 2
            inner, outer = (middle, outer) if outside(middle) <= 0 else (inner, middle)
        return (inner + outer) / 2

    return Estimate(auc, 0.0 if auc == 0 else limit(0.0), 1.0 if auc == 1 else limit(1.0))

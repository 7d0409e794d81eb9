"""A number with its interval, and intervals of a proportion."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import betaincinv

from offclip.errors import InputError

Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its confidence interval, of 95 % unless something else is said."""

    value: float
    low: float
    high: float


def wilson(proportion: float, n: float) -> Estimate:
    """Wilson's score interval of a proportion.

    Args:
        proportion: Observed, in [0, 1].
        n: Number of observations, or an effective number.

    Source:
        Wilson, J. Am. Stat. Assoc. 22 (1927): with z = 1.96, centre (p + z²/2n) / (1 + z²/n) and half width
        z sqrt(p(1 - p)/n + z²/4n²) / (1 + z²/n).

    Example:
        >>> e = wilson(0.9, 50)
        >>> round(e.low, 4), round(e.high, 4)
        (0.7864, 0.9565)
    """
    z2 = Z95 * Z95
    scale = 1 + z2 / n
    centre = (proportion + z2 / (2 * n)) / scale
    half = Z95 * np.sqrt(proportion * (1 - proportion) / n + z2 / (4 * n * n)) / scale
    low, high = float(max(0.0, centre - half)), float(min(1.0, centre + half))
    return Estimate(proportion, min(low, proportion), max(high, proportion))


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Estimate:
    """The exact interval of a proportion; it never covers less than its level.

    Args:
        successes: Number of successes.
        n: Number of observations, at least 1.
        level: Two-sided confidence level.

    Raises:
        InputError: There is no observation, or more successes than observations.

    Source:
        Clopper and Pearson, Biometrika 26 (1934): quantiles of beta(k, n - k + 1) and beta(k + 1, n - k).

    Example:
        >>> e = clopper_pearson(369, 369)
        >>> round(e.low, 4), e.high
        (0.9901, 1.0)
    """
    if n < 1 or not 0 <= successes <= n:
        raise InputError(f"{successes} successes of {n}.", "Give 0 <= successes <= n and n >= 1.")
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return Estimate(successes / n, low, high)

"""A number with its bootstrap draws: percentile intervals, means of classes, differences of models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offclip.errors import InputError
from offclip.evaluation.statistics.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Draws:
    """A number and what it is in each resample.

    Attributes:
        value: Of the sample itself.
        draws: (R,) of the resamples; NaN where a resample does not define it, such as the AUC of a class
            all of whose positives it left out.
        level: Confidence level of `estimate`.
    """

    value: float
    draws: np.ndarray
    level: float = 0.95

    @property
    def undefined(self) -> int:
        """How many resamples do not define the number; `estimate` leaves them out."""
        return int(np.isnan(self.draws).sum())

    @property
    def estimate(self) -> Estimate:
        """The number with its percentile interval over the resamples that define it.

        Example:
            >>> Draws(0.5, np.array([0.4, 0.5, 0.6, np.nan]), level=0.5).estimate
            Estimate(value=0.5, low=0.45, high=0.55)
        """
        defined = self.draws[~np.isnan(self.draws)]
        if not len(defined):
            return Estimate(self.value, float("nan"), float("nan"))
        tail = (1 - self.level) / 2
        low, high = np.quantile(defined, [tail, 1 - tail])
        return Estimate(self.value, float(low), float(high))


def mean_of(numbers: Sequence[Draws], weights: Sequence[float] | None = None) -> Draws:
    """Mean of several numbers that were drawn on the same resamples, such as the macro AUC.

    A resample that does not define one of the numbers keeps the others' deviations: it is taken to deviate
    from its own value as the others do on average. The mean of those that are left would instead jump
    whenever a rare class with an AUC unlike the others' drops out.

    Args:
        numbers: K of them.
        weights: (K,) of each; equal when None.

    Returns:
        Draws that are NaN only where no number is defined.

    Raises:
        InputError: There is no number, or the weights do not fit.

    Example:
        >>> rare, common = Draws(1.0, np.array([np.nan, 1.0])), Draws(0.6, np.array([0.5, 0.7]))
        >>> mean_of([rare, common]).draws.round(3).tolist()  # the first is 0.8 - 0.1
        [0.7, 0.85]
    """
    if not numbers:
        raise InputError("A mean of no number.", "Give at least one.")
    shares = np.ones(len(numbers)) if weights is None else np.asarray(weights, np.float64)
    if len(shares) != len(numbers) or (shares < 0).any() or not shares.sum() > 0:
        raise InputError(f"{len(shares)} weights for {len(numbers)} numbers.", "Give one weight each.")
    values = np.array([number.value for number in numbers])
    value = float(shares @ values / shares.sum())
    deviations = np.stack([number.draws for number in numbers]) - values[:, None]
    defined = ~np.isnan(deviations) * shares[:, None]
    total = (np.nan_to_num(deviations) * defined).sum(axis=0)
    counted = defined.sum(axis=0)
    drawn = value + np.divide(total, counted, out=np.full(total.shape, np.nan), where=counted > 0)
    return Draws(value, drawn, numbers[0].level)


def difference_of(first: Draws, second: Draws) -> Draws:
    """`first - second`, resample by resample: both must stem from the same resamples.

    Example:
        >>> first, second = Draws(0.8, np.array([0.7, 0.9])), Draws(0.5, np.array([0.5, 0.4]))
        >>> difference_of(first, second).draws.round(2).tolist()
        [0.2, 0.5]
    """
    return Draws(first.value - second.value, first.draws - second.draws, first.level)

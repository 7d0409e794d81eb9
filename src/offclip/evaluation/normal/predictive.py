"""What "cleared" and "kept" are worth at a prevalence: predictive values with melded intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from offclip.errors import InputError
from offclip.evaluation.statistics.estimate import Estimate

# Quantiles a proportion; the product grid of two proportions stands for their joint distribution.
_GRID = (np.arange(500) + 0.5) / 500


@dataclass(frozen=True, slots=True)
class PredictiveValues:
    """Predictive values of a rule that clears some cases and keeps the others for a reader.

    Attributes:
        prevalence: Share of abnormal cases that they hold for.
        npv: Share of the cleared that are normal; None when no case is cleared.
        ppv: Share of the kept that are abnormal; None when no case is kept.
    """

    prevalence: float
    npv: Estimate | None
    ppv: Estimate | None


def predictive_values(
    kept_abnormals: int, abnormals: int, cleared_normals: int, normals: int, prevalence: float
) -> PredictiveValues:
    """NPV and PPV at a prevalence, from sensitivity and cleared share by Bayes' rule.

    With s the sensitivity, c the share of normals cleared (the specificity) and p the prevalence:
    NPV = c(1 - p) / (c(1 - p) + (1 - s)p) and PPV = sp / (sp + (1 - c)(1 - p)).

    The intervals (95 %) are melded from the exact intervals of s and c: the lower limit is the 2.5 % quantile
    of the value when s and c are drawn from the distributions of their lower Clopper-Pearson limits, the
    upper one the 97.5 % quantile with those of their upper limits. Both values rise with s and with c, so
    this inherits the exact intervals' caution. No draw is random: a grid of 500 x 500 quantiles stands for
    the draws. The prevalence counts as known, and the cases count as independent.

    Args:
        kept_abnormals: Abnormal cases that are not cleared.
        abnormals: All abnormal cases, at least 1.
        cleared_normals: Normal cases that are cleared.
        normals: All normal cases, at least 1.
        prevalence: Share of abnormal cases where the rule will be used, between 0 and 1.

    Raises:
        InputError: The prevalence is not between 0 and 1, or the counts do not fit each other.

    Source:
        Fay, Proschan and Brittain, Biometrics 71 (2015): melded confidence intervals.

    Example:
        >>> values = predictive_values(kept_abnormals=99, abnormals=100, cleared_normals=50, normals=100,
        ...                            prevalence=0.1)
        >>> round(values.npv.value, 4), round(values.npv.low, 4), round(values.npv.high, 4)
        (0.9978, 0.9876, 0.9999)
    """
    if not 0 < prevalence < 1:
        raise InputError(
            f"The prevalence is {prevalence:g}.", "Give the share of abnormal cases, between 0 and 1."
        )
    if not (0 <= kept_abnormals <= abnormals and 0 <= cleared_normals <= normals and abnormals and normals):
        raise InputError(
            f"{kept_abnormals} of {abnormals} abnormals and {cleared_normals} of {normals} normals.",
            "Give counts of at least one abnormal and one normal case.",
        )
    s, c = kept_abnormals / abnormals, cleared_normals / normals
    low_s, high_s = _limits(kept_abnormals, abnormals)
    low_c, high_c = _limits(cleared_normals, normals)
    # Swapping the classes turns the NPV into the PPV.
    return PredictiveValues(
        prevalence,
        _melded(_npv(s, c, prevalence), (low_s, low_c), (high_s, high_c), prevalence),
        _melded(_npv(c, s, 1 - prevalence), (low_c, low_s), (high_c, high_s), 1 - prevalence),
    )


def _npv(s: np.ndarray | float, c: np.ndarray | float, prevalence: float) -> np.ndarray:
    right = np.asarray(c) * (1 - prevalence)
    total = right + (1 - np.asarray(s)) * prevalence
    return np.divide(right, total, out=np.full(np.shape(total), np.nan), where=total > 0)


def _limits(successes: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of the distributions whose tails are the lower and the upper Clopper-Pearson limit."""
    low = np.zeros(len(_GRID)) if successes == 0 else beta.ppf(_GRID, successes, n - successes + 1)
    high = np.ones(len(_GRID)) if successes == n else beta.ppf(_GRID, successes + 1, n - successes)
    return low, high


def _melded(
    value: np.ndarray, low: tuple[np.ndarray, np.ndarray], high: tuple[np.ndarray, np.ndarray], p: float
) -> Estimate | None:
    if np.isnan(value):
        return None
    # Where nothing is cleared and nothing missed the value is open: the worst and the best are taken.
    lower = np.nan_to_num(_npv(low[0][:, None], low[1][None], p), nan=0.0)
    upper = np.nan_to_num(_npv(high[0][:, None], high[1][None], p), nan=1.0)
    return Estimate(float(value), float(np.quantile(lower, 0.025)), float(np.quantile(upper, 0.975)))

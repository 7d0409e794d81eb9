"""Reliability: do the cases with a probability of 30 % have the finding in 30 %?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from offclip.errors import InputError
from offclip.evaluation.statistics.bootstrap import Bootstrap
from offclip.evaluation.statistics.draws import Draws
from offclip.evaluation.statistics.estimate import Estimate, wilson
from offclip.evaluation.statistics.ranks import midranks

Scheme = Literal["equal-mass", "equal-width"]
BINS = 10


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Cases of about one probability.

    Attributes:
        predicted: Their mean probability.
        observed: Share of them that is positive.
        count: Number of them.
        low, high: Wilson's 95 % interval of `observed`, as if the cases were independent.
    """

    predicted: float
    observed: float
    count: int
    low: float
    high: float


def probability_bins(
    probabilities: np.ndarray, bins: int = BINS, scheme: Scheme = "equal-mass"
) -> np.ndarray:
    """The bin of each case.

    Args:
        probabilities: (N,) in [0, 1].
        bins: Number of bins.
        scheme: "equal-mass" gives each bin the same number of cases; equal probabilities stay together, so
            that there may be fewer bins. "equal-width" cuts [0, 1] into equal parts; most findings are rare
            and leave nearly all of their cases in the first.

    Returns:
        (N,) whole numbers from 0, rising with the probability; empty bins are not counted.

    Raises:
        InputError: A probability is not in [0, 1], or there is no bin or no case.

    Example:
        >>> probability_bins(np.array([0.1, 0.9, 0.1, 0.3]), bins=2).tolist()
        [0, 1, 0, 1]
        >>> probability_bins(np.array([0.1, 0.9, 0.1, 0.3]), bins=2, scheme="equal-width").tolist()
        [0, 1, 0, 0]
    """
    probabilities = np.asarray(probabilities, np.float64)
    if bins < 1 or scheme not in ("equal-mass", "equal-width"):
        raise InputError(f"{bins} bins, '{scheme}'.", "Give at least 1, 'equal-mass' or 'equal-width'.")
    if probabilities.ndim != 1 or not len(probabilities):
        raise InputError(f"Probabilities of shape {probabilities.shape}.", "Give one for each case.")
    wrong = int((~((probabilities >= 0) & (probabilities <= 1))).sum())
    if wrong:
        raise InputError(
            f"{wrong} of {len(probabilities)} probabilities are not in [0, 1].", "Calibrate the scores first."
        )
    if scheme == "equal-width":
        raw = np.minimum((probabilities * bins).astype(int), bins - 1)
    else:
        raw = ((midranks(probabilities) - 0.5) / len(probabilities) * bins).astype(int)
    return np.unique(raw, return_inverse=True)[1].reshape(-1)


def reliability_curve(
    probabilities: np.ndarray, positive: np.ndarray, bins: int = BINS, scheme: Scheme = "equal-mass"
) -> tuple[ReliabilityBin, ...]:
    """What was predicted and what was observed, bin by bin.

    Raises:
        InputError: A probability is not in [0, 1], or shapes differ.

    Example:
        >>> curve = reliability_curve(np.array([0.1, 0.3, 0.8, 0.8]), np.array([0, 0, 1, 0], bool), bins=2)
        >>> [(b.predicted, b.observed, b.count) for b in curve]
        [(0.2, 0.0, 2), (0.8, 0.5, 2)]
    """
    probabilities, positive = _checked(probabilities, positive)
    of_case = probability_bins(probabilities, bins, scheme)
    count = np.bincount(of_case)
    predicted, observed = np.bincount(of_case, probabilities) / count, np.bincount(of_case, positive) / count
    curve = []
    for p, o, n in zip(predicted.tolist(), observed.tolist(), count.tolist(), strict=True):
        interval = wilson(o, n)
        curve.append(ReliabilityBin(p, o, n, interval.low, interval.high))
    return tuple(curve)


def ece(
    probabilities: np.ndarray, positive: np.ndarray, bins: int = BINS, scheme: Scheme = "equal-mass"
) -> float:
    """The expected calibration error: mean distance between predicted and observed, by cases.

    It is never below 0, so that chance alone makes it positive: see `ece_expected_if_calibrated`.

    Args:
        probabilities: (N,) in [0, 1], of the positive class.
        positive: (N,) bool.
        bins: Number of bins.
        scheme: See `probability_bins`.

    Raises:
        InputError: A probability is not in [0, 1], or shapes differ.

    Source:
        Naeini, Cooper and Hauskrecht, AAAI 2015, for the probability of one class.

    Example:
        >>> round(ece(np.array([0.1, 0.3, 0.8, 0.8]), np.array([0, 0, 1, 0], bool), bins=2), 4)
        0.25
    """
    probabilities, positive = _checked(probabilities, positive)
    of_case = probability_bins(probabilities, bins, scheme)
    return float(np.abs(np.bincount(of_case, probabilities - positive)).sum() / len(positive))


def brier(probabilities: np.ndarray, positive: np.ndarray) -> float:
    """Mean squared distance between the probability and the truth.

    Raises:
        InputError: A probability is not in [0, 1], or shapes differ.

    Source:
        Brier, Monthly Weather Review 78 (1950), for two classes; equals scikit-learn's `brier_score_loss`.

    Example:
        >>> round(brier(np.array([0.1, 0.9]), np.array([False, True])), 4)
        0.01
    """
    probabilities, positive = _checked(probabilities, positive)
    return float(np.mean((probabilities - positive) ** 2))


def ece_expected_if_calibrated(
    probabilities: np.ndarray,
    bins: int = BINS,
    scheme: Scheme = "equal-mass",
    *,
    draws: int = 200,
    seed: int = 0,
) -> float:
    """The ECE that chance alone gives: its mean over truths drawn from the probabilities themselves.

    An ECE of this size says nothing against the probabilities. The truths are drawn independently; cases of
    one patient are alike, which makes the real figure somewhat larger.

    Args:
        probabilities: (N,) in [0, 1].
        bins: Number of bins.
        scheme: See `probability_bins`.
        draws: How often the truth is drawn.
        seed: Of the draws.

    Raises:
        InputError: A probability is not in [0, 1].

    Example:
        >>> round(ece_expected_if_calibrated(np.full(1000, 0.5), bins=1), 2)  # sqrt(2 / pi * 0.25 / 1000)
        0.01
    """
    probabilities = np.asarray(probabilities, np.float64)
    of_case = probability_bins(probabilities, bins, scheme)
    order = np.argsort(of_case, kind="stable")
    sure, starts = probabilities[order], np.flatnonzero(np.diff(of_case[order], prepend=-1))
    threshold = sure.astype(np.float32)
    expected = np.add.reduceat(sure, starts)
    rng = np.random.default_rng(seed)
    found = 0.0
    for _ in range(draws):
        drawn = np.add.reduceat(rng.random(len(sure), np.float32) < threshold, starts, dtype=np.int64)
        found += float(np.abs(drawn - expected).sum())
    return found / draws / len(sure)


def ece_interval(
    probabilities: np.ndarray,
    truth: np.ndarray,
    bootstrap: Bootstrap,
    bins: int = BINS,
    scheme: Scheme = "equal-mass",
) -> Estimate:
    """The expected calibration error with an interval by the bootstrap over patients.

    A plain percentile interval is wrong here: a resample adds chance to chance, so that every resample of
    calibrated probabilities has a larger ECE than the sample, and the interval never holds the truth. The
    upper limit is the resamples' upper percentile. The lower limit lies as far below the estimate as the
    upper lies above it; and it is 0 where chance alone explains the estimate, which is judged by the same
    resamples with every bin's own error taken off.

    Args:
        probabilities: (N,) in [0, 1].
        truth: (N,) 1, 0 or NaN (left out).
        bootstrap: Resamples of the patients of the N cases.
        bins: Number of bins; the bins of the sample are kept in the resamples.
        scheme: See `probability_bins`.

    Raises:
        InputError: A probability is not in [0, 1], or shapes differ.
    """
    truth = np.asarray(truth, np.float64)
    known = ~np.isnan(truth)
    probabilities, positive = _checked(np.asarray(probabilities)[known], truth[known] == 1)
    of_case = probability_bins(probabilities, bins, scheme)
    width, patients = int(of_case.max()) + 1, len(bootstrap.counts)
    cell = bootstrap.codes[known] * width + of_case
    shape = (patients, width)
    # All that a resample needs of a patient: the error in each bin, and the number of cases.
    error = np.bincount(cell, probabilities - positive, minlength=patients * width).reshape(shape)
    cases = np.bincount(bootstrap.codes[known], minlength=patients).astype(np.float64)
    value = float(np.abs(error.sum(axis=0)).sum() / len(positive))
    drawn = _totals(bootstrap.counts, np.column_stack([error, cases]))
    drawn = drawn[drawn[:, -1] > 0]  # a resample may hold no patient whose truth is known
    resampled = np.abs(drawn[:, :-1]).sum(axis=1) / drawn[:, -1]
    chance = np.abs(drawn[:, :-1] - error.sum(axis=0)).sum(axis=1) / len(positive)
    upper = (1 + bootstrap.resampling.level) / 2
    high = max(value, float(np.quantile(resampled, upper)))
    low = 0.0 if value <= np.quantile(chance, upper) else max(0.0, 2 * value - high)
    return Estimate(value, low, high)


def brier_interval(probabilities: np.ndarray, truth: np.ndarray, bootstrap: Bootstrap) -> Estimate:
    """Brier's score with a percentile interval by the bootstrap over patients; truth NaN is left out.

    Raises:
        InputError: A probability is not in [0, 1], or shapes differ.
    """
    truth = np.asarray(truth, np.float64)
    known = ~np.isnan(truth)
    probabilities, positive = _checked(np.asarray(probabilities)[known], truth[known] == 1)
    squared = (probabilities - positive) ** 2
    codes, patients = bootstrap.codes[known], len(bootstrap.counts)
    error = np.bincount(codes, squared, minlength=patients)
    drawn = _totals(bootstrap.counts, np.column_stack([error, np.bincount(codes, minlength=patients)]))
    drawn = drawn[drawn[:, 1] > 0]
    value = float(squared.mean())
    return Draws(value, drawn[:, 0] / drawn[:, 1], bootstrap.resampling.level).estimate


def _totals(counts: np.ndarray, of_patient: np.ndarray) -> np.ndarray:
    """(R, K) sums over the patients of each resample, of (patients, K)."""
    # Single precision halves the time and is far finer than an interval. Some resamples at a time, so that
    # the counts, which are bytes, are never floats all at once.
    width = max(1, (1 << 24) // len(counts))
    left = np.ascontiguousarray(of_patient.T, np.float32)
    starts = range(0, counts.shape[1], width)
    drawn = [left @ counts[:, i : i + width].astype(np.float32) for i in starts]
    return np.concatenate(drawn, axis=1).T.astype(np.float64)


def _checked(probabilities: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities, positive = np.asarray(probabilities, np.float64), np.asarray(positive, bool)
    if probabilities.shape != positive.shape:
        raise InputError(
            f"probabilities {probabilities.shape} and labels {positive.shape} differ.",
            "Give two vectors of one length.",
        )
    probability_bins(probabilities, 1)  # refuses what is no probability
    return probabilities, positive

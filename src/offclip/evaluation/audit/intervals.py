"""Agreement over strata: stratified proportions, Cohen's kappa, and the bootstrap over strata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offclip.evaluation.statistics.estimate import Estimate, wilson


@dataclass(frozen=True, slots=True)
class Cell:
    """Judged sentences that were drawn alike, and the part of the table they stand for.

    Attributes:
        share: Of the table, in [0, 1].
        pairs: (m, 2) integer codes, such as those of the labeller's label and the verdict.
        weights: (m,) relative weights within the cell.
        complete: Every sentence of this part of the table was judged, so that nothing is left to chance.
    """

    share: float
    pairs: np.ndarray
    weights: np.ndarray
    complete: bool

    @property
    def agreement(self) -> Estimate:
        """Share of agreeing pairs."""
        agree = self.pairs[:, 0] == self.pairs[:, 1]
        value = float(np.average(agree, weights=self.weights))
        if self.complete:
            return Estimate(value, value, value)
        return wilson(value, effective_size(self.weights))


def effective_size(weights: np.ndarray) -> float:
    """Kish's effective number of observations, (sum w)² / sum w²; their number where weights are equal."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def combine(parts: Sequence[tuple[float, Estimate]]) -> Estimate:
    """Add proportions of strata up to that of the whole.

    Args:
        parts: Weight and estimate of each stratum; the weights are scaled to 1.

    Source:
        The value is the stratified estimate, sum of W_h p_h. The interval recovers each stratum's variance
        from its own limits (MOVER): value - sqrt(sum W_h² (p_h - l_h)²), value + sqrt(sum W_h² (u_h - p_h)²).
        Zou and Donner, Stat. Med. 27 (2008); for strata with Wilson limits Yan and Su, Stat. Biopharm. Res.
        2 (2010).

    Example:
        >>> e = combine([(3, wilson(0.9, 50)), (1, wilson(0.5, 50))])
        >>> round(e.value, 2), round(e.low, 2), round(e.high, 2)
        (0.8, 0.71, 0.85)
    """
    weights = np.array([weight for weight, _ in parts], float)
    weights /= weights.sum()
    value = float(sum(w * e.value for w, (_, e) in zip(weights, parts, strict=True)))
    down = np.sqrt(sum((w * (e.value - e.low)) ** 2 for w, (_, e) in zip(weights, parts, strict=True)))
    up = np.sqrt(sum((w * (e.high - e.value)) ** 2 for w, (_, e) in zip(weights, parts, strict=True)))
    return Estimate(value, float(max(0.0, value - down)), float(min(1.0, value + up)))


def confusion(cells: Sequence[Cell], classes: int) -> np.ndarray:
    """(classes, classes) shares of the table: rows the first codes, columns the second; they add up to 1."""
    table = np.zeros((classes, classes))
    for cell in cells:
        np.add.at(table, (cell.pairs[:, 0], cell.pairs[:, 1]), cell.share * cell.weights / cell.weights.sum())
    return table / table.sum()


def cohen_kappa(table: np.ndarray) -> np.ndarray:
    """Cohen's kappa of confusion tables: agreement beyond chance, (p_o - p_e) / (1 - p_e).

    Args:
        table: (..., C, C) counts or shares.

    Returns:
        (...) kappa; nan where chance alone agrees completely.

    Source:
        Cohen, Educ. Psychol. Meas. 20 (1960).

    Example:
        >>> round(float(cohen_kappa(np.array([[45, 15], [25, 15]]))), 4)
        0.1304
    """
    share = table / table.sum(axis=(-2, -1), keepdims=True)
    observed = np.trace(share, axis1=-2, axis2=-1)
    expected = (share.sum(axis=-1) * share.sum(axis=-2)).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa = (observed - expected) / (1 - expected)
    return np.where(expected < 1 - 1e-12, kappa, np.nan)


def kappa_interval(
    cells: Sequence[Cell], classes: int, *, resamples: int = 2000, seed: int = 0
) -> Estimate | None:
    """Cohen's kappa of the table, with a percentile bootstrap over the cells.

    Each cell is resampled by itself; complete cells stay as they are. An error that was not drawn cannot be
    resampled, so with hardly any disagreement the interval is too short.

    Args:
        cells: What was judged.
        classes: Number of codes.
        resamples: Bootstrap resamples.
        seed: Of the resampling.

    Returns:
        The estimate; None where kappa is not defined, because only one class occurs.
    """
    value = float(cohen_kappa(confusion(cells, classes)))
    if np.isnan(value):
        return None
    rng = np.random.default_rng(seed)
    tables = np.zeros((resamples, classes * classes))
    for cell in cells:
        m = len(cell.pairs)
        repeats = np.ones((resamples, m)) if cell.complete else rng.multinomial(m, [1 / m] * m, resamples)
        weights = repeats * cell.weights
        weights *= cell.share / weights.sum(axis=1, keepdims=True)
        tables += weights @ np.eye(classes * classes)[cell.pairs[:, 0] * classes + cell.pairs[:, 1]]
    kappas = cohen_kappa(tables.reshape(-1, classes, classes))
    low, high = np.nanpercentile(kappas, [2.5, 97.5])
    return Estimate(value, float(low), float(high))

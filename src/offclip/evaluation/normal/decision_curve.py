"""Decision curves: is it worth it to let the score decide which films are read?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offclip.errors import DataError, InputError

THRESHOLDS = tuple(float(t) for t in np.round(np.arange(0.01, 1.0, 0.01), 2))


@dataclass(frozen=True, slots=True)
class NetBenefit:
    """Net benefit over threshold probabilities; see `net_benefit`.

    Attributes:
        thresholds: T threshold probabilities.
        model: T net benefits when only the films that reach the threshold are read.
        treat_all: T net benefits when every film is read. Reading none has 0.
        reads_avoided: T shares of films by which the model spares the reader, net of the misses.
    """

    thresholds: tuple[float, ...]
    model: tuple[float, ...]
    treat_all: tuple[float, ...]
    reads_avoided: tuple[float, ...]


def net_benefit(
    probability: np.ndarray,
    abnormal: np.ndarray,
    thresholds: tuple[float, ...] = THRESHOLDS,
    prevalence: float | None = None,
) -> NetBenefit:
    """Net benefit of reading only the films that look abnormal enough.

    To treat is to have a radiologist read the film, and the disease is being abnormal. At the threshold
    probability t a reader accepts 1/t reads to find one abnormal film: a film is read when its probability
    of being abnormal is t or more. With the shares s of the abnormal and f of the normal films that are
    read, and the prevalence p, the net benefit is s p - f (1 - p) t / (1 - t): abnormal films found, a film.
    Reading all has s = f = 1, reading none has 0. The reads avoided are the benefit over reading all,
    counted in films: (1 - f)(1 - p) - (1 - s) p (1 - t) / t.

    Args:
        probability: (N,) calibrated probability of being abnormal.
        abnormal: (N,) bool.
        thresholds: Between 0 and 1.
        prevalence: Share of abnormal films; None takes that of the set.

    Raises:
        InputError: A threshold or probability is out of range.
        DataError: One class is missing.

    Source:
        Vickers and Elkin, Medical Decision Making 26 (2006).

    Example:
        >>> curve = net_benefit(np.array([0.1, 0.3, 0.6, 0.9]), np.array([0, 0, 1, 1], bool), (0.2, 0.5))
        >>> [round(v, 4) for v in (*curve.model, *curve.treat_all, *curve.reads_avoided)]
        [0.4375, 0.5, 0.375, 0.0, 0.25, 0.5]
    """
    t = np.asarray(thresholds, np.float64)
    probability, abnormal = np.asarray(probability, np.float64), np.asarray(abnormal, bool)
    if not ((t > 0) & (t < 1)).all() or not ((probability >= 0) & (probability <= 1)).all():
        raise InputError("A probability is out of range.", "Give calibrated probabilities.")
    if not abnormal.any() or abnormal.all():
        raise DataError("A decision curve needs normal and abnormal cases.", "Take a larger split.")
    p = float(abnormal.mean()) if prevalence is None else prevalence
    s, f = _share_read(probability[abnormal], t), _share_read(probability[~abnormal], t)
    harm = t / (1 - t)
    model, treat_all = s * p - f * (1 - p) * harm, p - (1 - p) * harm
    return NetBenefit(*(tuple(v.tolist()) for v in (t, model, treat_all, (model - treat_all) / harm)))


def at_prevalence(probability: np.ndarray, calibrated_at: float, prevalence: float) -> np.ndarray:
    """Probabilities of being abnormal, moved from one prevalence to another by Bayes' rule.

    Example:
        >>> at_prevalence(np.array([0.0, 0.5, 1.0]), calibrated_at=0.5, prevalence=0.1).round(6).tolist()
        [0.0, 0.1, 1.0]
    """
    abnormal = probability * prevalence / calibrated_at
    normal = (1 - probability) * (1 - prevalence) / (1 - calibrated_at)
    return abnormal / (abnormal + normal)


def _share_read(probability: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    return 1 - np.searchsorted(np.sort(probability), thresholds, side="left") / len(probability)

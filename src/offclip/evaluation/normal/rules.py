"""Rules that clear cases: a case is cleared when its normal score lies above a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from offclip.errors import DataError
from offclip.evaluation.operating.column import Column, refuse_shared_patients
from offclip.evaluation.operating.parts import Origin, Part, Source, source_of
from offclip.evaluation.operating.point import Thresholds
from offclip.evaluation.statistics.thresholds import threshold_at_sensitivity


@dataclass(frozen=True, slots=True)
class Rule:
    """One operating point.

    Attributes:
        sensitivity: Share of the abnormal cases that the threshold was fitted to keep.
        threshold: A case is cleared when its normal score is above it. Under nested cross-validation it is
            the one of all cases together, to be used on new cases.
        fitted: The thresholds that decided here: one, or one a fold. Under nested cross-validation every
            case is judged by the folds that its patient is not in.
        origin: Where they were fitted.
        cleared: (N,) bool.
        cleared_in_sample: (N,) bool, by the threshold that is fitted on these very cases: optimistic.
    """

    sensitivity: float
    threshold: float
    fitted: tuple[float, ...]
    origin: Origin
    cleared: np.ndarray = field(repr=False, compare=False)
    cleared_in_sample: np.ndarray = field(repr=False, compare=False)


def clearing_threshold(score: np.ndarray, abnormal: np.ndarray, sensitivity: float) -> float:
    """The lowest threshold t at which `score > t` clears no more abnormal cases than the sensitivity allows.

    A case that ties with the threshold is kept for the reader.

    Args:
        score: (N,) higher where normal is likelier.
        abnormal: (N,) bool.
        sensitivity: Share of the abnormal cases to keep, in (0, 1].

    Raises:
        DataError: There is no abnormal case.

    Example:
        >>> score = np.array([0.1, 0.4, 0.4, 0.9, 0.8])
        >>> clearing_threshold(score, np.array([True, True, True, True, False]), 0.75)
        0.4
    """
    return -threshold_at_sensitivity(-score, abnormal, sensitivity)


def fit_rules(
    test: Column,
    validation: Column | None,
    sensitivities: Sequence[float],
    *,
    thresholds: Thresholds = "validation",
    seed: int = 0,
) -> tuple[Rule, ...]:
    """One rule a sensitivity, fitted on the validation cases, or by nested cross-validation over patients.

    A set whose patients are too few for that, or one whose abnormal cases all lie in one fold, is judged by
    thresholds of its own, and `origin` says so.

    Args:
        test: A normal score with its truth, 1 normal; every truth known.
        validation: The same score of other patients; without a normal and an abnormal case it counts as none.
        sensitivities: Shares of the abnormal cases to keep.
        thresholds: "in-sample-youden" fits on the reported cases themselves.
        seed: Of the folds.

    Raises:
        DataError: A patient is on both sides, a class is missing, or the scores are constant.

    Example:
        >>> score, normal = np.arange(40.0) % 10, (np.arange(40) % 10 > 4).astype(float)
        >>> rule, = fit_rules(Column("p", score, normal, [str(i) for i in range(40)]), None, [0.95])
        >>> rule.threshold, int(rule.cleared.sum()), rule.origin
        (4.0, 20, 'nested cross-validation')
    """
    abnormal = _abnormal(test)
    own = Source().parts(abnormal)[0]
    origin, parts = _parts(abnormal, validation, own, thresholds, seed)
    rules = []
    for sensitivity in sensitivities:
        fitted = tuple(clearing_threshold(-p.scores, p.positive, sensitivity) for p in parts)
        cleared = np.zeros(len(test.scores), bool)
        for part, t in zip(parts, fitted, strict=True):
            cleared[part.rows] = test.scores[part.rows] > t
        in_sample = clearing_threshold(-own.scores, own.positive, sensitivity)
        threshold = fitted[0] if len(fitted) == 1 else in_sample
        rules.append(Rule(sensitivity, threshold, fitted, origin, cleared, test.scores > in_sample))
    return tuple(rules)


def _parts(
    abnormal: Column, validation: Column | None, own: Part, thresholds: Thresholds, seed: int
) -> tuple[Origin, tuple[Part, ...]]:
    optimistic = Source()
    if thresholds == "in-sample-youden":
        return optimistic.origin, (own,)
    if validation is not None:
        refuse_shared_patients(abnormal.patient_ids, validation.patient_ids)
        if {0.0, 1.0} <= set(validation.truth.tolist()):
            source = source_of(abnormal, _abnormal(validation))
            return source.origin, source.parts(abnormal)
    source = source_of(abnormal, None, seed=seed)
    try:
        return source.origin, source.parts(abnormal)
    except DataError:
        return optimistic.origin, (own,)


def _abnormal(normal: Column) -> Column:
    """The same cases with "abnormal" as the class that is looked for."""
    return Column("abnormal", -normal.scores, 1 - normal.truth, normal.patient_ids)

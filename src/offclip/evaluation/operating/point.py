"""Operating points: a score, a threshold that was fitted elsewhere, and what it decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from offclip.errors import DataError, InputError
from offclip.evaluation.cases import Cases
from offclip.evaluation.operating.column import Column
from offclip.evaluation.operating.parts import Origin, Source, finding_sources, source_of
from offclip.evaluation.statistics.bootstrap import Bootstrap
from offclip.evaluation.statistics.estimate import Estimate, clopper_pearson
from offclip.evaluation.statistics.thresholds import peer_youden, youden_threshold

Thresholds = Literal["validation", "in-sample-youden"]
Select = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One score at its threshold.

    Attributes:
        thresholds: One, or one a fold; infinite where the peers' rule found none better than chance.
        rule: A case is positive when its score is ">=" or, for the peers, ">" the threshold.
        origin: Where the thresholds were fitted.
        sensitivity, specificity: Of the cases whose truth is known; None without a positive, a negative.
        accuracy: Share of the known cases that is decided rightly.
        tp, fp, tn, fn: Their numbers.
        decisions: (N,) bool, of all cases, the unknown too.
    """

    thresholds: tuple[float, ...]
    rule: Literal[">=", ">"]
    origin: Origin
    sensitivity: Estimate | None
    specificity: Estimate | None
    accuracy: float
    tp: int
    fp: int
    tn: int
    fn: int
    decisions: np.ndarray = field(repr=False, compare=False)

    @property
    def threshold(self) -> float:
        """The threshold; the median of those of the folds."""
        return float(np.median(self.thresholds))

    def document(self) -> dict[str, Any]:
        """For results.json; an infinite threshold is null."""
        finite = [t if np.isfinite(t) else None for t in self.thresholds]
        return {
            "threshold": self.threshold if np.isfinite(self.threshold) else None,
            "thresholds": finite,
            "rule": self.rule,
            "from": self.origin,
            "sensitivity": None if self.sensitivity is None else asdict(self.sensitivity),
            "specificity": None if self.specificity is None else asdict(self.specificity),
            "accuracy": self.accuracy,
            "tp": self.tp,
            "fp": self.fp,
            "tn": self.tn,
            "fn": self.fn,
        }


@dataclass(frozen=True, slots=True)
class OperatingResult:
    """Operating points of all findings.

    Attributes:
        points: From finding to operating point, in the order of the cases' findings.
        left_out: From finding to the reason why it has none.
        decisions: (N, C) float64: 1 positive, 0 negative, NaN for a finding that is left out.
    """

    points: Mapping[str, OperatingPoint]
    left_out: Mapping[str, str]
    decisions: np.ndarray


def operate(
    cases: Cases,
    validation: Cases | None = None,
    *,
    thresholds: Thresholds = "validation",
    select: Select = youden_threshold,
    folds: int = 5,
    seed: int = 0,
    bootstrap: Bootstrap | None = None,
) -> OperatingResult:
    """The operating point of every finding.

    Args:
        cases: N cases that are reported.
        validation: Cases of other patients, with the same findings in any order. None: every case gets the
            threshold that was fitted on the other folds of patients, and the folds' decisions are counted
            together. Each finding has folds of its own, with its positive patients spread over them.
        thresholds: "in-sample-youden" reproduces the peers, optimistic, whatever `validation` is.
        select: From scores and positives to a threshold t, of the rule `score >= t`.
        folds: Of the cross-validation.
        seed: Of the folds.
        bootstrap: Resamples of the patients of `cases`: intervals by percentile, and where all or none are
            right the exact one of as many independent patients. None: the exact ones of Clopper and Pearson,
            which take the cases for independent: right for one image a patient, too short for many.

    Raises:
        InputError: A finding is missing in the validation cases, or a score is not finite.
        DataError: A patient is on both sides.

    Example:
        >>> scores, truth = np.arange(40.0)[:, None] % 10, np.arange(40)[:, None] % 10 > 4
        >>> result = operate(Cases.of([str(i) for i in range(40)], ["edema"], scores, truth))
        >>> point = result.points["edema"]
        >>> point.threshold, point.tp, point.origin
        (5.0, 20, 'nested cross-validation')
    """
    in_sample = _in_sample(thresholds)
    sources = finding_sources(cases, validation, in_sample=in_sample, folds=folds, seed=seed)
    points: dict[str, OperatingPoint] = {}
    left_out: dict[str, str] = {}
    decisions = np.full(cases.scores.shape, np.nan)
    for i, (test, source) in enumerate(sources):
        try:
            point = _point(test, source, select, bootstrap)
        except DataError as error:
            left_out[test.name] = error.message
            continue
        points[test.name] = point
        decisions[:, i] = point.decisions
    return OperatingResult(points, left_out, decisions)


def operating_point(
    test: Column,
    validation: Column | None = None,
    *,
    thresholds: Thresholds = "validation",
    select: Select = youden_threshold,
    folds: int = 5,
    seed: int = 0,
    bootstrap: Bootstrap | None = None,
) -> OperatingPoint:
    """The operating point of one score, such as a normal score; see `operate`.

    Raises:
        InputError: A score is not finite.
        DataError: A class is missing where the threshold is fitted, a patient is on both sides, or there are
            too few patients.
    """
    in_sample = _in_sample(thresholds)
    source = source_of(test, validation, in_sample=in_sample, folds=folds, seed=seed)
    return _point(test, source, select, bootstrap)


def _point(test: Column, source: Source, select: Select, bootstrap: Bootstrap | None) -> OperatingPoint:
    strict = source.origin == "the test set itself (optimistic)"
    if strict:
        select = peer_youden
    parts = source.parts(test)
    thresholds = tuple(float(select(part.scores, part.positive)) for part in parts)
    decisions = np.zeros(len(test.scores), bool)
    for part, t in zip(parts, thresholds, strict=True):
        decisions[part.rows] = test.scores[part.rows] > t if strict else test.scores[part.rows] >= t
    present, absent = test.truth == 1, test.truth == 0
    tp, fn = int((decisions & present).sum()), int((~decisions & present).sum())
    fp, tn = int((decisions & absent).sum()), int((~decisions & absent).sum())
    if not tp + fn + fp + tn:
        raise DataError("no case whose truth is known", "Give labels, or leave the class out.")

    def share(right: np.ndarray, of: np.ndarray) -> Estimate | None:
        if not of.any():
            return None
        if bootstrap is None:
            return clopper_pearson(int(right[of].sum()), int(of.sum()))
        if right[of].min() == right[of].max():  # resamples of all or none are all or none, without a width
            patients = len(np.unique(bootstrap.codes[of]))
            return clopper_pearson(patients * int(right[of].max()), patients)
        return bootstrap.mean(np.where(of, right, np.nan)).estimate

    return OperatingPoint(
        thresholds,
        ">" if strict else ">=",
        source.origin,
        share(decisions, present),
        share(~decisions, absent),
        (tp + tn) / (tp + fn + fp + tn),
        tp,
        fp,
        tn,
        fn,
        decisions,
    )


def _in_sample(thresholds: str) -> bool:
    if thresholds not in ("validation", "in-sample-youden"):
        raise InputError(f"Thresholds from '{thresholds}'.", "Take 'validation' or 'in-sample-youden'.")
    return thresholds == "in-sample-youden"

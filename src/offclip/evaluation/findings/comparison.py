"""What a comparison of two models holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from offclip.evaluation.statistics.bootstrap import Resampling
from offclip.evaluation.statistics.estimate import Estimate


@dataclass(frozen=True, slots=True)
class ClassComparison:
    """One finding of both models.

    Attributes:
        first: AUC of the first model with its bootstrap interval.
        second: AUC of the second model.
        difference: First - second, with its DeLong interval (patients as clusters).
        z: DeLong's statistic.
        p: Two-sided p-value of no difference; NaN where no test can be made.
        p_holm: The same, corrected by Holm for the number of findings.
        positives: Cases in which the finding is present.
        negatives: Cases in which it is absent.
    """

    first: Estimate
    second: Estimate
    difference: Estimate
    z: float
    p: float
    p_holm: float
    positives: int
    negatives: int


@dataclass(frozen=True, slots=True)
class MeanComparison:
    """One number of both models, drawn on the same resamples.

    Attributes:
        first: Of the first model, with its bootstrap interval.
        second: Of the second model.
        difference: First - second, with its paired bootstrap interval.
        p: Two-sided bootstrap p-value of no difference; with R resamples never below 2/(R + 1).
        p_delong: DeLong's, for a single AUC; None for a mean.
    """

    first: Estimate
    second: Estimate
    difference: Estimate
    p: float
    p_delong: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same cases.

    Attributes:
        names: Of the two models.
        cases: Number of cases.
        patients: Number of patients.
        per_class: From each finding that both models scored to its comparison.
        macro_auc: Mean over those findings (those that count); None when there is none.
        normal_auc: Of the reported normal scores; None when one class is missing.
        normal_scores: Names of the reported normal scores of the two.
        left_out: From a finding that cannot be compared to the reason.
        resampling: How the intervals were drawn.
    """

    names: tuple[str, str]
    cases: int
    patients: int
    per_class: Mapping[str, ClassComparison]
    macro_auc: MeanComparison | None
    normal_auc: MeanComparison | None
    normal_scores: tuple[str, str] | None
    left_out: Mapping[str, str]
    resampling: Resampling

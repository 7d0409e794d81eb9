"""What is measured of findings: per class, over classes, per group of classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from offclip.evaluation.statistics.bootstrap import AreaDraws, Resampling
from offclip.evaluation.statistics.draws import Draws
from offclip.evaluation.statistics.estimate import Estimate


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One finding.

    Attributes:
        auc: With its bootstrap interval.
        auc_delong: With its DeLong interval (logit scale, patients as clusters).
        auprc: Average precision, or the peers' trapezoid, with its bootstrap interval.
        positives: Cases in which it is known to be present.
        negatives: Cases in which it is known to be absent.
        unknown: Cases of unknown truth, left out.
        undefined_draws: Resamples without a positive or a negative, left out of the intervals.
    """

    auc: Estimate
    auc_delong: Estimate
    auprc: Estimate
    positives: int
    negatives: int
    unknown: int
    undefined_draws: int


@dataclass(frozen=True, slots=True)
class GroupResult:
    """A group of classes, such as the rare ones.

    Attributes:
        rule: How its classes are chosen.
        classes: Those that are in the mean.
        auc: Mean AUC; None when no class is left.
        auprc: Mean area under the precision-recall curve.
    """

    rule: str
    classes: tuple[str, ...]
    auc: Estimate | None
    auprc: Estimate | None


@dataclass(frozen=True, slots=True)
class FindingResults:
    """Everything about the findings of one set of cases.

    Attributes:
        per_class: From finding to its result; findings in `left_out` are not in here.
        classes: The findings that are in the means.
        macro_auc: Plain mean of the AUCs; None when no finding is in the means, as are the others.
        micro_auc: AUC of all known cells of those findings together.
        weighted_auc: Mean of the AUCs, each weighted by its number of positives.
        macro_auprc: Plain mean of the areas under the precision-recall curve.
        micro_auprc: Of all known cells together.
        groups: Head, medium, tail or whatever was asked.
        left_out: From a finding that cannot be measured to the reason.
        cases: Number of cases.
        patients: Number of patients.
        resampling: How the intervals were drawn.
        draws: From finding to its draws, on the resamples that everything was measured with.
        macro_draws: Draws of the macro AUC.
    """

    per_class: Mapping[str, ClassResult]
    classes: tuple[str, ...]
    macro_auc: Estimate | None
    micro_auc: Estimate | None
    weighted_auc: Estimate | None
    macro_auprc: Estimate | None
    micro_auprc: Estimate | None
    groups: Mapping[str, GroupResult]
    left_out: Mapping[str, str]
    cases: int
    patients: int
    resampling: Resampling
    draws: Mapping[str, AreaDraws] = field(default_factory=dict, repr=False)
    macro_draws: Draws | None = field(default=None, repr=False)

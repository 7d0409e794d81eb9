"""Rule-out: how many normal films need no reader, at a sensitivity that the abnormal ones can support."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offclip.evaluation.cases import Cases
from offclip.evaluation.normal.claims import Verdict, abnormals_needed, judge
from offclip.evaluation.normal.predictive import predictive_values
from offclip.evaluation.normal.rules import Rule
from offclip.evaluation.operating.parts import Origin
from offclip.evaluation.statistics.bootstrap import Bootstrap
from offclip.evaluation.statistics.estimate import Estimate, clopper_pearson
from offclip.evaluation.statistics.ranks import roc_curve

SENSITIVITIES = (0.95, 0.98, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class RuleOut:
    """What one operating point does.

    Attributes:
        sensitivity: What the threshold was fitted to keep, and what is claimed.
        claim: Whether the set supports "the sensitivity is at least this": "supported" where neither lower
            limit, of `reached` and of `reached_by_patient`, lies below it, "not supported" where one does,
            "refused" where there are fewer than `abnormals_needed` abnormal cases.
        reason: The claim in words.
        abnormals, normals: Number of cases.
        abnormals_needed: The least number that could support the claim, with none missed.
        threshold: A case is cleared when its normal score is above it.
        origin: Where the thresholds were fitted.
        reached: Share of the abnormal cases that is kept, with its Clopper-Pearson interval.
        reached_by_patient: The same with the percentile interval of the bootstrap over patients, which counts
            the cases of one patient as dependent. Its lower limit is never above what the abnormal patients,
            each counted once, could show with none missed: without a miss the bootstrap sees no spread.
        supports: The sensitivity that the set does support for this rule: the lower of both lower limits.
        cleared: Share of the normal cases that is cleared, with its Clopper-Pearson interval.
        cleared_by_patient: The same by the bootstrap over patients.
        missed: Number of abnormal cases that are cleared.
        cleared_in_sample: Share of the normals that a threshold fitted on these very cases clears:
            optimistic, for comparison with published numbers.
        prevalence: Share of abnormal cases that `npv` and `ppv` hold for.
        prevalence_origin: "given", or "this set".
        npv: Share of the cleared that are normal; None when nothing is cleared.
        ppv: Share of the kept that are abnormal; None when nothing is kept.
    """

    sensitivity: float
    claim: Verdict
    reason: str
    abnormals: int
    normals: int
    abnormals_needed: int
    threshold: float
    origin: Origin
    reached: Estimate
    reached_by_patient: Estimate
    supports: float
    cleared: Estimate
    cleared_by_patient: Estimate
    missed: int
    cleared_in_sample: float
    prevalence: float
    prevalence_origin: str
    npv: Estimate | None
    ppv: Estimate | None


@dataclass(frozen=True, slots=True)
class RuleOutCurve:
    """The trade-off over all thresholds, for drawing: no threshold is chosen by it.

    Attributes:
        sensitivity: Shares of the abnormal cases kept, rising.
        cleared: Shares of the normal cases cleared at them.
    """

    sensitivity: tuple[float, ...]
    cleared: tuple[float, ...]


def rule_out(cases: Cases, rule: Rule, bootstrap: Bootstrap, prevalence: float | None = None) -> RuleOut:
    """Measures one rule.

    Args:
        cases: N cases, each known to be normal or abnormal, both among them.
        rule: With `cleared` of these cases.
        bootstrap: Of their patients.
        prevalence: Share of abnormal cases where the rule will be used; None takes that of the set.
    """
    normal = cases.normal == 1
    normals, abnormals = int(normal.sum()), int((~normal).sum())
    missed, cleared = int((rule.cleared & ~normal).sum()), int((rule.cleared & normal).sum())
    reached = clopper_pearson(abnormals - missed, abnormals)
    by_patient = _by_patient(~rule.cleared, ~normal, bootstrap)
    low = min(reached.low, by_patient.low)
    claim = judge(rule.sensitivity, reached.value, low, abnormals)
    used = abnormals / len(cases) if prevalence is None else prevalence
    values = predictive_values(abnormals - missed, abnormals, cleared, normals, used)
    return RuleOut(
        rule.sensitivity,
        claim.verdict,
        claim.reason,
        abnormals,
        normals,
        abnormals_needed(rule.sensitivity),
        rule.threshold,
        rule.origin,
        reached,
        by_patient,
        low,
        clopper_pearson(cleared, normals),
        bootstrap.mean(np.where(normal, rule.cleared, np.nan)).estimate,
        missed,
        float(rule.cleared_in_sample[normal].mean()),
        used,
        "this set" if prevalence is None else "given",
        values.npv,
        values.ppv,
    )


def _by_patient(kept: np.ndarray, abnormal: np.ndarray, bootstrap: Bootstrap) -> Estimate:
    drawn = bootstrap.mean(np.where(abnormal, kept, np.nan)).estimate
    patients = len(np.unique(bootstrap.codes[abnormal]))
    return Estimate(drawn.value, min(drawn.low, clopper_pearson(patients, patients).low), drawn.high)


def rule_out_curve(score: np.ndarray, normal: np.ndarray) -> RuleOutCurve:
    """The share of normals cleared against the sensitivity, about 300 points, dense near 100 %.

    Args:
        score: (N,) higher where normal is likelier.
        normal: (N,) bool, both classes among them.

    Example:
        >>> curve = rule_out_curve(np.array([3.0, 1.0, 2.0, 0.0]), np.array([True, True, False, False]))
        >>> curve.cleared[0], curve.cleared[-1]
        (1.0, 0.5)
    """
    read, kept = roc_curve(-score, ~normal)
    targets = np.unique(np.concatenate([np.linspace(0, 0.9, 91), np.linspace(0.9, 1, 201)]))
    # The first point that keeps enough clears the most; kept rises to 1, so there is always one.
    points = np.unique(np.searchsorted(kept, targets - 1e-12))
    return RuleOutCurve(tuple(kept[points].tolist()), tuple((1 - read[points]).tolist()))

"""How well normal is told from abnormal, as `results.json` says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from offclip.errors import DataError
from offclip.evaluation.result_page.reading import Node
from offclip.evaluation.result_page.reliability import Calibration, read_calibration
from offclip.evaluation.statistics.estimate import Estimate

CLAIMS = ("supported", "not supported", "refused")


@dataclass(frozen=True, slots=True)
class NormalScore:
    """One way to score normal, and its AUC."""

    name: str
    auc: Estimate | None
    delong: Estimate | None


@dataclass(frozen=True, slots=True)
class RuleOut:
    """What is cleared when a wanted share of the abnormal cases must be kept.

    Attributes:
        sensitivity: Wanted.
        claim: One of `CLAIMS`; empty where nothing is said.
        reason: Of the claim.
        abnormals, abnormals_needed: Numbers behind the claim.
        threshold, origin: Of the normal score, and where it was chosen.
        reached: Sensitivity on these cases.
        cleared: Share of the normal cases.
        missed: Abnormal cases that were cleared: those whose normal score lies above the threshold.
        prevalence, npv, ppv: Of abnormal cases, and predictive values at it.
    """

    sensitivity: float
    claim: str
    reason: str
    abnormals: int | None
    abnormals_needed: int | None
    threshold: float | None
    origin: str
    reached: Estimate | None
    cleared: Estimate | None
    missed: int | None
    prevalence: float | None
    npv: Estimate | None
    ppv: Estimate | None


@dataclass(frozen=True, slots=True)
class FalseFindings:
    """Findings that are called on normal cases; `by_finding` has shares of the normal cases."""

    per_normal: Estimate | None
    normals_with_any: Estimate | None
    origin: str
    by_finding: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class DecisionCurve:
    """Net benefit over the threshold probability, three lists of one length; `prevalence` is of abnormal."""

    thresholds: tuple[float, ...]
    model: tuple[float, ...]
    treat_all: tuple[float, ...]
    score: str
    calibration: str
    prevalence: float | None


@dataclass(frozen=True, slots=True)
class Subgroup:
    """The cases with one value of an attribute.

    Attributes:
        attribute, value: Of whom.
        cases, normals, abnormals: Numbers.
        auc: Of the reported normal score; `reason` says why there is none.
        reached, cleared: What the first operating point of all cases does here.
    """

    attribute: str
    value: str
    cases: int | None
    normals: int | None
    abnormals: int | None
    auc: Estimate | None
    reason: str
    reached: Estimate | None
    cleared: Estimate | None


@dataclass(frozen=True, slots=True)
class Normal:
    """All of it.

    Attributes:
        score: Name of the score that is reported.
        worst: The prompt with the lowest AUC.
        scores: All scores that were measured, by name.
        not_calibrated: Why there is no calibration.
        misses: Number of rows in `misses.csv`.
    """

    score: str
    auc: Estimate | None
    delong: Estimate | None
    normals: int | None
    abnormals: int | None
    unknown: int | None
    worst: NormalScore | None
    scores: Mapping[str, NormalScore]
    rule_out: tuple[RuleOut, ...]
    false_findings: FalseFindings | None
    decision_curve: DecisionCurve | None
    calibration: Calibration | None
    not_calibrated: str
    subgroups: tuple[Subgroup, ...]
    misses: int | None

    def rules_at(self, sensitivity: float) -> list[RuleOut]:
        """The operating points with one wanted sensitivity."""
        return [rule for rule in self.rule_out if abs(rule.sensitivity - sensitivity) < 1e-9]


def read_normal(node: Node | None) -> Normal | None:
    """Reads `normal` of `results.json`.

    Raises:
        DataError: A value has a wrong type.
    """
    if node is None:
        return None
    worst, false = node.node("worst_prompt"), node.node("false_findings")
    return Normal(
        node.text("score"),
        node.estimate("auc"),
        node.estimate("auc_delong"),
        node.count("normals"),
        node.count("abnormals"),
        node.count("unknown"),
        NormalScore(worst.text("prompt"), worst.estimate("auc"), None) if worst else None,
        {
            name: NormalScore(name, s.estimate("auc"), s.estimate("auc_delong"))
            for name, s in node.children("scores")
        },
        tuple(sorted((_rule_out(entry) for entry in node.nodes("rule_out")), key=lambda r: r.sensitivity)),
        _false_findings(false) if false else None,
        _decision_curve(node.node("decision_curve")),
        read_calibration(node.node("calibration")),
        node.text("not_calibrated"),
        tuple(_subgroup(entry) for entry in node.nodes("subgroups")),
        node.count("misses"),
    )


def _false_findings(node: Node) -> FalseFindings:
    by_finding = node.node("by_finding") or Node({}, node.where)
    shares = {name: share for name in by_finding.values if (share := by_finding.number(name)) is not None}
    return FalseFindings(
        node.estimate("per_normal"), node.estimate("normals_with_any"), node.text("from"), shares
    )


def _rule_out(node: Node) -> RuleOut:
    sensitivity, claim = node.number("sensitivity"), node.text("claim")
    if sensitivity is None:
        raise DataError(f"{node.where} has no sensitivity.", "Evaluate again with this version.")
    if claim and claim not in CLAIMS:
        raise DataError(f"{node.where}.claim is {claim!r}, none of {', '.join(CLAIMS)}.", "Evaluate again.")
    return RuleOut(
        sensitivity,
        claim,
        node.text("reason"),
        node.count("abnormals"),
        node.count("abnormals_needed"),
        node.number("threshold"),
        node.text("from"),
        node.estimate("reached"),
        node.estimate("cleared"),
        node.count("missed"),
        node.number("prevalence"),
        node.estimate("npv"),
        node.estimate("ppv"),
    )


def _decision_curve(node: Node | None) -> DecisionCurve | None:
    if node is None:
        return None
    thresholds, model, treat_all = (node.numbers(key) for key in ("thresholds", "model", "treat_all"))
    if not len(thresholds) == len(model) == len(treat_all):
        raise DataError(f"{node.where} has lists of different lengths.", "Evaluate again with this version.")
    calibration = node.values.get("calibration")
    words = calibration if isinstance(calibration, str) else ""
    if not thresholds:
        return None
    return DecisionCurve(thresholds, model, treat_all, node.text("score"), words, node.number("prevalence"))


def _subgroup(node: Node) -> Subgroup:
    first = next(iter(node.nodes("rule_out")), None)
    return Subgroup(
        node.text("attribute"),
        node.text("value"),
        node.count("cases"),
        node.count("normals"),
        node.count("abnormals"),
        node.estimate("auc"),
        node.text("reason"),
        first.estimate("reached") if first else None,
        first.estimate("cleared") if first else None,
    )

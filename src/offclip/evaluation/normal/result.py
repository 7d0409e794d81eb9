"""The result of normal detection, and how it stands in results.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from offclip.evaluation.normal.false_findings import FalseFindings
from offclip.evaluation.normal.rule_out import RuleOut, RuleOutCurve
from offclip.evaluation.normal.subgroups import Subgroup
from offclip.evaluation.operating.calibrate import Calibration
from offclip.evaluation.statistics.estimate import Estimate


@dataclass(frozen=True, slots=True)
class ScoreAuc:
    """AUC of one normal score: with its interval by the bootstrap over patients, and with DeLong's."""

    auc: Estimate
    auc_delong: Estimate


@dataclass(frozen=True, slots=True)
class PromptAuc:
    """The prompt with the lowest AUC of those that were asked."""

    prompt: str
    auc: Estimate


@dataclass(frozen=True, slots=True)
class DecisionCurve:
    """Net benefit of the calibrated normal score; see `net_benefit`.

    Attributes:
        thresholds: T threshold probabilities of being abnormal.
        model: T net benefits of reading the films that reach them.
        treat_all: T net benefits of reading every film. Reading none has 0.
        reads_avoided: T shares of films that need no reader, net of the misses.
        score: The normal score.
        calibration: How it became a probability.
        prevalence: Share of abnormal films that the curve holds for.
    """

    thresholds: tuple[float, ...]
    model: tuple[float, ...]
    treat_all: tuple[float, ...]
    reads_avoided: tuple[float, ...]
    score: str
    calibration: str
    prevalence: float


@dataclass(frozen=True, slots=True)
class NormalResult:
    """Everything about normal detection on one set of cases.

    Attributes:
        score: Name of the reported score; thresholds, curves, subgroups and misses are its.
        auc: Of the reported score, by the bootstrap over patients.
        auc_delong: The same with DeLong's interval, patients as clusters.
        normals, abnormals, unknown: Number of cases.
        worst_prompt: The lowest of several prompts; None where fewer than two were asked.
        scores: From the name of a score to its AUC.
        rule_out: One entry an operating point.
        rule_out_curve: Over all thresholds.
        false_findings: None where no finding has an operating point and a normal case without it.
        decision_curve: None where the score cannot be calibrated.
        calibration: Of the reported score; its positive class is "normal".
        not_calibrated: Why there is no calibration; empty where there is one.
        subgroups: By the attributes of the cases.
        misses: One row for each abnormal case that an operating point clears; see `misses_table`.
    """

    score: str
    auc: Estimate
    auc_delong: Estimate
    normals: int
    abnormals: int
    unknown: int
    worst_prompt: PromptAuc | None
    scores: Mapping[str, ScoreAuc]
    rule_out: tuple[RuleOut, ...]
    rule_out_curve: RuleOutCurve
    false_findings: FalseFindings | None
    decision_curve: DecisionCurve | None
    calibration: Calibration | None
    not_calibrated: str
    subgroups: tuple[Subgroup, ...]
    misses: pl.DataFrame = field(repr=False, compare=False)

    def document(self) -> dict[str, Any]:
        """The block "normal" of results.json; "misses" is the number of rows of misses.csv."""
        return {
            "score": self.score,
            "auc": asdict(self.auc),
            "auc_delong": asdict(self.auc_delong),
            "normals": self.normals,
            "abnormals": self.abnormals,
            "unknown": self.unknown,
            "worst_prompt": None if self.worst_prompt is None else asdict(self.worst_prompt),
            "scores": {name: asdict(score) for name, score in self.scores.items()},
            "rule_out": [_with_from(asdict(rule)) for rule in self.rule_out],
            "rule_out_curve": {name: list(v) for name, v in asdict(self.rule_out_curve).items()},
            "false_findings": None
            if self.false_findings is None
            else _with_from(asdict(self.false_findings)),
            "decision_curve": None if self.decision_curve is None else asdict(self.decision_curve),
            "calibration": None if self.calibration is None else self.calibration.document(),
            "not_calibrated": self.not_calibrated,
            "subgroups": [asdict(group) for group in self.subgroups],
            "misses": len(self.misses),
        }


def _with_from(entry: dict[str, Any]) -> dict[str, Any]:
    # "from" is no name that Python allows for an attribute.
    return {"from" if name == "origin" else name: value for name, value in entry.items()}

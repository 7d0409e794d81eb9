"""How well zero-shot scores tell normal from abnormal, and findings from each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offclip.errors import DataError
from offclip.evaluation.statistics.ranks import auc
from offclip.evaluation.statistics.thresholds import threshold_at_sensitivity, youden_threshold
from offclip.evaluation.truth import Labels
from offclip.zeroshot.prompts import NORMAL_PROMPTS, PAPER_NORMAL_PROMPT, finding_prompt
from offclip.zeroshot.score import Scores

SENSITIVITY = 0.95


@dataclass(frozen=True, slots=True)
class Classification:
    """Zero-shot classification of one split. A value that the data cannot give is None.

    Attributes:
        normal_auc: Normal against abnormal by the paper's prompt, "There is no finding."
        worst_prompt_normal_auc: The lowest over the fixed prompt set.
        neg_max_finding_auc: Normal against abnormal by minus the largest finding logit.
        abnormal_auc: Mean over findings, present against absent, all images.
        abnormal_auc_among_abnormals: The same among the abnormal images only.
        fpr_at_95_sensitivity: Share of normal images whose largest finding logit reaches the threshold that
            keeps 95 % of the abnormal validation images.
        sensitivity_reached: Share of abnormal images of this split that the same threshold keeps.
        false_findings_per_normal: Findings per normal image at the Youden thresholds of the validation split.
        normal_auc_by_prompt: One AUC a prompt of the fixed set.
        auc_by_finding: One AUC a finding; a finding that lacks a class is not in here.
        left_out: Findings without both classes, never averaged silently.
    """

    normal_auc: float | None
    worst_prompt_normal_auc: float | None
    neg_max_finding_auc: float | None
    abnormal_auc: float | None
    abnormal_auc_among_abnormals: float | None
    fpr_at_95_sensitivity: float | None
    sensitivity_reached: float | None
    false_findings_per_normal: float | None
    normal_auc_by_prompt: dict[str, float]
    auc_by_finding: dict[str, float]
    left_out: tuple[str, ...]


def evaluation_prompts(findings: Sequence[str]) -> tuple[str, ...]:
    """The fixed normal prompts, then one prompt a finding."""
    return (*NORMAL_PROMPTS, *(finding_prompt(finding) for finding in findings))


def classify(
    scores: Scores, labels: Labels, validation: tuple[Scores, Labels] | None = None
) -> Classification:
    """Measures the scores of one split.

    Args:
        scores: Logits for `evaluation_prompts(labels.findings)`.
        labels: Of the same images; joined by id here.
        validation: Scores and labels of the validation split, which sets the thresholds; without it the
            two columns that need a threshold are None.

    Raises:
        DataError: All images are normal, or all abnormal, or an image has no label.
    """
    labels = labels.select(scores.image_ids)
    known = ~np.isnan(labels.normal)
    normal = labels.normal[known] == 1
    if not normal.any() or normal.all():
        raise DataError(
            f"The split has {int(normal.sum())} normal and {int((~normal).sum())} abnormal images.",
            "Evaluation needs both; take another split.",
        )
    finding_logits = _finding_logits(scores, labels.findings)
    by_prompt = {prompt: auc(scores.of(prompt)[known], normal) for prompt in NORMAL_PROMPTS}
    by_finding = _auc_by_finding(finding_logits, labels.present, labels.findings)
    abnormal = labels.normal == 0
    among = _auc_by_finding(finding_logits[abnormal], labels.present[abnormal], labels.findings)
    fpr, reached, false_findings = _at_thresholds(finding_logits, labels, validation)
    return Classification(
        normal_auc=by_prompt[PAPER_NORMAL_PROMPT],
        worst_prompt_normal_auc=min(by_prompt.values()),
        neg_max_finding_auc=auc(-finding_logits.max(axis=1)[known], normal),
        abnormal_auc=_mean(by_finding),
        abnormal_auc_among_abnormals=_mean(among),
        fpr_at_95_sensitivity=fpr,
        sensitivity_reached=reached,
        false_findings_per_normal=false_findings,
        normal_auc_by_prompt=by_prompt,
        auc_by_finding=by_finding,
        left_out=tuple(f for f in labels.findings if f not in by_finding),
    )


def _at_thresholds(
    finding_logits: np.ndarray, labels: Labels, validation: tuple[Scores, Labels] | None
) -> tuple[float | None, float | None, float | None]:
    """FPR and sensitivity at the 95 % threshold, and false findings per normal image."""
    if validation is None:
        return None, None, None
    scores, truth = validation[0], validation[1].select(validation[0].image_ids)
    chosen_on = _finding_logits(scores, truth.findings)
    normal, abnormal = labels.normal == 1, labels.normal == 0
    if not (truth.normal == 0).any():
        return None, None, None
    cut = threshold_at_sensitivity(chosen_on.max(axis=1), truth.normal == 0, SENSITIVITY)
    flagged = finding_logits.max(axis=1) >= cut
    false_findings, thresholds = np.zeros(int(normal.sum())), 0
    for column in range(len(truth.findings)):
        present = truth.present[:, column]
        usable = ~np.isnan(present)
        if 0 < (present[usable] == 1).sum() < usable.sum():
            cut = youden_threshold(chosen_on[usable, column], present[usable] == 1)
            false_findings += finding_logits[normal, column] >= cut
            thresholds += 1
    return (
        float(flagged[normal].mean()),
        float(flagged[abnormal].mean()),
        float(false_findings.mean()) if thresholds else None,
    )


def _finding_logits(scores: Scores, findings: Sequence[str]) -> np.ndarray:
    return np.stack([scores.of(finding_prompt(finding)) for finding in findings], axis=1)


def _auc_by_finding(logits: np.ndarray, present: np.ndarray, findings: Sequence[str]) -> dict[str, float]:
    result = {}
    for column, finding in enumerate(findings):
        usable = ~np.isnan(present[:, column])
        positive = present[usable, column] == 1
        if positive.any() and not positive.all():
            result[finding] = auc(logits[usable, column], positive)
    return result


def _mean(values: dict[str, float]) -> float | None:
    return float(np.mean(list(values.values()))) if values else None

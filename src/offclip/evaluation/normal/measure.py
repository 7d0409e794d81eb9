"""Measures everything about normal detection: the headline of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from offclip.cores import available_cores
from offclip.errors import DataError, InputError
from offclip.evaluation.cases import Cases
from offclip.evaluation.findings.normal import measure_normal_auc
from offclip.evaluation.findings.resamples import bootstrap_of
from offclip.evaluation.normal.decision_curve import at_prevalence, net_benefit
from offclip.evaluation.normal.false_findings import FalseFindings, false_findings
from offclip.evaluation.normal.misses import misses_table
from offclip.evaluation.normal.result import DecisionCurve, NormalResult, PromptAuc, ScoreAuc
from offclip.evaluation.normal.rule_out import SENSITIVITIES, rule_out, rule_out_curve
from offclip.evaluation.normal.rules import fit_rules
from offclip.evaluation.normal.scores import normal_scores, reported_score
from offclip.evaluation.normal.subgroups import subgroups
from offclip.evaluation.operating.calibrate import Calibration, calibrate_score
from offclip.evaluation.operating.column import Column, normal_column, refuse_shared_patients
from offclip.evaluation.operating.point import OperatingResult, Thresholds, operate
from offclip.evaluation.statistics.bootstrap import Bootstrap, Resampling
from offclip.evaluation.statistics.calibration import Method
from offclip.evaluation.statistics.estimate import Estimate


def measure_normal(
    cases: Cases,
    validation: Cases | None = None,
    *,
    thresholds: Thresholds = "validation",
    resampling: Resampling | None = None,
    prevalence: float | None = None,
    sensitivities: Sequence[float] = SENSITIVITIES,
    operating: OperatingResult | None = None,
    bootstrap: Bootstrap | None = None,
    calibration: Method = "platt",
    paths: Mapping[str, str] | None = None,
) -> NormalResult:
    """Measures how well, and how confidently, normal is called normal.

    Args:
        cases: N cases that are reported; those not known to be normal or abnormal only count as unknown.
        validation: The same scores of other patients, which set thresholds and calibration; without them both
            come from nested cross-validation over patients.
        thresholds: "in-sample-youden" fits thresholds on the reported cases, as the peers do; optimistic.
        resampling: Of the bootstrap over patients.
        prevalence: Share of abnormal cases where the score will be used, for NPV, PPV and the decision curve;
            None takes that of the reported cases.
        sensitivities: Operating points.
        operating: Of the findings of `cases`, and of more classes perhaps, when it is there already.
        bootstrap: Of the patients of `cases` (`bootstrap_of`), when it is there already.
        calibration: How the normal score becomes a probability.
        paths: From case id to the file of its image, for the table of misses.

    Raises:
        InputError: The prevalence or a sensitivity is not between 0 and 1.
        DataError: No case is known to be normal, or none to be abnormal; a score is not finite; the reported
            score is constant; a patient is on both sides.
    """
    _check(prevalence, sensitivities)
    is_known = ~np.isnan(cases.normal)
    known = cases.select(is_known)
    _require_both(known)
    bootstrap = bootstrap or bootstrap_of(cases, resampling)
    of_known = replace(bootstrap, codes=bootstrap.codes[is_known])
    scores, reported = normal_scores(known), reported_score(cases)
    score = scores[reported]
    if score.min() == score.max():
        raise DataError(
            f"All {len(known)} scores of {reported!r} are {score[0]:g}.",
            "Find out why the model says nothing.",
        )
    test, other = normal_column(known, score, reported), _validation_column(known, validation, reported)
    rules = fit_rules(test, other, sensitivities, thresholds=thresholds, seed=bootstrap.resampling.seed)
    if operating is None and cases.findings:
        seed = bootstrap.resampling.seed
        operating = operate(cases, validation, thresholds=thresholds, seed=seed)
    calibrated, not_calibrated = _calibrated(test, other, calibration, of_known)
    aucs = _aucs(scores, known, of_known)
    curve = calibrated and _decision_curve(known, other, calibrated, reported, prevalence)
    return NormalResult(
        score=reported,
        auc=aucs[reported].auc,
        auc_delong=aucs[reported].auc_delong,
        normals=int((known.normal == 1).sum()),
        abnormals=int((known.normal == 0).sum()),
        unknown=int((~is_known).sum()),
        worst_prompt=_worst({prompt: aucs[prompt].auc for prompt in cases.normal_scores}),
        scores=aucs,
        rule_out=tuple(rule_out(known, rule, of_known, prevalence) for rule in rules),
        rule_out_curve=rule_out_curve(score, known.normal == 1),
        false_findings=_false_findings(known, operating, is_known, of_known),
        decision_curve=curve,
        calibration=calibrated,
        not_calibrated=not_calibrated,
        subgroups=subgroups(known, score, rules, of_known),
        misses=misses_table(known, score, {rule.sensitivity: rule.cleared for rule in rules}, paths),
    )


def _check(prevalence: float | None, sensitivities: Sequence[float]) -> None:
    if prevalence is not None and not 0 < prevalence < 1:
        raise InputError(
            f"The prevalence is {prevalence:g}.", "Give the share of abnormal cases, between 0 and 1."
        )
    wrong = [s for s in sensitivities if not 0 < s < 1]
    if wrong or not sensitivities:
        raise InputError(
            f"Sensitivities {list(sensitivities)}.", "Give shares between 0 and 1, such as 0.95."
        )


def _require_both(known: Cases) -> None:
    normals = int((known.normal == 1).sum())
    if not len(known):
        raise DataError(
            "No case is known to be normal or abnormal.", "Give a column normal, or labels without blanks."
        )
    if not normals or normals == len(known):
        raise DataError(
            f"There are {normals} normal and {len(known) - normals} abnormal cases.",
            "Normal detection needs both; take another set.",
        )


def _validation_column(cases: Cases, validation: Cases | None, reported: str) -> Column | None:
    if validation is None:
        return None
    refuse_shared_patients(cases.patient_ids, validation.patient_ids)
    scores = normal_scores(validation)
    if reported not in scores:
        raise InputError(
            f"The validation cases have no score {reported!r}.", "Score both sets with the same prompts."
        )
    return normal_column(validation, scores[reported], reported)


def _aucs(scores: Mapping[str, np.ndarray], known: Cases, bootstrap: Bootstrap) -> dict[str, ScoreAuc]:
    def measured(score: np.ndarray) -> ScoreAuc:
        found = measure_normal_auc(score, known.normal, bootstrap)
        return ScoreAuc(found.auc, found.auc_delong)

    with ThreadPoolExecutor(available_cores()) as pool:
        return dict(zip(scores, pool.map(measured, scores.values()), strict=True))


def _worst(prompts: Mapping[str, Estimate]) -> PromptAuc | None:
    if len(prompts) < 2:
        return None
    worst = min(prompts, key=lambda prompt: prompts[prompt].value)
    return PromptAuc(worst, prompts[worst])


def _false_findings(
    known: Cases, operating: OperatingResult | None, is_known: np.ndarray, bootstrap: Bootstrap
) -> FalseFindings | None:
    # By name, for the operating points may be of more classes than the findings, such as the normal one.
    points = {name: p for name, p in operating.points.items() if name in known.findings} if operating else {}
    if not points:
        return None
    decisions = np.full(known.scores.shape, np.nan)
    for name, point in points.items():
        decisions[:, known.findings.index(name)] = point.decisions[is_known]
    return false_findings(known, decisions, bootstrap, next(iter(points.values())).origin)


def _calibrated(
    test: Column, validation: Column | None, method: Method, bootstrap: Bootstrap
) -> tuple[Calibration | None, str]:
    """The calibration of the reported score, or None with the reason."""
    try:
        seed = bootstrap.resampling.seed
        return calibrate_score(test, validation, method=method, seed=seed, bootstrap=bootstrap), ""
    except DataError as error:
        return None, error.message


def _decision_curve(
    known: Cases, validation: Column | None, calibrated: Calibration, reported: str, prevalence: float | None
) -> DecisionCurve:
    abnormal = 1 - calibrated.probabilities
    fitted_on = known.normal if validation is None else validation.truth
    own = float(np.mean(known.normal == 0))
    calibrated_at = float(np.mean(fitted_on[~np.isnan(fitted_on)] == 0))
    used = own if prevalence is None else prevalence
    curve = net_benefit(at_prevalence(abnormal, calibrated_at, used), known.normal == 0, prevalence=used)
    how = f"{calibrated.method}, {calibrated.origin}"
    return DecisionCurve(
        curve.thresholds, curve.model, curve.treat_all, curve.reads_avoided, reported, how, used
    )

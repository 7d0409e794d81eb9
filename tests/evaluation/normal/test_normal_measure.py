"""The whole of normal detection on drawn cases, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from offclip.errors import DataError, InputError
from offclip.evaluation.cases import Cases
from offclip.evaluation.normal import measure_normal
from offclip.evaluation.operating import operate
from offclip.evaluation.statistics.bootstrap import Resampling
from offclip.evaluation.statistics.ranks import auc

FEW = Resampling(resamples=60)


def _drawn(n=400, seed=0, prefix="p", prompts=2, unknown=0, prevalence=0.5):
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 3)) < 1 - (1 - prevalence) ** (1 / 3)).astype(float)
    normal = (truth.sum(axis=1) == 0).astype(float)
    scores = 2 * truth + rng.normal(size=(n, 3))
    normal[:unknown] = np.nan
    asked = {"There is no finding.": 1.5, "The lungs are clear.": 0.5, "No pneumothorax.": 1.0}
    return Cases.of(
        [f"{prefix}{i}" for i in range(n)],
        ["mass", "edema", "nodule"],
        scores,
        truth,
        normal=normal,
        patient_ids=[f"{prefix}{i // 2}" for i in range(n)],
        normal_scores={
            name: signal * (truth.sum(axis=1) == 0) + rng.normal(size=n)
            for name, signal in list(asked.items())[:prompts]
        },
        attributes={"view": rng.choice(["PA", "AP"], n).tolist()},
    )


def test_everything_is_there_and_is_json():
    cases = _drawn(unknown=20)
    found = measure_normal(cases, _drawn(seed=1, prefix="v"), resampling=FEW, prevalence=0.1)
    assert found.score == "There is no finding."
    assert found.normals + found.abnormals + found.unknown == 400
    assert found.unknown == 20
    known = ~np.isnan(cases.normal)
    by_hand = auc(cases.normal_scores[found.score][known], cases.normal[known] == 1)
    assert found.auc.value == found.auc_delong.value == found.scores[found.score].auc.value
    assert found.auc.value == pytest.approx(by_hand, abs=1e-12)
    assert found.worst_prompt is not None
    assert found.worst_prompt.prompt == "The lungs are clear."
    assert set(found.scores) > {"ensemble of 2 prompts", "-max(findings)", "-mean(findings)"}
    assert [rule.sensitivity for rule in found.rule_out] == [0.95, 0.98, 0.99, 0.999]
    assert {rule.origin for rule in found.rule_out} == {"validation"}
    assert found.rule_out[3].claim == "refused"
    assert found.false_findings is not None
    assert found.false_findings.origin == "validation"
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert document["rule_out"][0]["from"] == "validation"
    assert document["rule_out"][0]["prevalence"] == 0.1
    assert document["misses"] == len(found.misses)
    assert document["decision_curve"]["prevalence"] == 0.1
    assert len(document["decision_curve"]["thresholds"]) == 99
    assert [g["value"] for g in document["subgroups"]] != []
    assert document["calibration"]["from"] == "validation"


def test_operating_points_that_exist_are_joined_by_name():
    cases = _drawn(unknown=20)
    columns = [2, 0]
    partly = replace(
        cases, findings=("nodule", "mass"), scores=cases.scores[:, columns], truth=cases.truth[:, columns]
    )
    found = measure_normal(cases, resampling=FEW, operating=operate(partly)).false_findings
    alone = measure_normal(cases, resampling=FEW).false_findings
    assert found is not None
    assert alone is not None
    assert list(found.by_finding) == ["mass", "nodule"]
    assert found.by_finding["nodule"] == alone.by_finding["nodule"]


def test_misses_are_those_that_the_rules_count():
    found = measure_normal(_drawn(), resampling=FEW)
    for rule, column in zip(found.rule_out, ("95 %", "98 %", "99 %", "99.9 %"), strict=True):
        assert found.misses[f"cleared at {column}"].sum() == rule.missed
    assert found.misses["normal_score"].is_sorted(descending=True)


def test_without_a_prompt_the_mean_of_the_findings_is_reported():
    found = measure_normal(_drawn(prompts=0), resampling=FEW)
    assert found.score == "-mean(findings)"
    assert set(found.scores) == {"-mean(findings)", "-max(findings)"}
    assert found.worst_prompt is None


def test_without_validation_everything_is_cross_validated():
    found = measure_normal(_drawn(), resampling=FEW)
    assert {rule.origin for rule in found.rule_out} == {"nested cross-validation"}
    assert found.decision_curve is not None
    assert found.decision_curve.calibration == "platt, nested cross-validation"


def test_the_peers_thresholds_are_called_optimistic():
    found = measure_normal(_drawn(), thresholds="in-sample-youden", resampling=FEW)
    assert {rule.origin for rule in found.rule_out} == {"the test set itself (optimistic)"}
    for rule in found.rule_out:
        assert rule.cleared.value == rule.cleared_in_sample
        assert rule.reached.value >= rule.sensitivity
    assert found.false_findings is not None
    assert found.false_findings.origin == "the test set itself (optimistic)"


def test_the_decision_curve_at_another_prevalence_is_that_of_a_set_with_it():
    # The same model on a set of the other prevalence, calibrated on it, must agree within its noise.
    model = _drawn(6000, 3, prompts=1)
    validation = _drawn(6000, 4, "v", prompts=1)
    rare, rare_validation = (
        _drawn(6000, 5, prompts=1, prevalence=0.1),
        _drawn(6000, 6, "v", 1, prevalence=0.1),
    )
    moved = measure_normal(model, validation, resampling=FEW, prevalence=0.1).decision_curve
    direct = measure_normal(rare, rare_validation, resampling=FEW).decision_curve
    assert moved is not None
    assert direct is not None
    assert direct.prevalence == pytest.approx(0.1, abs=0.01)
    np.testing.assert_allclose(moved.model[:50], direct.model[:50], atol=0.012)


def test_the_seed_decides_and_the_order_of_the_rows_does_not():
    cases = _drawn()
    once = measure_normal(cases, resampling=FEW).document()
    shuffled = cases.select(np.random.default_rng(9).permutation(len(cases)))
    again = measure_normal(shuffled, resampling=FEW).document()
    assert again["rule_out"] == once["rule_out"]
    assert again["auc"] == pytest.approx(once["auc"])


def test_a_tiny_set_is_measured_and_says_what_it_cannot():
    cases = Cases.of(
        ["a", "b", "c"], ["mass"], [[0.9], [0.2], [0.4]], [[1], [0], [0]], patient_ids=["a", "b", "c"]
    )
    found = measure_normal(cases, resampling=FEW)
    assert found.auc.value == 1.0
    assert {rule.claim for rule in found.rule_out} == {"refused"}
    assert found.rule_out[0].origin == "the test set itself (optimistic)"
    assert found.rule_out[0].cleared.value == 1.0
    assert found.calibration is None
    assert "3 patients" in found.not_calibrated or "positive" in found.not_calibrated
    assert found.decision_curve is None
    json.dumps(found.document(), allow_nan=False)


def test_one_normal_case_is_enough_to_measure():
    rng = np.random.default_rng(0)
    truth = np.ones((30, 1))
    truth[4] = 0
    cases = Cases.of([f"i{i}" for i in range(30)], ["mass"], truth + rng.normal(size=(30, 1)), truth)
    found = measure_normal(cases, resampling=FEW)
    assert found.normals == 1
    assert found.rule_out[0].cleared.value in (0.0, 1.0)


@pytest.mark.parametrize(
    ("normal", "words"),
    [
        ([1, 1, 1, 1], "4 normal and 0 abnormal"),
        ([0, 0, 0, np.nan], "0 normal and 3 abnormal"),
        ([np.nan] * 4, "No case is known"),
    ],
)
def test_one_class_or_none_is_refused(normal, words):
    cases = Cases.of(list("abcd"), ["mass"], [[0.1], [0.2], [0.3], [0.4]], [[0]] * 4, normal=normal)
    with pytest.raises(DataError, match=words):
        measure_normal(cases)


def test_constant_scores_are_refused():
    cases = Cases.of(list("abcd"), ["mass"], [[0.1]] * 4, [[0], [0], [1], [1]])
    with pytest.raises(DataError, match=r"All 4 scores of '-mean\(findings\)' are -0.1"):
        measure_normal(cases)


def test_a_patient_in_both_sets_and_a_missing_prompt_are_refused():
    cases = _drawn()
    with pytest.raises(DataError, match="in the validation set"):
        measure_normal(cases, cases, resampling=FEW)
    without = replace(_drawn(seed=1, prefix="v"), normal_scores={})
    with pytest.raises(InputError, match="no score 'There is no finding"):
        measure_normal(cases, without, resampling=FEW)


@pytest.mark.parametrize(
    "options", [{"prevalence": 0.0}, {"prevalence": 1.2}, {"sensitivities": (0.95, 1.0)}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InputError):
        measure_normal(_drawn(40), **options)

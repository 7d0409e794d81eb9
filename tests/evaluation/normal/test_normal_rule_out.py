"""Rule-out by hand: counts, claims, intervals, the curve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offclip.evaluation.cases import Cases
from offclip.evaluation.findings.resamples import bootstrap_of
from offclip.evaluation.normal.rule_out import rule_out, rule_out_curve
from offclip.evaluation.normal.rules import Rule
from offclip.evaluation.statistics.bootstrap import Resampling
from offclip.evaluation.statistics.estimate import clopper_pearson


def _cases(normals, abnormals, patients=None):
    n = normals + abnormals
    return Cases.of(
        [f"i{i}" for i in range(n)],
        ["mass"],
        np.zeros((n, 1)),
        np.r_[np.zeros(normals), np.ones(abnormals)][:, None],
        patient_ids=patients,
    )


def _rule(sensitivity, cleared):
    cleared = np.asarray(cleared, bool)
    return Rule(sensitivity, 0.0, (0.0,), "validation", cleared, cleared)


def _measured(normals, abnormals, cleared_normals, missed, sensitivity=0.95, **options):
    cases = _cases(normals, abnormals, options.pop("patients", None))
    cleared = np.r_[np.arange(normals) < cleared_normals, np.arange(abnormals) < missed]
    return rule_out(
        cases, _rule(sensitivity, cleared), bootstrap_of(cases, Resampling(resamples=200)), **options
    )


def test_counts_and_exact_intervals():
    found = _measured(200, 100, 40, 3)
    assert found.missed == 3
    assert found.cleared == clopper_pearson(40, 200)
    assert found.reached == clopper_pearson(97, 100)
    assert found.abnormals_needed == 72
    assert found.claim == "not supported"
    assert found.prevalence == pytest.approx(1 / 3)
    assert found.prevalence_origin == "this set"
    assert found.npv is not None
    assert found.npv.value == pytest.approx(40 / 43)


def test_a_given_prevalence_moves_the_predictive_values():
    found = _measured(200, 100, 40, 3, prevalence=0.05)
    assert found.prevalence_origin == "given"
    assert found.npv is not None
    assert found.npv.value == pytest.approx(0.2 * 0.95 / (0.2 * 0.95 + 0.03 * 0.05))


def test_zero_misses_support_the_claim_only_with_enough_abnormals():
    assert _measured(50, 71, 10, 0).claim == "refused"
    assert _measured(50, 72, 10, 0).claim == "supported"
    assert _measured(50, 72, 10, 0, sensitivity=0.99).claim == "refused"
    assert _measured(50, 368, 10, 0, sensitivity=0.99).claim == "supported"


def test_many_films_of_few_patients_support_less():
    # 400 abnormal films with 8 misses support 95 %, but not when the misses are those of one patient of 20.
    each_alone = _measured(20, 400, 5, 8)
    assert each_alone.claim == "supported"
    patients = [f"n{i}" for i in range(20)] + [f"a{i // 20}" for i in range(400)]
    clustered = _measured(20, 400, 5, 8, patients=patients)
    assert clustered.reached == each_alone.reached
    assert clustered.reached_by_patient.low < 0.95
    assert clustered.supports == clustered.reached_by_patient.low
    assert each_alone.supports == each_alone.reached.low
    assert clustered.claim == "not supported"


def test_no_miss_among_many_films_of_few_patients_supports_what_so_many_patients_can():
    patients = [f"n{i}" for i in range(20)] + [f"a{i % 20}" for i in range(400)]
    found = _measured(20, 400, 5, 0, patients=patients)
    assert found.reached.low > 0.95
    assert found.supports == clopper_pearson(20, 20).low
    assert found.claim == "not supported"
    # One miss more is never a better proof.
    assert _measured(20, 400, 5, 1, patients=patients).supports <= found.supports


def test_one_normal_and_one_abnormal_are_measured_and_refused():
    found = _measured(1, 1, 1, 0)
    assert found.claim == "refused"
    assert found.cleared.value == 1.0
    assert found.cleared.low == pytest.approx(0.025)


def test_nothing_cleared_has_no_npv():
    found = _measured(10, 80, 0, 0)
    assert found.npv is None
    assert found.cleared.value == 0.0
    assert found.claim == "supported"


def test_in_sample_is_reported_beside_it():
    cases = _cases(4, 4)
    rule = replace(
        _rule(0.95, [1, 0, 0, 0, 0, 0, 0, 0]), cleared_in_sample=np.array([1, 1, 1, 0, 0, 0, 0, 0], bool)
    )
    found = rule_out(cases, rule, bootstrap_of(cases, Resampling(resamples=20)))
    assert found.cleared.value == 0.25
    assert found.cleared_in_sample == 0.75


def test_the_curve_holds_the_best_share_at_each_sensitivity():
    rng = np.random.default_rng(0)
    normal = rng.random(2000) < 0.5
    score = rng.normal(size=2000) + normal
    curve = rule_out_curve(score, normal)
    assert len(curve.sensitivity) == len(curve.cleared) <= 300
    assert (np.diff(curve.sensitivity) > 0).all()
    assert (np.diff(curve.cleared) <= 0).all()
    assert curve.sensitivity[0] == 0.0
    assert curve.sensitivity[-1] == 1.0
    for kept, cleared in list(zip(curve.sensitivity, curve.cleared, strict=True))[1::40]:
        t = np.sort(score[~normal])[: round(kept * (~normal).sum())][-1]
        assert (score[~normal] <= t).mean() == pytest.approx(kept)
        assert (score[normal] > t).mean() == pytest.approx(cleared)


def test_a_constant_score_clears_nothing_at_full_sensitivity():
    curve = rule_out_curve(np.zeros(6), np.array([1, 1, 1, 0, 0, 0], bool))
    assert list(zip(curve.sensitivity, curve.cleared, strict=True)) == [(0.0, 1.0), (1.0, 0.0)]

"""Findings of a set of cases: means, groups, and what is left out by name."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from offclip.errors import ConfigError, DataError
from offclip.evaluation.cases import Cases
from offclip.evaluation.findings import bootstrap_of, measure_findings, measure_normal_auc
from offclip.evaluation.statistics import Resampling, delong_interval, trapezoid_auprc

NAMES = ("edema", "mass", "cyst", "none", "all", "unknown")
FEW = Resampling(200)


@pytest.fixture
def cases():
    rng = np.random.default_rng(1)
    n = 200
    truth = np.zeros((n, 6))
    truth[:, :3] = rng.random((n, 3)) < [0.4, 0.15, 0.05]
    truth[:, 4], truth[:, 5] = 1, np.nan
    truth[rng.random(n) < 0.1, 1] = np.nan
    scores = rng.normal(size=(n, 6)) + np.nan_to_num(truth) * 1.5
    patients = [f"p{i // 2}" for i in range(n)]
    normal = np.where((truth[:, :3] == 1).any(axis=1), 0.0, 1.0)
    return Cases.of([f"i{i}" for i in range(n)], NAMES, scores, truth, patient_ids=patients, normal=normal)


def test_classes_and_means_are_scikit_learns(cases):
    found = measure_findings(cases, resampling=FEW)
    assert found.classes == ("edema", "mass", "cyst")
    auc, ap, positives = [], [], []
    for i, name in enumerate(found.classes):
        known = ~np.isnan(cases.truth[:, i])
        truth, scores = cases.truth[known, i], cases.scores[known, i]
        auc.append(roc_auc_score(truth, scores))
        ap.append(average_precision_score(truth, scores))
        positives.append(truth.sum())
        result = found.per_class[name]
        assert result.auc.value == pytest.approx(auc[-1], abs=1e-12)
        assert result.auprc.value == pytest.approx(ap[-1], abs=1e-12)
        assert (result.positives, result.negatives) == (truth.sum(), (truth == 0).sum())
        assert result.unknown == 200 - known.sum()
        assert result.auc.low < result.auc.value < result.auc.high
        expected = delong_interval(scores, truth == 1, clusters=np.array(cases.patient_ids)[known])
        assert result.auc_delong == expected
    assert found.macro_auc.value == pytest.approx(np.mean(auc), abs=1e-12)
    assert found.macro_auprc.value == pytest.approx(np.mean(ap), abs=1e-12)
    assert found.weighted_auc.value == pytest.approx(np.average(auc, weights=positives), abs=1e-12)
    cells = ~np.isnan(cases.truth[:, :3])
    truth, scores = cases.truth[:, :3][cells], cases.scores[:, :3][cells]
    assert found.micro_auc.value == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert found.micro_auprc.value == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert (found.cases, found.patients, found.resampling) == (200, 100, FEW)


def test_what_cannot_be_measured_is_named_and_in_no_mean(cases):
    found = measure_findings(cases, resampling=FEW)
    assert found.left_out == {
        "none": "no positive among 200 cases",
        "all": "no negative among 200 cases",
        "unknown": "no case of known truth among 200",
    }
    assert set(found.per_class) == {"edema", "mass", "cyst"}
    truth = cases.truth.copy()
    truth[:50, 3] = np.nan
    partly = measure_findings(Cases.of(cases.ids, NAMES, cases.scores, truth), resampling=FEW)
    assert partly.left_out["none"] == "no positive among 150 cases of known truth"


def test_classes_that_do_not_count_are_measured_but_not_averaged(cases):
    found = measure_findings(cases, resampling=FEW, counts={"edema", "cyst", "none"})
    assert found.classes == ("edema", "cyst")
    assert "mass" in found.per_class
    mean = np.mean([found.per_class[name].auc.value for name in ("edema", "cyst")])
    assert found.macro_auc.value == pytest.approx(mean, abs=1e-12)
    truth, scores = cases.truth[:, [0, 2]].ravel(), cases.scores[:, [0, 2]].ravel()
    assert found.micro_auc.value == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    with pytest.raises(ConfigError, match="oedema: no such finding"):
        measure_findings(cases, counts=["oedema"])


def test_groups_hold_the_classes_that_can_be_measured(cases):
    rules = {
        "head": "positives >= 60",
        "medium": "positives < 60 and positives > 15",
        "tail": "positives <= 15",
    }
    found = measure_findings(cases, resampling=FEW, groups=rules)
    assert {name: group.classes for name, group in found.groups.items()} == {
        "head": ("edema",), "medium": ("mass",), "tail": ("cyst",)
    }  # fmt: skip
    assert found.groups["tail"].auc == found.per_class["cyst"].auc
    assert found.groups["tail"].rule == "positives <= 15"
    empty = measure_findings(cases, resampling=FEW, groups={"huge": "positives > 9999"}).groups["huge"]
    assert (empty.classes, empty.auc, empty.auprc) == ((), None, None)


def test_the_peers_trapezoid(cases):
    found = measure_findings(cases, resampling=FEW, auprc="trapezoid").per_class["edema"].auprc
    assert found.value == pytest.approx(
        trapezoid_auprc(cases.scores[:, 0], cases.truth[:, 0] == 1), abs=1e-12
    )


def test_the_order_of_cases_does_not_matter(cases):
    order = np.random.default_rng(0).permutation(200)
    a, b = measure_findings(cases, resampling=FEW), measure_findings(cases.select(order), resampling=FEW)
    assert a.macro_auc.low == pytest.approx(b.macro_auc.low, abs=1e-12)
    assert a.per_class["mass"].auc.high == pytest.approx(b.per_class["mass"].auc.high, abs=1e-12)


def test_a_rare_class_says_how_often_it_was_undefined(cases):
    truth = cases.truth.copy()
    truth[:, 2] = 0
    truth[:2, 2] = 1  # both images of one patient
    rare = Cases.of(cases.ids, NAMES, cases.scores, truth, patient_ids=cases.patient_ids, normal=cases.normal)
    found = measure_findings(rare, resampling=FEW)
    assert 0.25 * 200 < found.per_class["cyst"].undefined_draws < 0.48 * 200
    assert found.per_class["edema"].undefined_draws == 0
    assert not np.isnan(found.macro_draws.draws).any()


def test_cases_without_findings_or_without_rows(cases):
    bare = Cases.of(["a", "b"], [], np.zeros((2, 0)), np.zeros((2, 0)), normal=[0, 1])
    found = measure_findings(bare, resampling=FEW, groups={"rest": "positives > 1"})
    assert (found.macro_auc, found.micro_auc, found.weighted_auc, dict(found.per_class)) == (
        None,
        None,
        None,
        {},
    )
    with pytest.raises(DataError, match="no case"):
        measure_findings(cases.select([]))


def test_missing_scores_are_refused_with_their_ids_only_where_the_truth_is_known(cases):
    scores = cases.scores.copy()
    scores[3, 0] = scores[4, 0] = np.nan
    scores[5, 1], scores[6, 5] = np.inf, np.nan  # the last is of unknown truth
    wrong = Cases.of(cases.ids, NAMES, scores, cases.truth)
    with pytest.raises(DataError, match=r"3 scores are not finite: of edema, mass, in i3, i4, i5\."):
        measure_findings(wrong)


def test_the_normal_score_uses_the_same_resamples(cases):
    drawn = bootstrap_of(cases, FEW)
    normal = cases.normal.copy()
    normal[:5] = np.nan
    score = -cases.scores[:, :3].max(axis=1)
    found = measure_normal_auc(score, normal, drawn)
    known = ~np.isnan(normal)
    assert found.auc.value == pytest.approx(roc_auc_score(normal[known], score[known]), abs=1e-12)
    assert (found.normals, found.abnormals, found.unknown) == ((normal == 1).sum(), (normal == 0).sum(), 5)
    weight = drawn.weights[known, 11]
    expected = roc_auc_score(normal[known], score[known], sample_weight=weight)
    assert found.draws.draws[11] == pytest.approx(expected, abs=1e-12)
    assert found.auc_delong.low < found.auc.value < found.auc_delong.high
    # A given bootstrap is used as it is.
    again = measure_findings(cases, bootstrap=drawn)
    assert again.macro_auc == measure_findings(cases, resampling=FEW).macro_auc


def test_resamples_keep_the_number_of_abnormal_patients(cases):
    drawn = bootstrap_of(cases, FEW)
    abnormal = {p for p, n in zip(cases.patient_ids, cases.normal, strict=True) if n == 0}
    names = np.unique(cases.patient_ids)
    of_abnormal = np.array([name in abnormal for name in names])
    assert (drawn.counts[of_abnormal].sum(axis=0) == len(abnormal)).all()


def test_the_level_is_that_of_both_kinds_of_interval(cases):
    wide, narrow = (measure_findings(cases, resampling=Resampling(200, level=level)) for level in (0.95, 0.8))
    for kind in ("auc", "auc_delong", "auprc"):
        outer, inner = getattr(wide.per_class["mass"], kind), getattr(narrow.per_class["mass"], kind)
        assert outer.low < inner.low < inner.value < inner.high < outer.high

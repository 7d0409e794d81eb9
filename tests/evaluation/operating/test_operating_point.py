"""Thresholds never see the patients that they decide on; the peers' do, and it shows."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import confusion_matrix

from offclip.errors import DataError, InputError
from offclip.evaluation.cases import Cases
from offclip.evaluation.operating import Column, normal_column, operate, operating_point
from offclip.evaluation.statistics.bootstrap import Bootstrap
from offclip.evaluation.statistics.estimate import clopper_pearson
from offclip.evaluation.statistics.folds import patient_folds
from offclip.evaluation.statistics.thresholds import threshold_at_sensitivity, youden_threshold

REAL = Path(__file__).parents[4] / "shared/data/carzero_logits/chestxray14_test.csv.gz"


def made(patients, each=2, signal=1.5, seed=0, prefix="p", findings=("edema", "mass")):
    """Cases of patients whose images are alike."""
    rng = np.random.default_rng(seed)
    n, c = patients * each, len(findings)
    truth = np.repeat((rng.random((patients, c)) < 0.3).astype(float), each, axis=0)
    scores = signal * truth + rng.normal(size=(n, c))
    ids = [f"{prefix}{i}" for i in range(n)]
    return Cases.of(ids, findings, scores, truth, patient_ids=[f"{prefix}{i // each}" for i in range(n)])


def youden_of(point):
    return point.sensitivity.value + point.specificity.value - 1


def test_with_a_validation_split_its_threshold_is_used():
    test, validation = made(100), made(80, seed=1, prefix="v")
    result = operate(test, validation)
    for i, finding in enumerate(test.findings):
        point = result.points[finding]
        cut = youden_threshold(validation.scores[:, i], validation.truth[:, i] == 1)
        assert (point.thresholds, point.threshold, point.rule, point.origin) == (
            (cut,),
            cut,
            ">=",
            "validation",
        )
        decided = test.scores[:, i] >= cut
        assert result.decisions[:, i].tolist() == decided.astype(float).tolist()
        tn, fp, fn, tp = confusion_matrix(test.truth[:, i], decided).ravel().tolist()
        assert (point.tn, point.fp, point.fn, point.tp) == (tn, fp, fn, tp)
        assert point.sensitivity == clopper_pearson(tp, tp + fn)
        assert point.specificity == clopper_pearson(tn, tn + fp)
        assert point.accuracy == (tp + tn) / 200


def test_findings_are_joined_by_name():
    validation = made(80, seed=1, prefix="v")
    turned = Cases.of(
        validation.ids,
        validation.findings[::-1],
        validation.scores[:, ::-1],
        validation.truth[:, ::-1],
        patient_ids=validation.patient_ids,
    )
    assert operate(made(50), turned).points == operate(made(50), validation).points


def test_without_one_every_case_gets_the_threshold_of_the_other_folds():
    cases = made(100)
    result = operate(cases, folds=4, seed=3)
    fold_of = patient_folds(cases.patient_ids, cases.truth, 4, 3)
    for i, finding in enumerate(cases.findings):
        point = result.points[finding]
        assert point.origin == "nested cross-validation"
        assert len(point.thresholds) == 4
        assert point.threshold == np.median(point.thresholds)
        for fold, cut in enumerate(point.thresholds):
            inside = fold_of[:, i] == fold
            other = cases.select(~inside)
            assert not set(other.patient_ids) & set(cases.select(inside).patient_ids)
            assert cut == youden_threshold(other.scores[:, i], other.truth[:, i] == 1)
            assert (result.decisions[inside, i] == (cases.scores[inside, i] >= cut)).all()


def test_a_threshold_never_knows_its_own_patient():
    # The score is the patient's number, and a fit says which patients it was given: the leak detector.
    patients = np.repeat(np.arange(60), 3)
    truth = (patients % 2).astype(float)
    column = Column("edema", patients.astype(float), truth, [f"p{i}" for i in patients])
    seen = []

    def spy(scores, positive):
        seen.append(set(scores.astype(int).tolist()))
        return youden_threshold(scores, positive)

    operating_point(column, select=spy)
    left = [set(range(60)) - part for part in seen]
    assert sorted(patient for part in left for patient in part) == list(range(60))
    fold_of = patient_folds(column.patient_ids, truth)
    for fold, part in enumerate(left):
        assert part == set(patients[fold_of == fold].tolist())


def test_on_noise_the_peers_find_something_and_cross_validation_nothing():
    gains = {"validation": [], "in-sample-youden": []}
    for seed in range(60):
        cases = made(150, 1, signal=0.0, seed=seed, findings=("edema",))
        for thresholds, found in gains.items():
            found.append(youden_of(operate(cases, thresholds=thresholds).points["edema"]))
    assert np.mean(gains["in-sample-youden"]) > 0.06
    assert min(gains["in-sample-youden"]) >= 0.0
    assert abs(np.mean(gains["validation"])) < 3 * np.std(gains["validation"]) / np.sqrt(60)


def test_the_peers_rule_is_strict_and_labelled():
    cases = Cases.of(
        list("abcde"), ["edema"], np.array([[0.1], [0.2], [0.3], [0.8], [0.9]]), [[0], [0], [0], [1], [1]]
    )
    point = operate(cases, thresholds="in-sample-youden").points["edema"]
    assert point.accuracy == 0.8
    assert (point.rule, point.threshold) == (">", 0.8)
    assert point.origin == "the test set itself (optimistic)"
    useless = Cases.of(list("abcd"), ["edema"], np.array([[0.9], [0.8], [0.2], [0.1]]), [[0], [0], [1], [1]])
    point = operate(useless, thresholds="in-sample-youden").points["edema"]
    assert (point.threshold, point.tp, point.fp) == (np.inf, 0, 0)
    assert json.loads(json.dumps(point.document(), allow_nan=False))["threshold"] is None


def test_another_rule_may_set_the_threshold():
    test, validation = made(200), made(100, seed=1, prefix="v")

    def rule_out(scores, positive):
        return threshold_at_sensitivity(scores, positive, 0.95)

    point = operate(test, validation, select=rule_out).points["edema"]
    assert point.threshold == rule_out(validation.scores[:, 0], validation.truth[:, 0] == 1)
    assert point.sensitivity.value == pytest.approx(0.95, abs=0.05)


def test_a_normal_score_has_an_operating_point_too():
    cases = made(100)
    point = operating_point(normal_column(cases, -cases.scores.max(axis=1)))
    assert point.tp + point.fn == (cases.normal == 1).sum()
    assert youden_of(point) > 0.3


def test_the_bootstrap_knows_that_the_images_of_a_patient_are_alike():
    cases = made(40, each=10)
    cases = Cases.of(
        cases.ids,
        cases.findings,
        np.repeat(cases.scores[::10], 10, axis=0),
        cases.truth,
        patient_ids=cases.patient_ids,
    )
    exact = operate(cases).points["edema"].specificity
    clustered = operate(cases, bootstrap=Bootstrap.of(cases.patient_ids)).points["edema"].specificity
    assert clustered.value == pytest.approx(exact.value)
    assert clustered.high - clustered.low > 1.5 * (exact.high - exact.low)


def test_where_all_are_right_the_bootstrap_counts_patients():
    cases = made(40, each=10, signal=100.0)
    result = operate(cases, select=lambda *_: 50.0, bootstrap=Bootstrap.of(cases.patient_ids))
    clustered = result.points["edema"].sensitivity
    sick = int(cases.truth[::10, 0].sum())
    assert clustered == clopper_pearson(sick, sick)


def test_unknown_truth_is_decided_but_not_counted():
    cases = made(100)
    truth = cases.truth.copy()
    truth[:50, 0] = np.nan
    cases = Cases.of(cases.ids, cases.findings, cases.scores, truth, patient_ids=cases.patient_ids)
    result = operate(cases)
    point = result.points["edema"]
    assert point.tp + point.fp + point.tn + point.fn == 150
    assert not np.isnan(result.decisions[:, 0]).any()


def test_what_has_no_threshold_is_left_out_with_the_reason():
    cases = made(60, findings=("none", "all", "flat", "one", "unknown", "fine"))
    scores, truth = cases.scores.copy(), cases.truth.copy()
    truth[:, 0], truth[:, 1], truth[:, 4] = 0, 1, np.nan
    scores[:, 2] = 0.5
    truth[:, 3] = 0
    truth[:2, 3] = 1
    cases = Cases.of(cases.ids, cases.findings, scores, truth, patient_ids=cases.patient_ids)
    result = operate(cases)
    assert list(result.points) == ["fine"]
    assert result.left_out == {
        "none": "no positive among 120 cases",
        "all": "no negative among 120 cases",
        "flat": "the scores of all 120 cases are 0.5",
        "one": "no positive among 94 cases outside a fold",
        "unknown": "no positive among 0 cases",
    }
    assert np.isnan(result.decisions[:, :5]).all()
    assert not np.isnan(result.decisions[:, 5]).any()


def test_a_test_set_without_positives_still_has_a_specificity():
    test, validation = made(60), made(60, seed=1, prefix="v")
    empty = Cases.of(test.ids, test.findings, test.scores, 0 * test.truth, patient_ids=test.patient_ids)
    point = operate(empty, validation).points["edema"]
    assert point.sensitivity is None
    assert point.specificity == clopper_pearson(point.tn, 120)
    assert point.document()["sensitivity"] is None
    none_known = Cases.of(test.ids, test.findings, test.scores, np.nan * test.truth)
    assert operate(none_known, validation).left_out["edema"] == "no case whose truth is known"


def test_a_patient_on_both_sides_is_refused_without_being_named():
    with pytest.raises(DataError, match="60 patients are in the test set and in the validation set") as error:
        operate(made(60), made(60, seed=1))
    assert "p1" not in str(error.value)
    with pytest.raises(DataError, match="60 patients"):
        operating_point(normal_column(made(60), np.arange(120.0)), normal_column(made(60), np.arange(120.0)))


def test_too_few_patients_for_the_folds_leave_everything_out():
    result = operate(made(4))
    assert result.left_out["edema"] == "4 patients are too few for 5 folds, and there is no validation split"
    assert not result.points


def test_mistakes_of_the_caller_are_named():
    cases = made(20)
    with pytest.raises(InputError, match="no finding 'mass'"):
        operate(cases, made(20, prefix="v", findings=("edema",)))
    with pytest.raises(InputError, match="'best'"):
        operate(cases, thresholds="best")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no normal score"):
        normal_column(cases)
    scores = cases.scores.copy()
    scores[3, 1] = np.nan
    with pytest.raises(InputError, match="mass: 1 of 40 scores are not finite"):
        operate(Cases.of(cases.ids, cases.findings, scores, cases.truth))
    with pytest.raises(InputError, match="do not fit 40 cases"):
        normal_column(cases, np.arange(3.0))


@pytest.mark.skipif(not REAL.is_file(), reason="../shared/data/carzero_logits is absent")
def test_false_findings_of_carzero_on_chestxray14():
    frame = pl.read_csv(REAL)
    names = [name.removeprefix("logit_") for name in frame.columns if name.startswith("logit_")]
    cases = Cases.of(
        frame["image_id"].to_list(),
        names,
        frame.select([f"logit_{name}" for name in names]).to_numpy(),
        frame.select([f"label_{name}" for name in names]).to_numpy(),
        patient_ids=[str(p) for p in frame["patient_id"]],
    )
    normal = cases.normal == 1
    peer = operate(cases, thresholds="in-sample-youden").decisions[normal]
    assert round(100 * (peer == 1).any(axis=1).mean(), 1) == 55.0
    assert round((peer == 1).sum(axis=1).mean(), 2) == 2.53
    nested = operate(cases)
    assert (nested.decisions[normal] == 1).any(axis=1).mean() == pytest.approx(0.55, abs=0.02)
    assert not nested.left_out

"""Probabilities come from other patients' fits, and their error is told with what chance gives."""

import json

import numpy as np
import pytest
from scipy.special import expit

from offclip.errors import DataError, InputError
from offclip.evaluation.cases import Cases
from offclip.evaluation.operating import Column, calibrate, calibrate_score, normal_column, scale_of
from offclip.evaluation.statistics.bootstrap import Bootstrap, Resampling
from offclip.evaluation.statistics.calibration import CALIBRATORS, restore
from offclip.evaluation.statistics.folds import patient_folds

FEW = Resampling(100)


def made(n, seed=0, prefix="p", slope=2.5, shift=-1.0):
    """Logits that are neither sharp nor shifted enough; two images a patient."""
    rng = np.random.default_rng(seed)
    logits = np.repeat(rng.normal(size=(n // 2, 2)), 2, axis=0) + rng.normal(size=(n, 2))
    truth = (rng.random((n, 2)) < expit(slope * logits + shift)).astype(float)
    ids = [f"{prefix}{i}" for i in range(n)]
    return Cases.of(
        ids, ["edema", "mass"], logits, truth, patient_ids=[f"{prefix}{i // 2}" for i in range(n)]
    )


def bootstrap_of(cases):
    return Bootstrap.of(cases.patient_ids, resampling=FEW)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
@pytest.mark.parametrize("validated", [True, False])
def test_calibration_takes_the_error_down_to_chance(method, validated):
    cases = made(4000)
    validation = made(4000, seed=1, prefix="v") if validated else None
    result = calibrate(cases, validation, method=method, bootstrap=bootstrap_of(cases))
    for finding in cases.findings:
        found = result.findings[finding]
        assert found.ece_before is not None
        assert found.ece_before.low > 0.05
        assert found.ece.value < 2.5 * found.ece_expected
        assert found.ece.value < 0.3 * found.ece_before.value
        assert found.origin == ("validation" if validated else "nested cross-validation")
        assert len(found.parameters) == (1 if validated else 5)
        assert sum(b.count for b in found.curve) == sum(b.count for b in found.curve_before) == 4000
        assert found.scale == "logit"


def test_a_temperature_mends_sharpness_but_not_prevalence():
    sharp, shifted = made(4000, shift=0.0), made(4000, shift=-2.0)
    assert (
        calibrate(sharp, method="temperature", bootstrap=bootstrap_of(sharp)).findings["edema"].ece.value
        < 0.02
    )
    found = calibrate(shifted, method="temperature", bootstrap=bootstrap_of(shifted)).findings["edema"]
    assert found.ece.low > 0.05
    assert found.parameters[0]["temperature"] < 1


@pytest.mark.parametrize("method", list(CALIBRATORS))
def test_a_probability_is_that_of_the_other_folds_fit(method):
    cases = made(600)
    result = calibrate(cases, method=method, folds=3, seed=2, bootstrap=bootstrap_of(cases))
    fold_of = patient_folds(cases.patient_ids, cases.truth, 3, 2)
    for i, finding in enumerate(cases.findings):
        found = result.findings[finding]
        assert result.probabilities[:, i].tolist() == found.probabilities.tolist()
        for fold, parameters in enumerate(found.parameters):
            inside = fold_of[:, i] == fold
            other = type(restore(parameters))().fit(cases.scores[~inside, i], cases.truth[~inside, i] == 1)
            assert other.parameters == parameters
            assert found.probabilities[inside].tolist() == other.predict(cases.scores[inside, i]).tolist()


def test_no_patient_calibrates_itself():
    # The score is the patient's number and the truth is noise: steps that have seen a patient lean towards
    # its truth, and those of the other folds cannot.
    patients = np.repeat(np.arange(100), 5)
    ids = [f"p{i}" for i in patients]
    bootstrap = Bootstrap.of(ids, resampling=FEW)
    leaking, honest = [], []
    for seed in range(25):
        truth = np.repeat(np.random.default_rng(seed).integers(0, 2, 100), 5).astype(float)
        column = Column("edema", patients - 50.0, truth, ids)
        found = calibrate_score(column, method="isotonic", bootstrap=bootstrap).probabilities
        own = CALIBRATORS["isotonic"]().fit(column.scores, truth == 1).predict(column.scores)
        honest.append(found[truth == 1].mean() - found[truth == 0].mean())
        leaking.append(own[truth == 1].mean() - own[truth == 0].mean())
    print(min(leaking), np.mean(leaking), np.mean(honest))
    assert min(leaking) >= 0
    assert np.mean(leaking) > 0.02
    assert np.mean(honest) < 0.005


def test_a_normal_score_is_calibrated_like_a_finding():
    cases = made(2000)
    found = calibrate_score(normal_column(cases, -cases.scores.max(axis=1)), bootstrap=bootstrap_of(cases))
    assert found.ece.value < 0.04
    assert np.corrcoef(found.probabilities, cases.normal)[0, 1] > 0.4


def test_scores_that_are_probabilities_are_taken_as_they_are_and_others_are_not_judged():
    cases = made(1000)

    def scored(scores):
        changed = Cases.of(cases.ids, cases.findings, scores, cases.truth, patient_ids=cases.patient_ids)
        return calibrate(changed, bootstrap=bootstrap_of(cases)).findings["edema"]

    probability, logit = scored(expit(cases.scores)), scored(cases.scores)
    assert probability.ece_before == logit.ece_before
    cosine = scored(np.tanh(cases.scores))
    assert (cosine.ece_before, cosine.curve_before, cosine.scale) == (None, (), "other")
    assert cosine.document()["ece_before"] is None
    assert scale_of(np.array([-1.0, 1.0])) == "other"


def test_the_document_is_json_with_the_bins():
    cases = made(600)
    found = calibrate(cases, bootstrap=bootstrap_of(cases), bins=8).findings["edema"]
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert document["from"] == "nested cross-validation"
    assert len(document["parameters"]["folds"]) == 5
    assert len(document["bins"]) == 8
    assert set(document["bins"][0]) == {"predicted", "observed", "count", "low", "high"}
    assert document["binning"] == "8 bins, equal-mass"
    assert set(document["ece"]) == {"value", "low", "high"}
    one = calibrate(cases, made(600, 1, "v"), bootstrap=bootstrap_of(cases)).findings["edema"].document()
    assert one["parameters"]["method"] == "platt"


def test_a_class_too_small_is_left_out_with_the_reason():
    cases = made(400)
    truth = cases.truth.copy()
    truth[:, 0] = 0
    truth[:7, 0] = 1
    truth[:, 1] = 1
    few = Cases.of(cases.ids, cases.findings, cases.scores, truth, patient_ids=cases.patient_ids)
    result = calibrate(few, bootstrap=bootstrap_of(cases))
    assert result.left_out == {
        "edema": "7 positives among 400 cases, and 10 are needed",
        "mass": "no negative among 400 cases",
    }
    assert np.isnan(result.probabilities).all()
    test = made(400, 1, "t")
    left_out = calibrate(test, few, bootstrap=bootstrap_of(test)).left_out
    assert left_out["edema"] == "7 positives among 400 validation cases, and 10 are needed"
    with pytest.raises(DataError, match="7 positives"):
        calibrate_score(Column("edema", few.scores[:, 0], few.truth[:, 0], few.patient_ids))
    unknown = Cases.of(test.ids, test.findings, test.scores, np.nan * test.truth)
    assert calibrate(unknown, cases).left_out["edema"] == "no case whose truth is known"


def test_mistakes_of_the_caller_are_named():
    cases = made(100)
    with pytest.raises(InputError, match="'beta' is no method"):
        calibrate(cases, method="beta")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="0 bins"):
        calibrate(cases, bins=0)
    with pytest.raises(DataError, match="50 patients"):
        calibrate(cases, made(100, 1))

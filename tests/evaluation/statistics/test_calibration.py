"""Calibrators against known answers, scipy and scikit-learn."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from offclip.errors import DataError, InputError
from offclip.evaluation.statistics.calibration import (
    CALIBRATORS,
    Isotonic,
    Platt,
    Temperature,
    calibrator,
    restore,
)

ALL = pytest.mark.parametrize("method", list(CALIBRATORS))


def drawn(n, slope=1.0, intercept=0.0, seed=0):
    """Logits and a truth whose probability is sigmoid(slope * logit + intercept)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1.0, 2.0, n)
    return logits, rng.random(n) < expit(slope * logits + intercept)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0, 40.0])
def test_the_temperature_that_made_the_data_is_found(temperature):
    rng = np.random.default_rng(1)
    logits = temperature * rng.normal(-1.0, 2.0, 100_000)
    positive = rng.random(100_000) < expit(logits / temperature)
    assert Temperature().fit(logits, positive).temperature_ == pytest.approx(temperature, rel=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_the_temperature_has_the_largest_likelihood(seed):
    logits, positive = drawn(200, slope=0.6, seed=seed)

    def loss(log_t):
        z = logits / np.exp(log_t)
        return np.mean(np.logaddexp(0, z) - positive * z)

    best = minimize_scalar(loss, bounds=(-5, 5), method="bounded", options={"xatol": 1e-10})
    found = Temperature().fit(logits, positive)
    assert found.temperature_ == pytest.approx(np.exp(best.x), rel=1e-5)
    assert found.predict(logits) == pytest.approx(expit(logits / found.temperature_))


def test_temperature_refuses_what_has_no_best_temperature():
    with pytest.raises(DataError, match="no score is below 0"):
        Temperature().fit(np.array([0.1, 0.9]), np.array([False, True]))
    with pytest.raises(DataError, match="separate the classes"):
        Temperature().fit(np.array([-2.0, 3.0, 1.0]), np.array([False, True, True]))
    with pytest.raises(DataError, match="less than a coin"):
        Temperature().fit(np.array([-2.0, 3.0, -1.0, 1.0]), np.array([True, False, True, False]))


@pytest.mark.parametrize("seed", range(3))
def test_platt_is_his_own_likelihood_with_his_targets(seed):
    scores, positive = drawn(80, slope=0.7, intercept=-0.5, seed=seed)
    p, q = positive.sum(), (~positive).sum()
    target = np.where(positive, (p + 1) / (p + 2), 1 / (q + 2))

    def loss(line):
        z = line[0] * scores + line[1]
        return np.sum(np.logaddexp(0, z) - target * z)

    best = minimize(loss, [0.0, 0.0], method="BFGS", options={"gtol": 1e-9}).x
    found = Platt().fit(scores, positive)
    assert [found.slope_, found.intercept_] == pytest.approx(best, abs=1e-5)


def test_platt_on_many_cases_is_the_plain_logistic_regression_of_scikit_learn():
    scores, positive = drawn(20_000, slope=0.7, intercept=-0.5)
    plain = LogisticRegression(C=np.inf, tol=1e-8).fit(scores[:, None], positive)
    found = Platt().fit(scores, positive)
    assert found.slope_ == pytest.approx(plain.coef_[0, 0], rel=2e-3)
    assert found.intercept_ == pytest.approx(plain.intercept_[0], rel=2e-3)
    assert found.predict(scores) == pytest.approx(plain.predict_proba(scores[:, None])[:, 1], abs=1e-3)
    assert [found.slope_, found.intercept_] == pytest.approx([0.7, -0.5], abs=0.05)


@pytest.mark.parametrize(("scale", "shift"), [(1e-6, 0.0), (1e6, 0.0), (1.0, 1e4)])
def test_platt_does_not_care_about_the_unit_of_the_score(scale, shift):
    scores, positive = drawn(500)
    expected = Platt().fit(scores, positive).predict(scores)
    moved = scores * scale + shift
    assert Platt().fit(moved, positive).predict(moved) == pytest.approx(expected, abs=1e-6)


def test_platt_is_finite_where_scores_separate_the_classes():
    found = Platt().fit(np.arange(20.0), np.arange(20) >= 10)
    assert np.isfinite([found.slope_, found.intercept_]).all()
    assert found.predict(np.array([0.0, 19.0])) == pytest.approx([1 / 12, 11 / 12], abs=0.08)


@pytest.mark.parametrize("ties", [False, True])
def test_isotonic_is_scikit_learns_and_never_falls(ties):
    scores, positive = drawn(400)
    scores = np.round(scores) if ties else scores
    found = Isotonic().fit(scores, positive)
    grid = np.linspace(-12, 12, 400)
    reference = IsotonicRegression(out_of_bounds="clip").fit(scores, positive.astype(float))
    assert found.predict(grid) == pytest.approx(reference.predict(grid), abs=1e-12)
    assert (np.diff(found.predict(grid)) >= 0).all()
    assert found.predict(scores).mean() == pytest.approx(positive.mean())


@ALL
@settings(derandomize=True, deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), n=st.integers(30, 200))
def test_a_probability_is_one_and_survives_json(method, seed, n):
    scores, positive = drawn(n, slope=1.5, seed=seed)
    positive[:2] = [True, False]
    fitted = calibrator(method).fit(scores, positive)
    found = fitted.predict(np.append(scores, [-1e9, 1e9]))
    assert ((found >= 0) & (found <= 1)).all()
    again = restore(json.loads(json.dumps(fitted.parameters)))
    assert type(again) is type(fitted)
    assert again.predict(scores).tolist() == fitted.predict(scores).tolist()


@ALL
def test_what_no_probability_can_be_made_of_is_refused(method):
    fit = calibrator(method).fit
    with pytest.raises(DataError, match="0 of 2 cases are positive"):
        fit(np.array([-1.0, 2.0]), np.array([False, False]))
    with pytest.raises(DataError, match="2 of 2 cases are positive"):
        fit(np.array([-1.0, 2.0]), np.array([True, True]))
    with pytest.raises(DataError, match=r"All 3 scores are -0\.5"):
        fit(np.full(3, -0.5), np.array([True, False, True]))
    with pytest.raises(InputError, match="1 of 2 scores are not finite"):
        fit(np.array([np.nan, 2.0]), np.array([True, False]))
    with pytest.raises(InputError, match="differ"):
        fit(np.array([1.0, 2.0]), np.array([True]))
    with pytest.raises(InputError, match="not fitted"):
        calibrator(method).predict(np.array([1.0]))
    with pytest.raises(InputError, match="no parameters"):
        restore({"method": method})


def test_an_unknown_method_is_named():
    with pytest.raises(InputError, match="'beta' is no method"):
        calibrator("beta")
    with pytest.raises(InputError, match="'None' is no method"):
        restore({})

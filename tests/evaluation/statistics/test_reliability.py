"""Calibration errors against brute force, scikit-learn and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from offclip.errors import InputError
from offclip.evaluation.statistics.bootstrap import Bootstrap, Resampling
from offclip.evaluation.statistics.reliability import (
    brier,
    brier_interval,
    ece,
    ece_expected_if_calibrated,
    ece_interval,
    probability_bins,
    reliability_curve,
)


def drawn(n, seed=0, shift=0.0, slope=1.0):
    """Probabilities and a truth; they are calibrated when there is no shift and the slope is 1."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-2.0, 1.5, n)
    return expit(slope * logits + shift), rng.random(n) < expit(logits)


@st.composite
def cases(draw):
    n = draw(st.integers(1, 80))
    values = st.sampled_from([0.0, 0.1, 0.5, 1.0]) if draw(st.booleans()) else st.floats(0, 1)
    probabilities = np.array(draw(st.lists(values, min_size=n, max_size=n)))
    return probabilities, np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))


@settings(derandomize=True, deadline=None)
@given(cases(), st.integers(1, 20), st.sampled_from(["equal-mass", "equal-width"]))
def test_bins_rise_and_the_error_is_their_mean_distance(case, bins, scheme):
    probabilities, positive = case
    of_case = probability_bins(probabilities, bins, scheme)
    assert sorted(set(of_case.tolist())) == list(range(of_case.max() + 1))
    assert of_case.max() < bins
    order = np.argsort(probabilities, kind="stable")
    assert (np.diff(of_case[order]) >= 0).all()
    curve = reliability_curve(probabilities, positive, bins, scheme)
    assert sum(b.count for b in curve) == len(positive)
    brute = 0.0
    for i, b in enumerate(curve):
        inside = of_case == i
        assert b.predicted == pytest.approx(probabilities[inside].mean())
        assert b.observed == pytest.approx(positive[inside].mean())
        assert 0 <= b.low <= b.observed <= b.high <= 1
        brute += inside.mean() * abs(probabilities[inside].mean() - positive[inside].mean())
    assert ece(probabilities, positive, bins, scheme) == pytest.approx(brute, abs=1e-12)


def test_equal_mass_bins_hold_the_same_number_and_keep_ties_together():
    probabilities = np.random.default_rng(0).random(1000)
    assert np.bincount(probability_bins(probabilities, 10)).tolist() == [100] * 10
    tied = np.repeat([0.1, 0.2, 0.9], [700, 200, 100])
    assert np.bincount(probability_bins(tied, 10)).tolist() == [700, 200, 100]
    assert probability_bins(np.full(50, 0.3)).tolist() == [0] * 50


def test_equal_width_is_scikit_learns_curve():
    probabilities, positive = drawn(5000)
    observed, predicted = calibration_curve(positive, probabilities, n_bins=10)
    curve = reliability_curve(probabilities, positive, 10, "equal-width")
    assert [b.predicted for b in curve] == pytest.approx(predicted.tolist(), abs=1e-12)
    assert [b.observed for b in curve] == pytest.approx(observed.tolist(), abs=1e-12)


def test_equal_mass_is_scikit_learns_quantile_curve():
    probabilities, positive = drawn(5000)
    observed, predicted = calibration_curve(positive, probabilities, n_bins=10, strategy="quantile")
    curve = reliability_curve(probabilities, positive, 10)
    assert [b.predicted for b in curve] == pytest.approx(predicted.tolist(), abs=1e-3)
    assert [b.observed for b in curve] == pytest.approx(observed.tolist(), abs=1e-2)


@settings(derandomize=True, deadline=None)
@given(cases())
def test_briers_score_is_scikit_learns(case):
    probabilities, positive = case
    assert brier(probabilities, positive) == pytest.approx(
        brier_score_loss(positive, probabilities, pos_label=True), abs=1e-12
    )


def test_calibrated_probabilities_have_the_error_that_chance_gives_and_shrinks_with_n():
    for n in (500, 5000, 50_000):
        found = np.mean([ece(*drawn(n, seed)) for seed in range(20)])
        assert found == pytest.approx(ece_expected_if_calibrated(drawn(n)[0]), rel=0.2)
        assert 0.5 < found * np.sqrt(n) < 1.0
    assert ece(*drawn(5000, shift=1.0)) > 0.1


def test_what_chance_gives_is_the_mean_deviation_of_a_count():
    # One bin, one probability: the mean deviation of a binomial count, by its own formula (De Moivre).
    from scipy.stats import binom

    n, p = 400, 0.02
    k = np.arange(n + 1)
    exact = float(np.abs(k / n - p) @ binom.pmf(k, n, p))
    assert ece_expected_if_calibrated(np.full(n, p), draws=5000) == pytest.approx(exact, rel=0.05)
    assert ece_expected_if_calibrated(np.array([0.0, 1.0] * 50)) == 0.0


@pytest.mark.parametrize(
    ("shift", "slope"), [(0.0, 1.0), (0.3, 1.0), (0.5, 1.5), (2.0, 1.0)], ids=["true", "near", "steep", "far"]
)
def test_the_interval_holds_the_error_of_the_population(shift, slope):
    probabilities, positive = drawn(400_000, 99, shift, slope)
    # Measured with the known probabilities, not with a drawn truth.
    logits = (np.log(probabilities / (1 - probabilities)) - shift) / slope
    of_case = probability_bins(probabilities)
    population = np.abs(np.bincount(of_case, probabilities - expit(logits))).sum() / len(positive)
    held = 0
    bootstrap = Bootstrap.of([str(i) for i in range(1000)], resampling=Resampling(400))
    for seed in range(300):
        p, y = drawn(1000, seed, shift, slope)
        found = ece_interval(p, y.astype(float), bootstrap)
        assert found.low <= found.value <= found.high
        held += found.low <= population <= found.high
    assert held >= 0.93 * 300


def test_patients_with_many_alike_cases_widen_the_interval():
    p, y = drawn(500, shift=1.5)
    p, y = np.repeat(p, 8), np.repeat(y, 8).astype(float)
    patients = np.repeat([f"p{i}" for i in range(500)], 8)
    wide = ece_interval(p, y, Bootstrap.of(patients))
    narrow = ece_interval(p, y, Bootstrap.of([str(i) for i in range(4000)]))
    assert [wide.value, narrow.value] == pytest.approx([ece(p, y == 1)] * 2)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert (
        brier_interval(p, y, Bootstrap.of(patients)).high
        > brier_interval(p, y, Bootstrap.of([str(i) for i in range(4000)])).high
    )


def test_unknown_truth_is_left_out():
    p, y = drawn(300)
    truth = y.astype(float)
    truth[::3] = np.nan
    bootstrap = Bootstrap.of([str(i) for i in range(300)])
    known = ~np.isnan(truth)
    assert ece_interval(p, truth, bootstrap).value == pytest.approx(ece(p[known], y[known]))
    assert brier_interval(p, truth, bootstrap).value == pytest.approx(brier(p[known], y[known]))


def test_the_resamples_are_those_of_the_bins():
    # By hand: resample the rows themselves, keeping the bins of the sample.
    p, y = drawn(120, shift=0.8)
    bootstrap = Bootstrap.of([str(i) for i in range(120)], resampling=Resampling(50))
    of_case = probability_bins(p)
    by_hand = []
    for weights in bootstrap.weights.T:
        rows = np.repeat(np.arange(120), weights)
        by_hand.append(np.abs(np.bincount(of_case[rows], p[rows] - y[rows])).sum() / len(rows))
    found = ece_interval(p, y.astype(float), bootstrap)
    assert found.high == pytest.approx(np.quantile(by_hand, 0.975), abs=1e-6)


def test_what_is_no_probability_is_refused():
    for wrong in (np.array([0.5, 1.2]), np.array([np.nan, 0.5])):
        with pytest.raises(InputError, match=r"1 of 2 probabilities are not in \[0, 1\]"):
            ece(wrong, np.array([True, False]))
    with pytest.raises(InputError, match="differ"):
        brier(np.array([0.5]), np.array([True, False]))
    with pytest.raises(InputError, match="0 bins"):
        probability_bins(np.array([0.5]), 0)
    with pytest.raises(InputError, match="'log'"):
        probability_bins(np.array([0.5]), 5, "log")
    with pytest.raises(InputError, match="shape"):
        ece(np.empty(0), np.empty(0, bool))

"""Predictive values: Bayes' rule by hand, edges, and coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.errors import InputError
from offclip.evaluation.normal import predictive
from offclip.evaluation.normal.predictive import predictive_values


def test_at_the_prevalence_of_the_set_they_are_the_plain_shares():
    # 8 of 10 abnormals are kept, 30 of 40 normals are cleared: 32 cleared, 18 kept.
    values = predictive_values(8, 10, 30, 40, prevalence=0.2)
    assert values.npv is not None
    assert values.ppv is not None
    assert values.npv.value == pytest.approx(30 / 32)
    assert values.ppv.value == pytest.approx(8 / 18)


def test_at_another_prevalence_they_follow_bayes():
    values = predictive_values(95, 100, 22, 100, prevalence=0.1)
    assert values.npv is not None
    assert values.ppv is not None
    assert values.npv.value == pytest.approx(0.22 * 0.9 / (0.22 * 0.9 + 0.05 * 0.1))
    assert values.ppv.value == pytest.approx(0.95 * 0.1 / (0.95 * 0.1 + 0.78 * 0.9))


def test_zero_misses_have_a_lower_limit_below_one():
    values = predictive_values(50, 50, 20, 100, prevalence=0.3)
    assert values.npv is not None
    assert values.npv.value == values.npv.high == 1.0
    assert 0.7 < values.npv.low < 1.0


def test_the_grid_is_fine_enough(monkeypatch):
    found = predictive_values(995, 1000, 220, 1000, 0.1)
    monkeypatch.setattr(predictive, "_GRID", (np.arange(2000) + 0.5) / 2000)
    finer = predictive_values(995, 1000, 220, 1000, 0.1)
    for coarse, fine in ((found.npv, finer.npv), (found.ppv, finer.ppv)):
        assert coarse is not None
        assert fine is not None
        assert coarse.low == pytest.approx(fine.low, abs=2e-5)
        assert coarse.high == pytest.approx(fine.high, abs=2e-5)


def test_nothing_cleared_has_no_npv_and_everything_cleared_no_ppv():
    assert predictive_values(5, 5, 0, 7, 0.5).npv is None
    ppv = predictive_values(5, 5, 0, 7, 0.5).ppv
    assert ppv is not None
    assert ppv.value == 0.5
    assert predictive_values(0, 5, 7, 7, 0.5).ppv is None


def test_one_normal_and_one_abnormal_say_almost_nothing():
    values = predictive_values(1, 1, 1, 1, 0.5)
    assert values.npv is not None
    assert values.npv.low < 0.1
    assert values.npv.high == 1.0


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.2, float("nan")])
def test_a_prevalence_out_of_range_is_refused(prevalence):
    with pytest.raises(InputError, match="prevalence"):
        predictive_values(1, 1, 1, 1, prevalence)


def test_counts_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="6 of 5"):
        predictive_values(6, 5, 1, 1, 0.5)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.data(), st.integers(1, 60), st.integers(1, 60), st.floats(0.01, 0.99))
def test_the_value_lies_in_its_interval(data, abnormals, normals, prevalence):
    kept, cleared = data.draw(st.integers(0, abnormals)), data.draw(st.integers(0, normals))
    values = predictive_values(kept, abnormals, cleared, normals, prevalence)
    for estimate in (values.npv, values.ppv):
        if estimate is not None:
            assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


DESIGNS = [
    (0.95, 0.2, 200, 300, 0.1),
    (0.99, 0.05, 400, 400, 0.5),
    (0.998, 0.3, 600, 100, 0.02),
    (0.9, 0.5, 30, 30, 0.3),
]


def coverage(sensitivity, specificity, abnormals, normals, prevalence, sets=200):
    """Share of simulated sets whose intervals hold the true NPV, and PPV."""
    rng = np.random.default_rng(3)
    missed, read = (1 - sensitivity) * prevalence, (1 - specificity) * (1 - prevalence)
    npv = specificity * (1 - prevalence) / (specificity * (1 - prevalence) + missed)
    ppv = sensitivity * prevalence / (sensitivity * prevalence + read)
    covered = np.zeros(2)
    for _ in range(sets):
        kept, cleared = rng.binomial(abnormals, sensitivity), rng.binomial(normals, specificity)
        values = predictive_values(int(kept), abnormals, int(cleared), normals, prevalence)
        for i, (estimate, truth) in enumerate(((values.npv, npv), (values.ppv, ppv))):
            covered[i] += estimate is None or estimate.low <= truth <= estimate.high
    return covered / sets


@pytest.mark.parametrize("design", DESIGNS)
def test_the_intervals_cover_the_truth(monkeypatch, design):
    monkeypatch.setattr(predictive, "_GRID", (np.arange(100) + 0.5) / 100)  # coarser, and 25 times as fast
    # Exact intervals are cautious, so at least 95 %; 200 sets leave a standard error of 1.5 %.
    assert (coverage(*design) >= 0.92).all()

"""AUC and thresholds against scikit-learn and brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored_examples import scored
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from offclip.errors import DataError, InputError
from offclip.evaluation.statistics.ranks import auc, midranks, roc_curve
from offclip.evaluation.statistics.thresholds import threshold_at_sensitivity, youden_threshold


@given(scored())
def test_auc_is_scikit_learns(case):
    scores, positive = case
    assert auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert auc(-scores, positive) == pytest.approx(1 - auc(scores, positive), abs=1e-12)


@given(scored())
def test_the_roc_curve_is_scikit_learns(case):
    scores, positive = case
    false, true = roc_curve(scores, positive)
    expected_false, expected_true, _ = sklearn_roc_curve(positive, scores, drop_intermediate=False)
    assert np.allclose(false, expected_false, atol=1e-12)
    assert np.allclose(true, expected_true, atol=1e-12)
    assert np.trapezoid(true, false) == pytest.approx(auc(scores, positive), abs=1e-12)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30))
def test_midranks_are_the_mean_of_the_places(values):
    array = np.array(values, float)
    expected = [((array < v).sum() + 1 + (array <= v).sum()) / 2 for v in array]
    assert midranks(array).tolist() == expected


@given(scored(), st.floats(0.01, 1.0))
def test_the_sensitivity_threshold_is_the_highest_that_suffices(case, sensitivity):
    scores, positive = case
    cut = threshold_at_sensitivity(scores, positive, sensitivity)
    reached = [t for t in np.unique(scores) if (scores[positive] >= t).mean() >= sensitivity - 1e-9]
    assert cut == max(reached)


@given(scored())
def test_the_youden_threshold_is_the_best_of_all(case):
    scores, positive = case

    def gain(t):
        return (scores[positive] >= t).mean() - (scores[~positive] >= t).mean()

    cut = youden_threshold(scores, positive)
    assert cut in scores
    assert gain(cut) == pytest.approx(max(gain(t) for t in np.unique(scores)), abs=1e-12)


def test_of_equally_good_thresholds_the_highest_is_taken():
    scores, positive = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    assert youden_threshold(scores, positive) == 0.8


def test_what_cannot_be_measured_is_refused():
    for positive in ([True, True], [False, False]):
        with pytest.raises(DataError, match="both classes"):
            auc(np.array([1.0, 2.0]), np.array(positive))
        with pytest.raises(DataError, match="both classes"):
            youden_threshold(np.array([1.0, 2.0]), np.array(positive))
    with pytest.raises(DataError, match="no positive"):
        threshold_at_sensitivity(np.array([1.0]), np.array([False]))
    with pytest.raises(InputError, match="2 of 3 scores are not finite"):
        auc(np.array([np.nan, 1.0, np.inf]), np.array([True, False, True]))
    with pytest.raises(InputError, match="differ"):
        auc(np.array([1.0, 2.0]), np.array([True]))

"""Areas of weighted resamples against scikit-learn with sample weights, and against resampling for real."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc as sklearn_area
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from offclip.errors import InputError
from offclip.evaluation.statistics import resampled, resampled_auc, resampled_average_precision
from offclip.evaluation.statistics.resampled import resampled_areas


@st.composite
def weighted(draw):
    n = draw(st.integers(2, 50))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scores = rng.integers(0, draw(st.sampled_from([1, 3, 10, 10**6])), n).astype(float)
    truth = rng.choice([0.0, 1.0, np.nan], n, p=draw(st.sampled_from([[0.5, 0.5, 0], [0.7, 0.1, 0.2]])))
    weights = rng.poisson(draw(st.sampled_from([0.3, 1.0, 4.0])), (n, 3)).astype(np.uint8)
    return scores, truth, weights


@settings(derandomize=True, deadline=None, max_examples=40)
@given(weighted(), st.sampled_from([2, 3, 256]))
def test_areas_are_scikit_learns_with_sample_weights(case, steps):
    scores, truth, weights = case
    known = ~np.isnan(truth)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampled, "_STEPS_AT_ONCE", steps)  # so that every walk crosses its blocks
        found = resampled_areas(scores, truth, weights)
        trapezoid = resampled_areas(scores, truth, weights, "trapezoid").auprc
    for r, weight in enumerate(weights.T):
        s, t, w = scores[known], truth[known], weight[known]
        if not w[t == 1].sum():
            assert np.isnan(found.auprc[r])
            assert np.isnan(found.auc[r])
            continue
        expected = average_precision_score(t, s, sample_weight=w)
        assert found.auprc[r] == pytest.approx(expected, abs=1e-12)
        precision, recall, _ = precision_recall_curve(t, s, sample_weight=w)
        assert trapezoid[r] == pytest.approx(sklearn_area(recall, precision), abs=1e-12)
        if w[t == 0].sum():
            expected = roc_auc_score(t, s, sample_weight=w)
            assert found.auc[r] == pytest.approx(expected, abs=1e-12)
        else:
            assert np.isnan(found.auc[r])


def test_a_weight_is_as_many_copies():
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 8, 60).astype(float), (rng.random(60) < 0.3).astype(float)
    weights = rng.integers(0, 4, (60, 3))
    found = resampled_auc(scores, truth, weights), resampled_average_precision(scores, truth, weights)
    for r in range(3):
        copies = np.repeat(np.arange(60), weights[:, r])
        assert found[0][r] == pytest.approx(roc_auc_score(truth[copies], scores[copies]), abs=1e-12)
        assert found[1][r] == pytest.approx(average_precision_score(truth[copies], scores[copies]), abs=1e-12)


def test_sums_beyond_what_single_precision_counts_stay_exact():
    scores = np.repeat([0.0, 1.0], [3, 3])
    truth = np.array([0.0, 1, 0, 1, 0, 1])
    weights = np.full((6, 1), 2**25 + 1)
    assert resampled_auc(scores, truth, weights)[0] == pytest.approx(2 / 3, abs=1e-15)


def test_mistakes_are_refused():
    with pytest.raises(InputError, match="weights"):
        resampled_auc(np.zeros(3), np.zeros(3), np.ones((2, 4)))
    with pytest.raises(InputError, match="differ"):
        resampled_auc(np.zeros(3), np.zeros(2), np.ones((3, 4)))
    with pytest.raises(InputError, match="not finite"):
        resampled_auc(np.array([np.nan, 1.0]), np.array([1.0, 0]), np.ones((2, 4)))
    # Of unknown truth a score may be missing.
    assert resampled_auc(np.array([np.nan, 1, 0]), np.array([np.nan, 1, 0]), np.ones((3, 1))).tolist() == [
        1.0
    ]

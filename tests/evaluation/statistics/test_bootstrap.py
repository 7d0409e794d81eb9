"""The patient-cluster bootstrap: what is drawn, and what is done with resamples that lack a class."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from offclip.errors import DataError, InputError
from offclip.evaluation.statistics import Bootstrap, Draws, Resampling, bootstrap, cluster_weights, mean_of

PATIENTS = np.repeat([f"p{i:02d}" for i in range(20)], 3)
STRATA = np.repeat(np.arange(20) < 6, 3).astype(int)


def test_patients_are_drawn_whole_and_within_their_strata():
    weights = cluster_weights(PATIENTS, STRATA, Resampling(200))
    assert (weights.shape, weights.dtype) == ((60, 200), np.uint8)
    assert (weights.reshape(20, 3, 200) == weights.reshape(20, 3, 200)[:, :1]).all()
    assert (weights[STRATA == 1].sum(axis=0) == 18).all()
    assert (weights[STRATA == 0].sum(axis=0) == 42).all()
    assert weights.mean(axis=1) == pytest.approx(np.ones(60), abs=0.3)
    free = cluster_weights(PATIENTS, None, Resampling(200))
    assert len(set(free[STRATA == 1].sum(axis=0))) > 3


def test_a_patient_belongs_to_the_largest_stratum_of_its_cases():
    one_image = np.where(np.arange(60) % 3 == 1, STRATA, 0)
    found = cluster_weights(PATIENTS, one_image, Resampling(9))
    assert (found == cluster_weights(PATIENTS, STRATA, Resampling(9))).all()


def test_draws_depend_on_the_seed_and_not_on_the_order_of_rows_or_the_number_of_resamples():
    weights = cluster_weights(PATIENTS, STRATA, Resampling(50, seed=1))
    assert (weights == cluster_weights(PATIENTS, STRATA, Resampling(50, seed=1))).all()
    assert (weights != cluster_weights(PATIENTS, STRATA, Resampling(50, seed=2))).any()
    order = np.random.default_rng(0).permutation(60)
    assert (weights[order] == cluster_weights(PATIENTS[order], STRATA[order], Resampling(50, seed=1))).all()
    more = cluster_weights(PATIENTS, STRATA, Resampling(80, seed=1))
    assert (weights == more[:, :50]).all()


@pytest.fixture
def scored():
    rng = np.random.default_rng(5)
    truth = (rng.random((60, 3)) < [0.5, 0.2, 0.1]).astype(float)
    truth[rng.random((60, 3)) < 0.1] = np.nan
    truth[:2] = [[1], [0]]
    return rng.integers(0, 9, (60, 3)) + np.nan_to_num(truth), truth


def test_areas_are_those_of_the_resamples_whatever_the_cores_and_the_parts(scored, monkeypatch):
    scores, truth = scored
    drawn = Bootstrap.of(PATIENTS, None, Resampling(150))
    whole = drawn.areas(scores, truth, pooled=True)
    monkeypatch.setattr(bootstrap, "available_cores", lambda: 3)
    monkeypatch.setattr(bootstrap, "_NARROWEST", 7)
    monkeypatch.setattr(bootstrap, "_TABLE_BYTES", 4 * 20 * 33)
    parts = drawn.areas(scores, truth, pooled=True)
    for a, b in zip(whole, parts, strict=True):
        assert np.array_equal(a.auc.draws, b.auc.draws, equal_nan=True)
        assert np.array_equal(a.auprc.draws, b.auprc.draws, equal_nan=True)
    weights = drawn.weights
    for c in range(3):
        known = ~np.isnan(truth[:, c])
        s, t, w = scores[known, c], truth[known, c], weights[known, 3]
        assert whole[c].auc.value == pytest.approx(roc_auc_score(t, s), abs=1e-12)
        assert whole[c].auprc.value == pytest.approx(average_precision_score(t, s), abs=1e-12)
        assert whole[c].auc.draws[3] == pytest.approx(roc_auc_score(t, s, sample_weight=w), abs=1e-12)
    cells = ~np.isnan(truth)
    every = np.repeat(weights[:, 3], 3).reshape(60, 3)[cells]
    micro = roc_auc_score(truth[cells], scores[cells], sample_weight=every)
    assert whole[3].auc.draws[3] == pytest.approx(micro, abs=1e-12)
    assert whole[3].auc.value == pytest.approx(roc_auc_score(truth[cells], scores[cells]), abs=1e-12)
    alone = drawn.pooled(scores, truth)
    assert np.array_equal(alone.auprc.draws, whole[3].auprc.draws)
    single = drawn.auc(scores[:, 0], truth[:, 0])
    assert np.array_equal(single.draws, whole[0].auc.draws, equal_nan=True)


def test_the_trapezoid_is_the_peers(scored):
    from offclip.evaluation.statistics import trapezoid_auprc

    scores, truth = scored
    known = ~np.isnan(truth[:, 1])
    found = Bootstrap.of(PATIENTS).areas(scores, truth, "trapezoid")[1].auprc
    assert found.value == pytest.approx(trapezoid_auprc(scores[known, 1], truth[known, 1] == 1), abs=1e-12)
    assert found.value != Bootstrap.of(PATIENTS).areas(scores, truth)[1].auprc.value


def test_a_resample_without_positives_is_undefined_and_counted():
    truth = np.zeros(60)
    truth[:3] = 1  # all of one patient: e^-1 of the resamples lack it
    drawn = Bootstrap.of(PATIENTS, None, Resampling(400)).auc(np.arange(60.0), truth)
    assert 0.28 * 400 < drawn.undefined < 0.45 * 400
    assert drawn.undefined == np.isnan(drawn.draws).sum()
    assert drawn.estimate.low == 0.0  # over the others


def test_a_class_that_drops_out_does_not_move_the_mean():
    rng = np.random.default_rng(0)
    common = Draws(0.7, 0.7 + 0.01 * rng.normal(size=1000))
    rare = Draws(1.0, np.where(rng.random(1000) < 0.37, np.nan, 1.0))
    found = mean_of([common, rare])
    assert found.value == pytest.approx(0.85)
    assert (found.estimate.low, found.estimate.high) == pytest.approx((0.83, 0.87), abs=0.01)
    # Plainly over those that are left, the interval would reach down to the common class alone.
    naive = np.nanmean([common.draws, rare.draws], axis=0)
    assert np.quantile(naive, 0.025) < 0.72


def test_means_are_plain_where_everything_is_defined_and_weighted_when_asked():
    a, b = Draws(0.5, np.array([0.4, 0.6])), Draws(0.9, np.array([0.8, 0.9]))
    assert mean_of([a, b]).draws.tolist() == pytest.approx([0.6, 0.75])
    assert mean_of([a, b], [3, 1]).draws.tolist() == pytest.approx([0.5, 0.675])
    assert mean_of([a, b], [3, 1]).value == pytest.approx(0.6)
    nothing = Draws(0.5, np.array([np.nan, 0.5]))
    assert np.isnan(mean_of([nothing, nothing]).draws).tolist() == [True, False]
    with pytest.raises(InputError, match="no number"):
        mean_of([])
    with pytest.raises(InputError, match="1 weights for 2"):
        mean_of([a, b], [1])


def test_percentiles_are_over_what_is_defined_and_nan_where_nothing_is():
    found = Draws(0.5, np.append(np.linspace(0, 1, 101), np.nan), level=0.9).estimate
    assert (found.low, found.high) == pytest.approx((0.05, 0.95))
    empty = Draws(0.5, np.full(3, np.nan)).estimate
    assert empty.value == 0.5
    assert np.isnan([empty.low, empty.high]).all()


def test_the_mean_of_cases_is_over_those_known():
    values = np.where(np.arange(60) % 4 == 0, np.nan, np.arange(60.0))
    drawn = Bootstrap.of(PATIENTS, None, Resampling(20))
    found = drawn.mean(values)
    weight = drawn.weights[:, 7] * ~np.isnan(values)
    assert found.draws[7] == pytest.approx((np.nan_to_num(values) * weight).sum() / weight.sum())
    assert found.value == np.nanmean(values)


def test_mistakes_are_refused():
    drawn = Bootstrap.of(PATIENTS)
    with pytest.raises(DataError, match="0 positives and 60 negatives"):
        drawn.auc(np.zeros(60), np.zeros(60))
    with pytest.raises(InputError, match="differ"):
        drawn.auc(np.zeros(59), np.zeros(59))
    with pytest.raises(InputError, match="60 clusters"):
        drawn.areas(np.zeros((59, 2)), np.zeros((59, 2)))
    with pytest.raises(InputError, match="60 clusters and 59 strata"):
        Bootstrap.of(PATIENTS, np.zeros(59))
    with pytest.raises(InputError, match="at least one case"):
        Bootstrap.of([])
    for wrong in ({"resamples": 0}, {"level": 1.0}):
        with pytest.raises(InputError):
            Resampling(**wrong)

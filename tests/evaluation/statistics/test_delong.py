"""DeLong's variance against published examples, its definition over all pairs, and its limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import t as student

from offclip.errors import DataError, InputError
from offclip.evaluation.statistics import (
    auc,
    delong_covariance,
    delong_interval,
    delong_test,
    newcombe_interval,
)

# Albumin, total protein, Krebs-Goplerud score and outcome of the ovarian cancer patients of DeLong,
# DeLong and Clarke-Pearson (1988); the 43 complete rows, as the SAS/STAT User's Guide gives them in the
# example "Comparing Receiver Operating Characteristic Curves" of PROC LOGISTIC. The results expected below,
# and Stata's, were written down from memory; the independent reference is the definition over all pairs.
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""


@pytest.fixture
def ovarian():
    """Albumin, K-G score and total protein, each turned so that higher says failure; failure."""
    rows = np.array(OVARIAN.split(), float).reshape(-1, 4)
    return np.stack([-rows[:, 0], rows[:, 2], -rows[:, 1]]), rows[:, 3] == 0


def test_the_areas_of_delongs_own_data_are_those_that_sas_publishes(ovarian):
    scores, failed = ovarian
    found = delong_covariance(scores, failed)
    assert (found.positives, found.negatives) == (12, 31)
    assert found.auc.round(4).tolist() == [0.7366, 0.7258, 0.6478]
    assert np.sqrt(np.diag(found.matrix)).round(4).tolist() == [0.0927, 0.1028, 0.1000]
    limits = [delong_interval(row, failed, scale="plain") for row in scores]
    assert [(round(e.low, 4), round(e.high, 4)) for e in limits] == [
        (0.5549, 0.9182),
        (0.5243, 0.9273),
        (0.4518, 0.8439),
    ]


def test_the_paired_tests_of_delongs_own_data_are_those_that_sas_publishes(ovarian):
    (albumin, kg, protein), failed = ovarian
    found = delong_test(albumin, kg, failed)
    assert round(found.difference.value, 4) == 0.0108
    assert (round(found.difference.low, 4), round(found.difference.high, 4)) == (-0.1761, 0.1976)
    assert (round(found.z**2, 4), round(found.p, 4)) == (0.0127, 0.9102)
    found = delong_test(protein, kg, failed)
    assert (round(found.z**2, 4), round(found.p, 4)) == (0.5554, 0.4561)
    assert (round(found.difference.low, 4), round(found.difference.high, 4)) == (-0.2830, 0.1271)


def test_the_ratings_of_hanley_and_mcneil_give_what_stata_publishes():
    # Hanley and McNeil, Radiology 143 (1982), table 1: 58 normal and 51 abnormal CT images rated 1 to 5;
    # the Stata manual's example of roctab: 0.8932, standard error 0.0307, 0.83295 to 0.95339.
    ratings = np.repeat([1.0, 2, 3, 4, 5] * 2, [33, 6, 6, 11, 2, 3, 2, 2, 11, 33])
    abnormal = np.repeat([False, True], [58, 51])
    found = delong_interval(ratings, abnormal, scale="plain")
    assert round(found.value, 4) == 0.8932
    assert (round(found.low, 5), round(found.high, 5)) == (0.83295, 0.95339)
    assert round(float(np.sqrt(delong_covariance(ratings, abnormal).matrix[0, 0])), 4) == 0.0307


def over_all_pairs(scores, positive):
    """The definition: every pair of a positive and a negative."""
    pairs = [(row[positive][:, None], row[~positive]) for row in scores]
    below = np.stack([(p > n) + 0.5 * (p == n) for p, n in pairs])
    by_positive, by_negative = below.mean(axis=2), below.mean(axis=1)
    return (
        np.atleast_2d(np.cov(by_positive)) / positive.sum()
        + np.atleast_2d(np.cov(by_negative)) / (~positive).sum()
    )


@st.composite
def scored(draw):
    n, k = draw(st.integers(4, 40)), draw(st.integers(1, 3))
    grid = draw(st.sampled_from([3, 10, 10**6]))  # few values make ties
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scores = rng.integers(0, grid, (k, n)).astype(float)
    positive = rng.random(n) < draw(st.floats(0.1, 0.9))
    positive[:2], positive[2:4] = True, False
    return scores, positive, rng


@settings(derandomize=True, deadline=None)
@given(scored())
def test_midranks_give_the_covariance_over_all_pairs(case):
    scores, positive, _ = case
    found = delong_covariance(scores, positive)
    assert np.allclose(found.matrix, over_all_pairs(scores, positive), atol=1e-12)
    assert np.allclose(found.auc, [auc(row, positive) for row in scores], atol=1e-12)


@settings(derandomize=True, deadline=None)
@given(scored())
def test_one_case_a_cluster_is_delong(case):
    scores, positive, rng = case
    names = rng.permutation([f"p{i}" for i in range(len(positive))])
    alone = delong_covariance(scores, positive)
    assert np.allclose(delong_covariance(scores, positive, names).matrix, alone.matrix, atol=1e-12)


def test_clusters_are_obuchowskis_sums():
    """Against the formulas of Obuchowski (1997) written out pair by pair."""
    rng = np.random.default_rng(3)
    scores, positive = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.4
    patients = rng.integers(0, 15, 40)
    kernel = (scores[positive][:, None] > scores[~positive]) + 0.5 * (
        scores[positive][:, None] == scores[~positive]
    )
    area, m, n = kernel.mean(), positive.sum(), (~positive).sum()
    x = {p: (kernel.mean(axis=1) - area)[patients[positive] == p].sum() for p in np.unique(patients)}
    y = {p: (kernel.mean(axis=0) - area)[patients[~positive] == p].sum() for p in np.unique(patients)}
    with_positive, with_negative = set(patients[positive]), set(patients[~positive])
    i10, i01, i = len(with_positive), len(with_negative), len(with_positive | with_negative)
    s10 = i10 / ((i10 - 1) * m) * sum(x[p] ** 2 for p in with_positive)
    s01 = i01 / ((i01 - 1) * n) * sum(y[p] ** 2 for p in with_negative)
    s11 = i / (i - 1) * sum(x[p] * y[p] for p in x)
    found = delong_covariance(scores, positive, patients)
    assert found.matrix[0, 0] == pytest.approx(s10 / m + s01 / n + 2 * s11 / (m * n), rel=1e-12)


def test_doubling_every_image_must_not_narrow_the_interval_of_its_patients():
    rng = np.random.default_rng(0)
    positive = np.repeat([True, False], 40)
    scores = rng.normal(size=80) + positive
    single = delong_interval(scores, positive)
    twice = [np.repeat(values, 2) for values in (scores, positive, np.arange(80))]
    clustered = delong_interval(twice[0], twice[1], clusters=twice[2])
    naive = delong_interval(twice[0], twice[1])
    assert clustered.low == pytest.approx(single.low, abs=1e-12)
    assert naive.high - naive.low < 0.75 * (single.high - single.low)


def test_a_perfect_score_has_an_interval_that_knows_how_few_cases_there_are():
    positive = np.array([True] * 5 + [False] * 5)
    few = delong_interval(np.arange(10.0)[::-1], positive)
    many = delong_interval(np.arange(1000.0)[::-1], np.repeat([True, False], 500))
    assert few.value == few.high == many.value == many.high == 1.0
    assert few.low < 0.8 < 0.98 < many.low < 1
    worst = delong_interval(np.arange(10.0), positive)
    assert (worst.low, worst.high) == (0.0, pytest.approx(1 - few.low, abs=1e-9))
    doubled = delong_interval(
        np.repeat(np.arange(10.0)[::-1], 2), positive.repeat(2), clusters=np.repeat(range(10), 2)
    )
    assert doubled == few


def test_newcombes_limits_solve_his_equation():
    found = newcombe_interval(0.8, 20, 50)
    for limit in (found.low, found.high):
        k = 34
        variance = limit * (1 - limit) * (1 + k * (1 - limit) / (2 - limit) + k * limit / (1 + limit)) / 1000
        assert abs(0.8 - limit) == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-6)


@pytest.mark.parametrize("scores", [np.zeros(6), np.array([1.0, 2, 3, 4, 5, 6])])
def test_where_there_is_no_variance_there_is_still_an_interval(scores):
    one = np.array([False, False, True, False, False, False])
    found = delong_interval(scores, one)
    assert 0 <= found.low < found.value < found.high <= 1


def test_the_same_ranking_is_no_difference_and_an_unknown_variance_gives_no_p():
    rng = np.random.default_rng(1)
    scores, positive = rng.normal(size=30), np.arange(30) % 3 == 0
    same = delong_test(scores, np.exp(scores), positive)
    assert (same.difference.value, same.z, same.p) == (0.0, 0.0, 1.0)
    single = delong_test(scores, -scores, np.arange(30) == 4)
    assert np.isnan(single.p)
    opposite = delong_test(np.arange(6.0), -np.arange(6.0), np.arange(6) > 2)
    assert opposite.difference.value == 1.0
    assert np.isnan(opposite.p)  # no variance and yet a difference


def test_the_test_is_antisymmetric_and_blind_to_monotone_maps():
    rng = np.random.default_rng(2)
    positive = rng.random(200) < 0.3
    a, b = rng.normal(size=200) + positive, rng.normal(size=200) + 0.5 * positive
    there, back = delong_test(a, b, positive), delong_test(b, np.exp(a), positive)
    assert there.p == pytest.approx(back.p, rel=1e-9)
    assert there.difference.low == pytest.approx(-back.difference.high, rel=1e-9)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(DataError, match="0 positives and 3 negatives"):
        delong_interval(np.zeros(3), np.zeros(3, bool))
    with pytest.raises(InputError, match="not finite"):
        delong_interval(np.array([np.inf, 0]), np.array([True, False]))
    with pytest.raises(InputError, match="differ"):
        delong_covariance(np.zeros((2, 3)), np.array([True, False]))
    with pytest.raises(InputError, match="'log' is unknown"):
        delong_interval(np.arange(4.0), np.array([0, 1, 0, 1], bool), scale="log")
    with pytest.raises(InputError, match="1 clusters for 2 cases"):
        delong_interval(np.arange(2.0), np.array([0, 1], bool), clusters=["a"])


def test_the_logit_interval_is_brunner_and_munzels_written_out():
    rng = np.random.default_rng(4)
    positive = np.arange(40) < 8
    scores = rng.normal(size=40) + positive
    pairs = scores[positive][:, None] > scores[~positive]
    parts = pairs.mean(axis=1).var(ddof=1) / 8, pairs.mean(axis=0).var(ddof=1) / 32
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 7 + parts[1] ** 2 / 31)
    area = pairs.mean()
    half = student.ppf(0.975, freedom) * np.sqrt(sum(parts)) / (area * (1 - area))
    found = delong_interval(scores, positive)
    assert found.low == pytest.approx(expit(logit(area) - half), abs=1e-12)
    assert found.high == pytest.approx(expit(logit(area) + half), abs=1e-12)
    alone = delong_interval(scores, positive, clusters=[f"p{i}" for i in range(40)])
    assert (alone.low, alone.high) == pytest.approx((found.low, found.high), abs=1e-12)

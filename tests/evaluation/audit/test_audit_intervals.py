"""Statistics against independent references: scipy, scikit-learn, numbers worked by hand, simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from offclip.evaluation.audit.intervals import (
    Cell,
    cohen_kappa,
    combine,
    confusion,
    effective_size,
    kappa_interval,
)
from offclip.evaluation.audit.sampling import draw_proportional
from offclip.evaluation.statistics.estimate import Estimate, wilson


def cell(share: float, pairs: np.ndarray, *, complete: bool = False) -> Cell:
    return Cell(share, pairs, np.ones(len(pairs)), complete)


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 400), st.data())
def test_wilson_is_scipys(n, data):
    k = data.draw(st.integers(0, n))
    expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
    found = wilson(k / n, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_effective_size_of_equal_weights_is_their_number():
    assert effective_size(np.full(7, 0.3)) == pytest.approx(7)
    assert effective_size(np.array([1.0, 1, 2])) == pytest.approx(16 / 6)


def test_strata_are_combined_as_worked_by_hand():
    # W = .75, .25; p = .9, .5; down sqrt((.75 * .1136)² + (.25 * .1336)²), up the same with the upper limits.
    first, second = Estimate(0.9, 0.7864, 0.9565), Estimate(0.5, 0.3664, 0.6336)
    found = combine([(3, first), (1, second)])
    assert found.value == pytest.approx(0.8)
    assert found.low == pytest.approx(0.8 - np.hypot(0.75 * 0.1136, 0.25 * 0.1336))
    assert found.high == pytest.approx(0.8 + np.hypot(0.75 * 0.0565, 0.25 * 0.1336))
    assert combine([(2, first)]).low == pytest.approx(first.low)


def test_a_complete_cell_has_no_uncertainty():
    pairs = np.array([[0, 0], [1, 0], [1, 1]])
    assert cell(1, pairs, complete=True).agreement == Estimate(2 / 3, 2 / 3, 2 / 3)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.floats(0.1, 9)), min_size=2, max_size=60))
def test_kappa_is_scikit_learns(rows):
    first, second, weights = (np.array(column) for column in zip(*rows, strict=True))
    ours = float(cohen_kappa(confusion([Cell(1, np.c_[first, second], weights, False)], 3)))
    if len(set(first) | set(second)) == 1:
        assert np.isnan(ours)
        return
    reference = cohen_kappa_score(first, second, labels=[0, 1, 2], sample_weight=weights)
    assert ours == pytest.approx(reference, abs=1e-9)
    plain = cohen_kappa(confusion_matrix(first, second, labels=[0, 1, 2]))
    assert float(plain) == pytest.approx(cohen_kappa_score(first, second, labels=[0, 1, 2]), abs=1e-9)


def test_the_kappa_interval_is_that_of_the_large_sample_formula():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 900)
    pairs = np.c_[truth, np.where(rng.random(900) < 0.15, 1 - truth, truth)]
    found = kappa_interval([cell(1, pairs)], 3)
    assert found is not None
    table = confusion_matrix(*pairs.T) / 900
    # The delta-method variance of Fleiss, Cohen and Everitt, Psychol. Bull. 72 (1969).
    row, column, kappa = table.sum(1), table.sum(0), found.value
    expected = row @ column
    agree = sum(table[i, i] * (1 - (row[i] + column[i]) * (1 - kappa)) ** 2 for i in range(2))
    differ = sum(table[i, j] * (column[i] + row[j]) ** 2 for i in range(2) for j in range(2) if i != j)
    variance = agree + (1 - kappa) ** 2 * differ - (kappa - expected * (1 - kappa)) ** 2
    half = 1.96 * np.sqrt(variance / 900) / (1 - expected)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.08)
    assert found == kappa_interval([cell(1, pairs)], 3)


def test_kappa_with_one_class_is_not_defined():
    assert kappa_interval([cell(1, np.zeros((5, 2), int))], 3) is None


def test_complete_cells_are_not_resampled():
    pairs = np.array([[0, 0], [1, 1], [1, 0]])
    found = kappa_interval([cell(1, pairs, complete=True)], 3)
    assert found is not None
    assert found.low == pytest.approx(found.value) == found.high


def test_the_interval_covers_the_truth_of_a_skewed_table():
    """Sentences as frequent as 1/rank, three strata, different error rates: the whole design, simulated."""
    rng = np.random.default_rng(1)
    strata = []
    for units, error, drawn in ((600, 0.03, 60), (900, 0.10, 50), (150, 0.30, 30)):
        sizes = np.maximum(1, (units / np.arange(1, units + 1)).astype(int))
        strata.append((sizes, rng.random(units) >= error, drawn))
    total = sum(sizes.sum() for sizes, _, _ in strata)
    truth = sum((sizes * right).sum() for sizes, right, _ in strata) / total
    values, covered = [], 0
    for _ in range(400):
        parts = []
        for sizes, right, drawn in strata:
            order = rng.permutation(len(sizes))
            picked, probability = draw_proportional(sizes[order], drawn, rng.random())
            for certain in (True, False):
                units = order[picked[(probability == 1) == certain]]
                if len(units):
                    weight = sizes[units] if certain else np.ones(len(units))
                    known = sizes[order][picked[probability == 1]].sum()
                    share = known if certain else sizes.sum() - known
                    pairs = np.c_[np.ones(len(units), int), right[units].astype(int)]
                    parts.append((share / total, Cell(share / total, pairs, weight, certain).agreement))
        found = combine(parts)
        values.append(found.value)
        covered += found.low <= truth <= found.high
    assert np.mean(values) == pytest.approx(truth, abs=0.004)
    assert covered / 400 >= 0.93

"""Folds of patients: nobody on both sides, stratified, the same whatever the order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.errors import DataError, InputError
from offclip.evaluation.statistics.folds import patient_folds


@st.composite
def patients(draw):
    n = draw(st.integers(5, 80))
    ids = draw(st.lists(st.integers(0, 30), min_size=n, max_size=n))
    ids[:5] = [100, 101, 102, 103, 104]
    strata = draw(st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=n, max_size=n))
    return [f"p{i}" for i in ids], np.array(strata)


@settings(derandomize=True, deadline=None)
@given(patients(), st.integers(2, 5), st.integers(0, 3))
def test_a_patient_is_in_one_fold_and_strata_are_even(case, folds, seed):
    ids, strata = case
    fold = patient_folds(ids, strata, folds, seed)
    found, largest = {}, {}
    for patient, f, stratum in zip(ids, fold, strata, strict=True):
        assert found.setdefault(patient, f) == f
        largest[patient] = max(largest.get(patient, -1.0), -1.0 if np.isnan(stratum) else stratum)
    assert set(found.values()) == set(range(folds))
    for level in (-1.0, 0.0, 1.0):
        counts = np.bincount([f for p, f in found.items() if largest[p] == level], minlength=folds)
        assert counts.max() - counts.min() <= 1


@settings(derandomize=True, deadline=None)
@given(patients(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(case, random):
    ids, strata = case
    order = list(range(len(ids)))
    random.shuffle(order)
    fold = patient_folds(ids, strata)
    assert patient_folds([ids[i] for i in order], strata[order]).tolist() == fold[order].tolist()


def test_cases_are_spread_where_patients_have_many():
    rng = np.random.default_rng(0)
    sizes = rng.geometric(0.2, 400)
    ids = np.repeat([f"p{i}" for i in range(400)], sizes)
    sick = np.repeat(rng.random(400) < 0.1, sizes).astype(float)
    fold = patient_folds(ids.tolist(), sick)
    in_fold = np.bincount(fold, sick)
    assert in_fold.max() < 1.35 * in_fold.min()


def test_columns_are_dealt_out_by_themselves_and_another_seed_gives_other_folds():
    ids = [f"p{i}" for i in range(100)]
    truth = np.random.default_rng(0).random((100, 3)) < [0.05, 0.2, 0.5]
    fold = patient_folds(ids, truth)
    for column in range(3):
        assert fold[:, column].tolist() == patient_folds(ids, truth[:, column]).tolist()
        assert np.bincount(fold[truth[:, column], column], minlength=5).min() >= truth[:, column].sum() // 5
    assert (fold != patient_folds(ids, truth, seed=1)).any()
    assert patient_folds(ids, np.empty((100, 0))).shape == (100, 0)


def test_folds_stay_the_same_over_versions():
    fold = patient_folds([f"p{i}" for i in range(10)], np.arange(10) % 2, folds=3)
    assert fold.tolist() == [2, 1, 0, 1, 1, 0, 1, 2, 2, 0]


def test_what_cannot_be_dealt_out_is_refused():
    with pytest.raises(DataError, match="3 patients are too few for 5 folds"):
        patient_folds(["a", "b", "c", "a", "b"], np.zeros(5))
    with pytest.raises(InputError, match="1 folds"):
        patient_folds(["a", "b"], np.zeros(2), folds=1)
    with pytest.raises(InputError, match="2 patients"):
        patient_folds(["a", "b"], np.zeros(3))

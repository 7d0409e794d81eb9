"""Net benefit by hand and at its known limits."""

from __future__ import annotations

import numpy as np
import pytest

from offclip.errors import DataError, InputError
from offclip.evaluation.normal.decision_curve import THRESHOLDS, at_prevalence, net_benefit


def test_the_grid_runs_from_one_to_ninety_nine_percent():
    assert len(THRESHOLDS) == 99
    assert THRESHOLDS[0] == 0.01
    assert THRESHOLDS[-1] == 0.99


def test_it_equals_the_counts_of_true_and_false_positives():
    rng = np.random.default_rng(0)
    probability = rng.random(500).round(2)
    abnormal = rng.random(500) < probability
    curve = net_benefit(probability, abnormal)
    for i, t in enumerate(THRESHOLDS):
        read = probability >= t
        tp, fp = (read & abnormal).sum(), (read & ~abnormal).sum()
        assert curve.model[i] == pytest.approx(tp / 500 - fp / 500 * t / (1 - t))
        avoided = (~read & ~abnormal).sum() - (~read & abnormal).sum() * (1 - t) / t
        assert curve.reads_avoided[i] == pytest.approx(avoided / 500)


def test_treating_all_is_worth_nothing_at_the_prevalence():
    curve = net_benefit(np.array([0.5, 0.5, 0.5, 0.5]), np.array([1, 0, 0, 0], bool), (0.25,))
    assert curve.treat_all == (0.0,)
    assert curve.model == (0.0,)


def test_a_perfect_score_finds_every_abnormal_film_at_no_cost():
    abnormal = np.array([1, 0, 0, 1, 0], bool)
    curve = net_benefit(abnormal.astype(float), abnormal)
    assert curve.model == pytest.approx([0.4] * 99)
    assert curve.reads_avoided == pytest.approx([0.6] * 99)


def test_another_prevalence_reweights_the_classes():
    probability, abnormal = np.array([0.2, 0.8, 0.6, 0.1]), np.array([0, 1, 0, 1], bool)
    curve = net_benefit(probability, abnormal, (0.5,), prevalence=0.1)
    assert curve.model[0] == pytest.approx(0.5 * 0.1 - 0.5 * 0.9)
    assert curve.treat_all[0] == pytest.approx(0.1 - 0.9)


def test_moving_the_prevalence_and_back_changes_nothing():
    probability = np.linspace(0, 1, 11)
    there = at_prevalence(probability, calibrated_at=0.4, prevalence=0.05)
    assert at_prevalence(there, calibrated_at=0.05, prevalence=0.4) == pytest.approx(probability)
    assert (there[1:-1] < probability[1:-1]).all()


def test_one_class_and_values_out_of_range_are_refused():
    with pytest.raises(DataError):
        net_benefit(np.array([0.1, 0.2]), np.array([True, True]))
    with pytest.raises(InputError):
        net_benefit(np.array([1.1, 0.2]), np.array([True, False]))
    with pytest.raises(InputError):
        net_benefit(np.array([0.1, 0.2]), np.array([True, False]), (0.0,))

"""Holm's correction against worked examples and its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.evaluation.statistics import holm


def test_a_worked_example():
    # By hand: .005 x 4, .01 x 3, .03 x 2, .04 x 1 is raised to .06.
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_test_that_could_not_be_made_stays_so_and_does_not_count():
    found = holm([0.02, np.nan, 0.01])
    assert np.isnan(found[1])
    assert found[[0, 2]].tolist() == pytest.approx([0.02, 0.02])


def test_nothing_and_one():
    assert holm([]).tolist() == []
    assert holm([0.2]).tolist() == [0.2]
    assert np.isnan(holm([np.nan])).all()


@settings(derandomize=True, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.001, 0.5))
def test_adjusted_values_reject_what_the_step_down_rejects(p_values, alpha):
    adjusted = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    rejected = np.zeros(len(p_values), bool)
    for step, index in enumerate(order):
        if p_values[index] * (len(p_values) - step) > alpha:
            break
        rejected[index] = True
    assert ((adjusted <= alpha) == rejected).all()
    assert (adjusted >= p_values).all()
    assert (adjusted <= 1).all()

"""Areas under the precision-recall curve against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from scored_examples import scored
from sklearn.metrics import auc as sklearn_area
from sklearn.metrics import average_precision_score, precision_recall_curve

from offclip.errors import DataError, InputError
from offclip.evaluation.statistics import average_precision, pr_curve, trapezoid_auprc


@settings(derandomize=True, deadline=None)
@given(scored(both_classes=False))
def test_both_areas_are_scikit_learns(case):
    scores, positive = case
    expected = average_precision_score(positive, scores)
    assert average_precision(scores, positive) == pytest.approx(expected, abs=1e-12)
    precision, recall, _ = precision_recall_curve(positive, scores)
    assert trapezoid_auprc(scores, positive) == pytest.approx(sklearn_area(recall, precision), abs=1e-12)


@settings(derandomize=True, deadline=None)
@given(scored(both_classes=False))
def test_the_curve_is_scikit_learns_from_the_other_end(case):
    precision, recall, _ = precision_recall_curve(case[1], case[0])
    found = pr_curve(*case)
    assert np.allclose(found[0], recall[::-1], atol=1e-12)
    assert np.allclose(found[1], precision[::-1], atol=1e-12)


def test_constant_scores_have_the_prevalence_as_their_precision():
    positive = np.array([True, False, False, False])
    assert average_precision(np.zeros(4), positive) == 0.25
    assert trapezoid_auprc(np.zeros(4), positive) == pytest.approx((1 + 0.25) / 2)  # the line from (0, 1)


@pytest.mark.parametrize("area", [average_precision, trapezoid_auprc])
def test_what_cannot_be_measured_is_refused(area):
    with pytest.raises(DataError, match="none among 2"):
        area(np.zeros(2), np.zeros(2, bool))
    with pytest.raises(InputError, match="1 of 2 scores are not finite"):
        area(np.array([np.nan, 1]), np.ones(2, bool))
    with pytest.raises(InputError, match="differ"):
        area(np.zeros(3), np.ones(2, bool))

"""The peers' threshold against scikit-learn; the others are tested beside the ranks."""

import numpy as np
import pytest
from hypothesis import given
from scored_examples import scored
from sklearn.metrics import roc_curve

from offclip.errors import DataError, InputError
from offclip.evaluation.statistics.thresholds import peer_youden, threshold_at_sensitivity, youden_threshold


@given(scored())
def test_the_peers_threshold_is_the_first_largest_of_scikit_learns_curve(case):
    scores, positive = case
    false, true, thresholds = roc_curve(positive, scores)
    cut = peer_youden(scores, positive)
    assert cut == thresholds[np.argmax(true - false)]
    assert cut == np.inf or cut in scores


def test_the_case_that_sets_the_peers_threshold_counts_as_negative():
    scores, positive = np.array([0.1, 0.2, 0.3, 0.8, 0.9]), np.array([0, 0, 0, 1, 1], bool)
    cut = peer_youden(scores, positive)
    assert cut == youden_threshold(scores, positive) == 0.8
    assert ((scores > cut) == positive).mean() == 0.8
    assert ((scores >= cut) == positive).mean() == 1.0


def test_a_useless_score_gives_the_peers_no_positive_at_all():
    scores, positive = np.array([0.9, 0.8, 0.2, 0.1]), np.array([0, 0, 1, 1], bool)
    assert peer_youden(scores, positive) == np.inf
    assert not (scores > peer_youden(scores, positive)).any()


@pytest.mark.parametrize("select", [peer_youden, youden_threshold, threshold_at_sensitivity])
def test_thresholds_refuse_what_is_no_score(select):
    with pytest.raises(InputError, match="1 of 3 scores are not finite"):
        select(np.array([0.1, np.nan, 0.3]), np.array([True, False, True]))


@pytest.mark.parametrize("positive", [[True, True], [False, False]])
def test_the_peers_threshold_needs_both_classes(positive):
    with pytest.raises(DataError, match="both classes"):
        peer_youden(np.array([1.0, 2.0]), np.array(positive))

"""IoU, Dice, contrast-to-noise ratio and energy: maps done by hand, and scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score

from offclip.errors import InputError
from offclip.grounding.localisation import CUTS, Cut, best_cut, contrast, overlap, overlaps
from offclip.grounding.regions import Box, union
from offclip.images.geometry import Letterbox

HEAT = np.array([[4.0, 2.0, 0.0], [1.0, 0.0, -1.0]])
TRUTH = np.array([[True, True, False], [False, False, False]])


def test_the_measures_of_a_hand_made_map():
    assert Cut("range", 0.6).of(HEAT).astype(int).tolist() == [[1, 1, 0], [0, 0, 0]]  # from 2 on
    assert Cut("quantile", 0.8).of(HEAT).astype(int).tolist() == [[1, 1, 0], [0, 0, 0]]
    assert Cut("quantile", 0.5).value(HEAT.ravel()) == 0.5
    assert overlap(Cut("range", 0.9).of(HEAT), TRUTH).iou == 1 / 2
    assert overlap(Cut("range", 0.9).of(HEAT), TRUTH).dice == 2 / 3
    found = contrast(HEAT, TRUTH)
    # Inside 4 and 2: mean 3, variance 1. Outside 0, 1, 0, -1: mean 0, variance 1/2.
    assert found.cnr == pytest.approx(3 / math.sqrt(1.5))
    assert found.energy == pytest.approx(6 / 7)  # the -1 counts as nothing
    assert found.area == pytest.approx(2 / 6)
    assert contrast(-HEAT, TRUTH).cnr == -found.cnr


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(CUTS))
def test_overlaps_are_those_of_scikit_learn(seed, cut):
    rng = np.random.default_rng(seed)
    heat, truth = rng.normal(size=(9, 7)), rng.random((9, 7)) < 0.3
    truth[0, 0] = True
    (found,) = overlaps(heat, truth, [cut])
    labels = cut.of(heat).ravel(), truth.ravel()
    assert found.iou == pytest.approx(jaccard_score(labels[1], labels[0]), abs=1e-12)
    assert found.dice == pytest.approx(f1_score(labels[1], labels[0]), abs=1e-12)


def test_all_cuts_at_once_are_each_cut_by_itself():
    rng = np.random.default_rng(2)
    heat = rng.integers(-3, 9, (40, 30)).astype(np.float32) / 7  # many ties
    heat[:3] = np.nan
    truth = rng.random((40, 30)) < 0.2
    for cut, found in zip(CUTS, overlaps(heat, truth), strict=True):
        assert found == overlap(cut.of(heat), truth & ~np.isnan(heat)), cut


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_contrast_is_the_formula_and_does_not_look_at_the_scale(seed):
    rng = np.random.default_rng(seed)
    heat, truth = rng.normal(size=(9, 7)), rng.random((9, 7)) < 0.3
    truth[0, 0], truth[0, 1] = True, False
    inside, outside = heat[truth], heat[~truth]
    expected = (np.mean(inside) - np.mean(outside)) / np.sqrt(np.var(inside) + np.var(outside))
    assert contrast(heat, truth).cnr == pytest.approx(expected, abs=1e-10)
    assert contrast(3 * heat + 5, truth).cnr == pytest.approx(expected, abs=1e-10)
    positive = np.maximum(heat, 0)
    assert contrast(heat, truth).energy == pytest.approx(positive[truth].sum() / positive.sum())


def test_pixels_that_the_model_did_not_see_do_not_count():
    heat = np.pad(HEAT, 2, constant_values=np.nan)
    truth = np.pad(TRUTH, 2, constant_values=True)
    assert contrast(heat, truth) == contrast(HEAT, TRUTH)
    assert overlaps(heat, truth) == overlaps(HEAT, TRUTH)
    assert not Cut("range", 0.1).of(heat)[0].any()


def test_a_region_that_was_not_seen_has_no_value():
    heat, truth = np.array([[1.0, 2.0, np.nan]]), np.array([[False, False, True]])
    assert all(math.isnan(o.iou) and math.isnan(o.dice) for o in overlaps(heat, truth))
    found = contrast(heat, truth)
    assert math.isnan(found.cnr)
    assert math.isnan(found.energy)
    assert math.isnan(found.area)


def test_a_constant_map_is_worth_its_chance():
    for value in (0.1, 0.0, -2.0):
        heat = np.full((4, 5), value, np.float32)
        truth = np.zeros((4, 5), bool)
        truth[:2, 0] = True
        found = contrast(heat, truth)
        assert found.cnr == 0
        assert found.energy == pytest.approx(found.area) == pytest.approx(0.1)
        assert {o.iou for o in overlaps(heat, truth)} == {0.1}  # all of it is found, at every cut


def test_contrast_without_noise_or_without_an_outside_has_no_value():
    assert math.isnan(contrast(np.array([[1.0, 0.0]]), np.array([[True, False]])).cnr)
    whole = contrast(HEAT, np.ones_like(TRUTH))
    assert math.isnan(whole.cnr)
    assert whole.energy == whole.area == 1


def test_cells_become_pixels_before_they_are_compared():
    """The largest cell of four, on an image twice as wide as high, whose padding the map covers too."""
    geometry = Letterbox.of(height=50, width=100, size=64)
    heat = np.zeros((4, 4), np.float32)
    heat[1, 0] = 1  # rows 16 to 32 of the square: the upper half of the image, its left quarter
    on_image = geometry.map_to_original(heat, outside=np.nan)
    truth = union([Box("mass", 0, 0, 25, 25)], 50, 100)
    found = overlap(Cut("range", 0.5).of(on_image), truth)
    # By hand: a pixel is .64 of the square; the cell's centre is (8, 24), and values fall to 0 within 16.
    hot = np.zeros((50, 100), bool)
    for row, column in np.ndindex(50, 100):
        x, y = (column + 0.5) * 0.64, (row + 0.5) * 0.64 + 16
        value = max(0, 1 - max(0, x - 8) / 16) * max(0, 1 - abs(y - 24) / 16)
        hot[row, column] = value >= 0.5 * on_image.max()
    assert found == overlap(hot, truth)
    assert 0.7 < found.iou < 0.9  # the corners of the cell are rounded
    assert contrast(on_image, truth).energy > 0.5


def test_the_best_cut_weighs_every_finding_alike():
    iou = np.array([[0.9, 0.0], [0.2, 0.6], [0.2, 0.6], [np.nan, np.nan]])
    assert best_cut(iou, ["mass", "nodule", "nodule", "edema"]) == 0  # .55 against .30
    assert best_cut(iou, ["mass", "mass", "mass", "mass"]) == 0  # .433 against .4
    assert best_cut(iou[1:], ["mass", "mass", "mass"]) == 1
    with pytest.raises(InputError, match="No region"):
        best_cut(iou[3:], ["edema"])


def test_a_map_of_another_size_is_refused():
    with pytest.raises(InputError, match="original pixels"):
        contrast(HEAT, TRUTH[:1])

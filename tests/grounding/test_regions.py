"""Boxes and masks as pixels, and how far a point is from them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.errors import InputError
from offclip.grounding.regions import Box, Mask, union

MASKS = st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=6).map(
    lambda rows: Mask("mass", np.array(rows, bool))
)
POINTS = st.floats(-4, 12)


def test_a_box_covers_the_pixels_whose_centre_it_holds():
    covered = Box("mass", 1.5, 0.4, 2.0, 1.2).pixels(4, 5)
    expected = np.zeros((4, 5), bool)
    expected[0:2, 1:4] = True  # centres 1.5, 2.5 and 3.5, and 0.5 and 1.5
    assert (covered == expected).all()


def test_a_box_between_the_centres_covers_the_pixel_under_its_own():
    assert np.argwhere(Box("nodule", 2.6, 1.7, 0.1, 0.2).pixels(4, 5)).tolist() == [[1, 2]]
    assert not Box("nodule", 8.6, 1.7, 0.1, 0.2).pixels(4, 5).any()
    assert not Box("nodule", -3, -3, 2, 2).pixels(4, 5).any()


@settings(derandomize=True, deadline=None)
@given(st.floats(-3, 8), st.floats(-3, 8), st.floats(1.01, 9), st.floats(1.01, 9))
def test_pixels_of_a_box_are_those_a_loop_finds(x, y, width, height):
    box = Box("mass", x, y, width, height)
    expected = [[box.holds(c + 0.5, r + 0.5) for c in range(6)] for r in range(5)]
    assert box.pixels(5, 6).tolist() == expected


@settings(derandomize=True, deadline=None)
@given(MASKS, POINTS, POINTS, st.floats(0.01, 6))
def test_reach_of_a_mask_is_the_distance_to_its_nearest_square(mask, x, y, reach):
    distances = [
        math.hypot(max(c - x, 0, x - c - 1), max(r - y, 0, y - r - 1)) for r, c in np.argwhere(mask.covered)
    ]
    nearest = min(distances, default=math.inf)
    if abs(nearest - reach) > 1e-9:
        assert mask.holds(x, y, reach) == (nearest <= reach)
    assert mask.holds(x, y, reach) or not mask.holds(x, y)


def test_reach_of_a_box_goes_around_its_corners():
    box = Box("mass", 10, 10, 5, 5)
    assert box.holds(18, 19, reach=5)  # 3 and 4 away
    assert not box.holds(18, 19, reach=4.99)
    assert box.holds(12, 16, reach=1)
    assert not box.holds(12, 16)


def test_the_far_edges_of_a_mask_belong_to_its_last_pixels():
    mask = Mask("mass", np.array([[False, True]]))
    assert mask.holds(2.0, 1.0)
    assert not mask.holds(0.99, 0.5)
    assert not mask.holds(2.01, 0.5)


def test_a_union_is_of_boxes_and_masks():
    mask = Mask("mass", np.eye(3, dtype=bool))
    covered = union([mask, Box("mass", 2, 0, 1, 1)], 3, 3)
    assert covered.astype(int).tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    assert mask.covered.sum() == 3  # not written into


def test_masks_of_another_size_or_type_are_refused():
    with pytest.raises(InputError, match="3 x 3 pixels on an image of 4 x 3"):
        union([Mask("mass", np.eye(3, dtype=bool))], 4, 3)
    for wrong in (np.eye(3), np.zeros(3, bool)):
        with pytest.raises(InputError, match="Give"):
            Mask("mass", wrong)

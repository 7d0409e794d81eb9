"""The pointing game."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from offclip.data.loader import PixelStore
from offclip.errors import InputError
from offclip.grounding.maps import heat_maps
from offclip.grounding.pointing import Box, Pointing, point
from offclip.images.geometry import Letterbox

SQUARE = Letterbox.of(100, 100, 64)
BOXES = st.builds(
    Box, st.just("nodule"), st.floats(-50, 250), st.floats(-50, 250), st.floats(0.1, 200), st.floats(0.1, 200)
)


def peak(row: int, column: int, shape=(4, 4)) -> np.ndarray:
    heat = np.zeros(shape)
    heat[row, column] = 1
    return heat


def test_a_hand_made_map_hits_and_misses():
    box = Box("nodule", 50, 0, 25, 25)  # the third cell of the first row
    assert point(peak(0, 2), SQUARE, [box]) == Pointing(1.0, 1 / 16)
    for row, column in ((0, 1), (0, 3), (1, 2), (2, 0)):
        assert point(peak(row, column), SQUARE, [box]).hit == 0


@given(st.integers(1, 300), st.integers(1, 300), st.lists(BOXES, min_size=1, max_size=3), st.integers(2, 9))
def test_a_constant_map_scores_exactly_its_chance(height, width, boxes, cells):
    assume(max(height, width) <= min(height, width) * (cells - 1))  # or else no cell may lie over the image
    played = point(np.full((cells, cells), -2.5), Letterbox.of(height, width, 64), boxes)
    assert played.hit == played.chance
    assert 0 <= played.chance <= 1


def test_tied_cells_count_as_if_one_were_drawn():
    heat = peak(0, 0) + peak(0, 1) + peak(3, 3)
    assert point(heat, SQUARE, [Box("nodule", 0, 0, 25, 25)]).hit == pytest.approx(1 / 3)
    assert point(heat, SQUARE, [Box("nodule", 0, 0, 50, 25)]).hit == pytest.approx(2 / 3)


def test_any_box_of_the_finding_counts_and_none_counts_twice():
    left, right = Box("nodule", 0, 0, 25, 25), Box("nodule", 75, 75, 25, 25)
    assert point(peak(3, 3), SQUARE, [left, right]) == Pointing(1.0, 2 / 16)
    assert point(peak(3, 3), SQUARE, [right, right]).chance == 1 / 16


def test_the_padding_of_a_letterboxed_image_is_left_out():
    wide = Letterbox.of(height=100, width=200, size=64)  # rows 16 to 48 of the square hold the image
    box = Box("nodule", 50, 0, 50, 50)
    heat = peak(1, 1) * 2 + peak(0, 1) * 9  # the larger value lies in the black above the image
    assert point(heat, wide, [box]) == Pointing(1.0, 1 / 8)


def test_a_box_in_a_tall_image_is_found_in_original_pixels():
    tall = Letterbox.of(height=3000, width=1500, size=64)
    box = Box("nodule", 800, 2300, 600, 600)
    assert point(peak(3, 2), tall, [box]).hit == 1
    assert point(peak(3, 1), tall, [box]).hit == 0


def test_a_box_outside_the_image_cannot_be_hit():
    assert point(np.ones((4, 4)), SQUARE, [Box("nodule", 150, 150, 20, 20)]) == Pointing(0.0, 0.0)


def test_no_box_and_maps_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="no box"):
        point(np.ones((4, 4)), SQUARE, [])
    for value in (np.nan, np.inf):
        with pytest.raises(InputError, match="not finite"):
            point(np.full((4, 4), value), SQUARE, [Box("nodule", 0, 0, 9, 9)])


def test_an_image_so_narrow_that_it_lies_between_the_cells_is_refused():
    with pytest.raises(InputError, match="3 x 900 pixels lies between the 4 x 4 cells"):
        point(np.ones((4, 4)), Letterbox.of(3, 900, 64), [Box("nodule", 0, 0, 9, 9)])


def test_maps_come_with_the_row_of_their_image(tiny_model):
    squares = np.random.default_rng(0).integers(0, 256, (5, 32, 32), np.uint8)
    store = PixelStore(tuple("abcde"), squares, (Letterbox.of(32, 32, 32),) * 5)
    prompts = ["There is a nodule.", "There is no finding."]
    together = dict(heat_maps(tiny_model(), store, [4, 0, 2], prompts, batch_size=2))
    assert list(together) == [4, 0, 2]
    for row, maps in together.items():
        ((_, alone),) = heat_maps(tiny_model(), store, [row], prompts)
        assert maps.shape == alone.shape == (2, 4, 4)
        assert np.allclose(maps, alone, atol=1e-5)

"""Coordinates and maps go back to the original pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offclip.errors import InputError
from offclip.images.geometry import Letterbox

SIDES = st.integers(1, 5000)


@given(SIDES, SIDES, st.integers(1, 1024), st.floats(0, 1), st.floats(0, 1))
def test_there_and_back_is_exact(height, width, size, u, v):
    geometry = Letterbox.of(height, width, size)
    x, y = geometry.to_original(*geometry.to_square(u * width, v * height))
    assert x == pytest.approx(u * width, abs=1e-9 * max(1, width))
    assert y == pytest.approx(v * height, abs=1e-9 * max(1, height))


@given(SIDES, SIDES, st.integers(1, 1024))
def test_the_image_lies_inside_the_square_and_touches_two_sides(height, width, size):
    geometry = Letterbox.of(height, width, size)
    left, top = geometry.to_square(0, 0)
    right, bottom = geometry.to_square(width, height)
    assert 0 <= left < right <= size
    assert 0 <= top < bottom <= size
    assert size in (geometry.inner_width, geometry.inner_height)
    assert abs((left + right) / 2 - size / 2) <= 0.5
    assert abs((top + bottom) / 2 - size / 2) <= 0.5


@pytest.mark.parametrize(("height", "width"), [(64, 64), (100, 200), (300, 100), (37, 53), (1, 9)])
def test_a_map_comes_back_at_the_size_of_the_image(height, width):
    geometry = Letterbox.of(height, width, 64)
    back = geometry.map_to_original(np.ones((8, 8)))
    assert back.shape == (height, width)
    assert back.dtype == np.float32
    assert np.allclose(back, 1)


@pytest.mark.parametrize(("height", "width"), [(320, 320), (320, 480), (800, 400)])
def test_the_peak_of_a_map_comes_back_to_where_its_cell_lies(height, width):
    geometry = Letterbox.of(height, width, 64)
    heat = np.zeros((8, 8))
    heat[3, 5] = 1
    x, y = geometry.to_original(5.5 * 8, 3.5 * 8)
    row, column = np.unravel_index(geometry.map_to_original(heat).argmax(), (height, width))
    assert abs(row + 0.5 - y) <= 4 / geometry.scale * 0.5 + 1
    assert abs(column + 0.5 - x) <= 4 / geometry.scale * 0.5 + 1


@pytest.mark.parametrize("sizes", [(0, 5, 5), (5, 0, 5), (5, 5, 0), (-1, 5, 5)])
def test_sizes_below_one_pixel_are_refused(sizes):
    with pytest.raises(InputError, match="Image"):
        Letterbox.of(*sizes)

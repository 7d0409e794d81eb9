"""Coordinates, boxes and heat maps go back to the original pixels."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.errors import InputError
from offclip.images.geometry import Letterbox, Rectangle
from offclip.images.preprocess import Preprocess

SIDES = st.integers(1, 5000)
SHARES = st.floats(0, 1)
ASPECTS = st.floats(0.2, 5)


@st.composite
def records(draw):
    height, width = draw(SIDES), draw(SIDES)
    if draw(st.booleans()):
        return Letterbox.carzero(height, width)
    return Letterbox.of(height, width, draw(st.integers(1, 1024)), draw(ASPECTS))


@given(records(), SHARES, SHARES)
@settings(derandomize=True, deadline=None)
def test_a_point_there_and_back_is_exact(geometry, u, v):
    x, y = geometry.to_original(*geometry.to_square(u * geometry.width, v * geometry.height))
    assert x == pytest.approx(u * geometry.width, abs=1e-8 * geometry.width)
    assert y == pytest.approx(v * geometry.height, abs=1e-8 * geometry.height)


@given(records(), SHARES, SHARES)
@settings(derandomize=True, deadline=None)
def test_a_point_of_the_square_there_and_back_is_exact(geometry, u, v):
    x, y = geometry.to_square(*geometry.to_original(u * geometry.size, v * geometry.size))
    assert x == pytest.approx(u * geometry.size, abs=1e-8 * max(geometry.size, abs(geometry.pad_left)))
    assert y == pytest.approx(v * geometry.size, abs=1e-8 * max(geometry.size, abs(geometry.pad_top)))


@given(records(), st.tuples(SHARES, SHARES), st.tuples(SHARES, SHARES))
@settings(derandomize=True, deadline=None)
def test_a_box_comes_back_as_far_as_it_was_visible(geometry, across, down):
    left, right = sorted(share * geometry.width for share in across)
    top, bottom = sorted(share * geometry.height for share in down)
    shown, view = geometry.box_to_square(Rectangle(left, top, right - left, bottom - top)), geometry.visible
    left, right = max(left, view.x), min(right, view.x + view.width)
    top, bottom = max(top, view.y), min(bottom, view.y + view.height)
    if shown is None:
        assert right - left <= 1e-6 or bottom - top <= 1e-6
        return
    assert shown.x >= 0
    assert shown.y >= 0
    assert shown.x + shown.width <= geometry.size + 1e-9
    assert shown.y + shown.height <= geometry.size + 1e-9
    back = geometry.box_to_original(shown)
    if back is None:
        assert right - left <= 1e-6 or bottom - top <= 1e-6
        return
    edges = (back.x, back.y, back.x + back.width, back.y + back.height)
    assert edges == pytest.approx((left, top, right, bottom), abs=1e-6)


@given(SIDES, SIDES, st.integers(1, 1024), ASPECTS)
@settings(derandomize=True, deadline=None)
def test_a_letterbox_lies_inside_the_square_and_touches_two_sides(height, width, size, aspect):
    geometry = Letterbox.of(height, width, size, aspect)
    left, top = geometry.to_square(0, 0)
    right, bottom = geometry.to_square(width, height)
    assert 0 <= left < right <= size
    assert 0 <= top < bottom <= size
    assert size in (geometry.inner_width, geometry.inner_height)
    assert abs((left + right) / 2 - size / 2) <= 0.5
    assert abs((top + bottom) / 2 - size / 2) <= 0.5
    assert geometry.visible == Rectangle(0, 0, pytest.approx(width), pytest.approx(height))
    true_proportion = height * aspect / width
    allowed = 0.5 / min(geometry.inner_height, geometry.inner_width)
    if min(geometry.inner_height, geometry.inner_width) > 1:
        shown_proportion = geometry.inner_height / geometry.inner_width
        assert abs(math.log(shown_proportion / true_proportion)) <= 1.1 * allowed + 1e-9


def test_pixels_that_are_not_square_are_shown_with_their_true_proportions():
    # 100 x 100 pixels, each twice as high as wide: an image twice as high as wide.
    assert Letterbox.of(100, 100, 64, aspect=2.0) == Letterbox(100, 100, 64, 64, 32, 0, 16)
    assert Letterbox.of(100, 100, 64, aspect=0.5) == Letterbox(100, 100, 64, 32, 64, 16, 0)


@pytest.mark.parametrize(
    ("shape", "inner", "pads"),
    [
        ((3000, 2500), (256, 213), (-16, 5)),  # pad 43: 21 columns before, 22 after, 16 cut off
        ((2500, 3000), (213, 256), (5, -16)),
        ((256, 256), (256, 256), (-16, -16)),
        ((100, 1000), (25, 256), (99, -16)),
        ((1, 1000), (1, 256), (111, -16)),  # the peers fail here: their shorter side becomes 0
    ],
)
def test_the_geometry_of_carzero(shape, inner, pads):
    geometry = Letterbox.carzero(*shape)
    assert (geometry.inner_height, geometry.inner_width) == inner
    assert (geometry.pad_top, geometry.pad_left) == pads


def test_what_carzero_cuts_off_is_not_visible():
    geometry = Letterbox.carzero(2560, 2560)
    assert geometry.visible == Rectangle(160, 160, 2240, 2240)
    assert geometry.box_to_square(Rectangle(0, 0, 159, 2560)) is None
    assert geometry.box_to_square(Rectangle(0, 0, 2560, 2560)) == Rectangle(0, 0, 224, 224)
    back = geometry.map_to_original(np.ones((14, 14)), outside=-1)
    assert (back[160:2400, 160:2400] == 1).all()
    assert back.sum() == pytest.approx(2240**2 - (2560**2 - 2240**2))


def test_a_box_in_the_padding_does_not_come_back():
    geometry = Letterbox.of(100, 200, 64)  # rows 16 to 48 hold the image
    assert geometry.box_to_original(Rectangle(10, 2, 20, 14)) is None
    assert geometry.box_to_original(Rectangle(0, 0, 64, 64)) == Rectangle(0, 0, 200, 100)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (100, 200), (300, 100), (37, 53), (1, 9), (1, 1)])
@pytest.mark.parametrize("cells", [(1, 1), (8, 8), (14, 7), (200, 300)])
def test_a_constant_map_stays_constant(height, width, cells):
    back = Letterbox.of(height, width, 64).map_to_original(np.full(cells, 3.0))
    assert back.shape == (height, width)
    assert back.dtype == np.float32
    assert np.allclose(back, 3)


@given(records(), st.integers(1, 40), st.integers(1, 40), SHARES, SHARES)
@settings(derandomize=True, deadline=None, max_examples=150)
def test_the_peak_of_a_map_comes_back_to_half_a_pixel_of_the_coarser_grid(geometry, rows, columns, u, v):
    row, column = min(int(u * rows), rows - 1), min(int(v * columns), columns - 1)
    x, y = geometry.to_original((column + 0.5) * geometry.size / columns, (row + 0.5) * geometry.size / rows)
    if not (0 <= x <= geometry.width and 0 <= y <= geometry.height):
        return  # the centre of the cell lies in the padding
    heat = np.zeros((rows, columns))
    heat[row, column] = 1
    back = geometry.map_to_original(heat)
    found_y, found_x = np.unravel_index(back.argmax(), back.shape)
    cell_width = geometry.size / columns * geometry.width / geometry.inner_width
    cell_height = geometry.size / rows * geometry.height / geometry.inner_height
    assert abs(found_x + 0.5 - x) <= 0.5 * max(1, cell_width) + 1e-6 * geometry.width
    assert abs(found_y + 0.5 - y) <= 0.5 * max(1, cell_height) + 1e-6 * geometry.height


@pytest.mark.parametrize("preprocess", [Preprocess(224), Preprocess(96), Preprocess.carzero()])
@pytest.mark.parametrize(
    ("height", "width", "aspect"), [(700, 500, 1.0), (411, 823, 1.0), (300, 640, 1.7), (90, 70, 1)]
)
@pytest.mark.parametrize(("u", "v"), [(0.5, 0.5), (0.3, 0.62), (0.71, 0.35)])
def test_the_record_agrees_with_what_the_pixels_do(preprocess, height, width, aspect, u, v):
    x, y, spread = u * width, v * height, min(height, width) / 25
    rows, columns = np.mgrid[:height, :width] + 0.5
    blob = 250 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * spread**2))
    square, geometry = preprocess.fit(blob.round().astype(np.uint8), aspect)
    rows, columns = np.mgrid[: geometry.size, : geometry.size] + 0.5
    weight = square / square.sum(dtype=float)
    expected_x, expected_y = geometry.to_square(x, y)
    assert (weight * columns).sum() == pytest.approx(expected_x, abs=0.05)
    assert (weight * rows).sum() == pytest.approx(expected_y, abs=0.05)
    back = geometry.map_to_original(square.astype(float))
    rows, columns = np.mgrid[:height, :width] + 0.5
    weight = back / back.sum(dtype=float)
    assert (weight * columns).sum() == pytest.approx(x, abs=0.5)
    assert (weight * rows).sum() == pytest.approx(y, abs=0.5)


@pytest.mark.parametrize(
    "sizes", [(0, 5, 5), (5, 0, 5), (5, 5, 0), (-1, 5, 5), (5, 5, 5, 0.0), (5, 5, 5, math.nan)]
)
def test_sizes_and_aspects_that_cannot_be_are_refused(sizes):
    with pytest.raises(InputError, match=r"Image|aspect"):
        Letterbox.of(*sizes)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_carzero_refuses_an_empty_image(shape):
    with pytest.raises(InputError, match="at least one pixel"):
        Letterbox.carzero(*shape)

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
    kind = draw(st.sampled_from(["of", "carzero", "crop", "squash"]))
    if kind == "carzero":
        return Letterbox.carzero(height, width)
    if kind == "of":
        return Letterbox.of(height, width, draw(st.integers(1, 1024)), draw(ASPECTS))
    size = draw(st.integers(1, 320))
    resized, rounding = size + draw(st.integers(0, 70)), draw(st.sampled_from(["even", "down"]))
    if kind == "squash":
        return Letterbox.squash(height, width, resized, size, rounding)
    return Letterbox.crop(height, width, resized, size, draw(st.floats(0.95, 1.05)), rounding)


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


@given(SIDES, SIDES, st.integers(1, 320), st.integers(0, 70), st.sampled_from(["even", "down"]))
@settings(derandomize=True, deadline=None)
def test_a_crop_fills_the_square_with_true_proportions(height, width, size, more, rounding):
    geometry = Letterbox.crop(height, width, size + more, size, rounding=rounding)
    left, top = geometry.to_square(0, 0)
    right, bottom = geometry.to_square(width, height)
    assert left <= 0 < size <= right
    assert top <= 0 < size <= bottom
    assert abs((left + right) / 2 - size / 2) <= 0.5
    assert abs((top + bottom) / 2 - size / 2) <= 0.5
    view, short = geometry.visible, min(height, width) * size / (size + more)
    assert min(view.width, view.height) == pytest.approx(short)
    # The longer side is rounded down to whole pixels of the square, so it shows up to one of them more.
    assert short * (1 - 1e-9) <= max(view.width, view.height) <= short * (1 + 1 / (size + more)) + 1e-9
    assert geometry.box_to_square(view) == Rectangle(
        pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-6), pytest.approx(size), pytest.approx(size)
    )


def test_a_crop_of_pixels_that_are_not_square_has_true_proportions():
    assert Letterbox.crop(100, 100, 64, 64, aspect=2.0) == Letterbox(100, 100, 64, 128, 64, -32, 0)
    assert Letterbox.crop(100, 100, 64, 64, aspect=0.5) == Letterbox(100, 100, 64, 64, 128, 0, -32)


@pytest.mark.parametrize(("rounding", "pad"), [("even", -2), ("down", -1)])
def test_where_half_a_pixel_of_the_crop_goes(rounding, pad):
    assert Letterbox.crop(13, 10, 10, 10, rounding=rounding).pad_top == pad
    assert Letterbox.squash(40, 50, 13, 10, rounding).pad_left == pad


@pytest.mark.parametrize(("height", "width"), [(1, 5000), (5000, 1), (700, 499), (1, 1)])
@pytest.mark.parametrize("kind", [Letterbox.crop, Letterbox.squash])
def test_maps_of_films_of_any_shape_come_back_as_far_as_they_were_visible(kind, height, width):
    geometry = kind(height, width, resized=224, size=224)
    back = geometry.map_to_original(np.full((7, 7), 3.0), outside=-1)
    view = geometry.visible
    rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width) + 0.5
    inside = np.minimum(
        np.minimum(rows - view.y, view.y + view.height - rows),
        np.minimum(columns - view.x, view.x + view.width - columns),
    )
    assert (inside > -1e-6).any()
    assert np.allclose(back[inside > 1e-6], 3)
    assert (back[inside < -1e-6] == -1).all()


@pytest.mark.parametrize(("height", "width"), [(1, 5000), (5000, 1), (1, 4), (1, 1)])
def test_a_map_of_less_than_a_pixel_comes_back_to_the_pixels_that_it_shows(height, width):
    geometry = Letterbox.crop(height, width, resized=256, size=224)
    back = geometry.map_to_original(np.full((7, 7), 3.0), outside=-1).ravel()
    middle = slice((back.size - 1) // 2, back.size // 2 + 1)  # one pixel, or two of an even number
    assert np.allclose(back[middle], 3)
    assert (np.delete(back, middle) == -1).all()


@pytest.mark.parametrize("kind", [Letterbox.crop, Letterbox.squash, Letterbox.carzero])
def test_an_image_that_is_resized_to_less_than_the_square_is_refused(kind):
    with pytest.raises(InputError, match="resized to 223, square 224"):
        kind(300, 200, resized=223, size=224)


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
    if min(geometry.visible.width, geometry.visible.height) < 1:
        return  # all cells lie in the same one or two pixels
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


@given(
    st.integers(40, 400),
    st.integers(40, 400),
    st.sampled_from(["crop", "squash", "letterbox"]),
    st.sampled_from(["area", "bicubic", "bilinear", "lanczos", "hamming"]),
    st.integers(0, 9),
    SHARES,
    SHARES,
)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_a_bright_spot_lands_where_the_record_says(height, width, geometry, resample, more, u, v):
    resized = None if geometry == "letterbox" else 48 + more
    preprocess = Preprocess(48, geometry=geometry, resample=resample, resized=resized)
    view = preprocess.fit(np.zeros((height, width), np.uint8))[1].visible
    spread = min(height, width) / 16
    x = view.x + 3.5 * spread + u * (view.width - 7 * spread)
    y = view.y + 3.5 * spread + v * (view.height - 7 * spread)
    rows, columns = np.mgrid[:height, :width] + 0.5
    spot = 250 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * spread**2))
    square, record = preprocess.fit(spot.round().astype(np.uint8))
    rows, columns = np.mgrid[:48, :48] + 0.5
    weight = square / square.sum(dtype=float)
    assert ((weight * columns).sum(), (weight * rows).sum()) == pytest.approx(
        record.to_square(x, y), abs=0.15
    )


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

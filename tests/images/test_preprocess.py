"""From grey pixels to a model's input."""

import numpy as np
import pytest
import torch

from offclip.images.preprocess import Preprocess


def test_an_image_of_the_right_size_stays_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    square, geometry = Preprocess(32).fit(pixels)
    assert np.array_equal(square, pixels)
    assert (geometry.pad_top, geometry.pad_left) == (0, 0)


@pytest.mark.parametrize("shape", [(40, 80), (80, 40), (7, 300), (1, 1), (3, 40_000), (10, 10)])
def test_the_padding_is_black_and_the_image_is_not(shape):
    square, geometry = Preprocess(32).fit(np.full(shape, 200, np.uint8))
    rows = slice(geometry.pad_top, geometry.pad_top + geometry.inner_height)
    columns = slice(geometry.pad_left, geometry.pad_left + geometry.inner_width)
    assert (square[rows, columns] == 200).all()
    assert square.sum(dtype=int) == 200 * geometry.inner_height * geometry.inner_width
    assert (geometry.height, geometry.width) == shape


def test_shrinking_is_a_mean_over_areas_without_aliasing():
    lines = np.zeros((64, 64), np.uint8)
    lines[::2] = 200
    square, _ = Preprocess(16).fit(lines)
    assert (square == 100).all()


def test_a_mark_lands_where_the_geometry_says():
    pixels = np.zeros((100, 60), np.uint8)
    pixels[70:80, 10:20] = 255
    square, geometry = Preprocess(50).fit(pixels)
    x, y = geometry.to_square(15, 75)
    assert square[int(y), int(x)] == 255
    assert square.sum(dtype=int) == pytest.approx(255 * 100 / 4, rel=0.05)


def test_normalise():
    squares = torch.tensor([[[0, 255], [51, 102]]], dtype=torch.uint8)
    out = Preprocess(2, mean=0.2, std=0.5).normalise(squares)
    assert out.shape == (1, 1, 2, 2)
    assert out.dtype == torch.float32
    assert torch.allclose(out[0, 0], torch.tensor([[-0.4, 1.6], [0.0, 0.4]]))
    assert squares[0, 0, 1] == 255

"""From grey pixels to a model's input."""

import dataclasses
import json
import subprocess
import sys

import cv2
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


def peers_recipe(pixels):
    """The peers' preprocessing, written from its description and not from ours."""
    rows, columns = pixels.shape
    long = max(rows, columns)
    if rows >= columns:
        size = (int(float(columns) * float(256 / float(long))), 256)
    else:
        size = (256, int(float(rows) * float(256 / float(long))))
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    down, across = 256 - resized.shape[0], 256 - resized.shape[1]
    padded = np.pad(
        resized,
        ((down // 2, down - down // 2), (across // 2, across - across // 2)),
        mode="constant",
        constant_values=0,
    )
    return padded[16:240, 16:240]


@pytest.mark.parametrize(
    "shape",
    [
        (700, 500),
        (500, 700),
        (256, 256),
        (224, 224),
        (301, 300),
        (2048, 2500),
        (90, 1000),
        (1000, 37),
        (64, 50),
    ],
)
def test_carzero_gives_the_pixels_of_the_peers_bit_by_bit(shape):
    pixels = np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)
    square, _ = Preprocess.carzero().fit(pixels, aspect=1.3)
    expected = peers_recipe(pixels)
    assert np.array_equal(square, expected)
    ours = Preprocess.carzero().normalise(torch.from_numpy(square)[None])
    theirs = (torch.from_numpy(expected.copy()).float() / 255 - 0.4978) / 0.2449
    assert torch.equal(ours[0, 0], theirs)


def test_pixels_that_are_not_square_are_stretched():
    pixels = np.full((40, 40), 200, np.uint8)
    square, geometry = Preprocess(32).fit(pixels, aspect=0.5)
    assert (geometry.inner_height, geometry.inner_width) == (16, 32)
    assert (square[8:24] == 200).all()
    assert square.sum(dtype=int) == 200 * 16 * 32


def test_an_axis_that_shrinks_beside_one_that_grows_is_not_aliased():
    lines = np.zeros((64, 16), np.uint8)
    lines[::2] = 200
    square, geometry = Preprocess(32).fit(lines, aspect=0.25)
    assert (geometry.inner_height, geometry.inner_width) == (32, 32)
    assert (square == 100).all()


def test_the_square_does_not_share_memory_with_the_film():
    pixels = np.full((32, 32), 7, np.uint8)
    pixels.flags.writeable = False
    square, _ = Preprocess(32).fit(pixels)
    square[:] = 0
    assert (pixels == 7).all()


def test_neither_reading_nor_preprocessing_imports_torch_or_pydicom():
    code = (
        "import sys, offclip.images, offclip.images.preprocess, offclip.images.raster;"
        "sys.exit(str([m for m in ('torch', 'pydicom') if m in sys.modules]) if"
        " {'torch', 'pydicom'} & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_itself_imports_no_numpy():
    code = "import sys, offclip.images; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_travels_in_a_card():
    for preprocess in (Preprocess.carzero(), Preprocess(64)):
        card = json.loads(json.dumps(dataclasses.asdict(preprocess)))
        assert Preprocess(**card) == preprocess
    assert Preprocess(**{"size": 64, "mean": 0.5, "std": 0.25}) == Preprocess(64)  # a card from before

"""From grey pixels to a model's input."""

import dataclasses
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from offclip.errors import InputError
from offclip.images.pool import DecoderPool
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


FILTERS = ["bicubic", "bilinear", "lanczos", "box", "hamming", "nearest"]
SHAPES = [(37, 53), (53, 37), (32, 32), (5, 7), (24, 90), (300, 211), (1, 1), (1, 500), (500, 2)]


def pillow(pixels, height, width, resample):
    image = Image.fromarray(pixels).convert("RGB").resize((width, height), Image.Resampling[resample.upper()])
    channels = np.asarray(image)
    assert (channels == channels[..., :1]).all()
    return channels[..., 0]


@pytest.mark.parametrize("resample", FILTERS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("resized", [32, 37])
def test_crop_is_the_middle_of_the_image_that_pillow_resizes(shape, resample, resized):
    pixels = np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)
    height, width = (
        (int(resized * shape[0] / shape[1]), resized)
        if shape[0] >= shape[1]
        else (resized, int(resized * shape[1] / shape[0]))
    )
    whole = pillow(pixels, height, width, resample)
    for rounding, cut in (("even", lambda spare: round(spare / 2)), ("down", lambda spare: spare // 2)):
        top, left = cut(height - 32), cut(width - 32)
        preprocess = Preprocess(
            32, geometry="crop", resample=resample, resized=resized, crop_rounding=rounding
        )
        square, geometry = preprocess.fit(pixels)
        assert np.array_equal(square, whole[top : top + 32, left : left + 32])
        assert (geometry.pad_top, geometry.pad_left) == (-top, -left)


@pytest.mark.parametrize("resample", FILTERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_squash_and_letterbox_are_resized_by_pillow(shape, resample):
    pixels = np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)
    square, _ = Preprocess(32, geometry="squash", resample=resample).fit(pixels, aspect=1.5)
    assert np.array_equal(square, pillow(pixels, 32, 32, resample))
    square, _ = Preprocess(32, geometry="squash", resample=resample, resized=36).fit(pixels)
    assert np.array_equal(square, pillow(pixels, 36, 36, resample)[2:34, 2:34])
    square, geometry = Preprocess(32, resample=resample).fit(pixels)
    inner = pillow(pixels, geometry.inner_height, geometry.inner_width, resample)
    padded = np.zeros((32, 32), np.uint8)
    top, left = (32 - inner.shape[0]) // 2, (32 - inner.shape[1]) // 2
    padded[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    assert np.array_equal(square, padded)


@pytest.mark.parametrize("resample", ["bicubic", "lanczos", "area"])
@pytest.mark.parametrize("shape", [(3, 1500), (1500, 3)])
def test_of_a_strip_only_the_part_that_is_shown_is_resized(shape, resample, monkeypatch):
    pixels = np.random.default_rng(0).integers(90, 160, shape, np.uint8)  # no filter goes beyond 0 and 255
    preprocess = Preprocess(64, geometry="crop", resample=resample)
    whole, _ = preprocess.fit(pixels)
    monkeypatch.setattr("offclip.images.resize._MOST_PIXELS", 1)
    part, _ = preprocess.fit(pixels)
    assert np.abs(part.astype(int) - whole).max() <= 1


@pytest.mark.parametrize("shape", [(1, 60_000), (60_000, 1)])
def test_a_strip_of_any_length_is_cropped(shape):
    square, geometry = Preprocess(224, geometry="crop", resample="bicubic").fit(np.full(shape, 9, np.uint8))
    assert (square == 9).all()
    assert geometry.visible.width == geometry.visible.height == 1


@pytest.mark.parametrize("resample", ["area", "bicubic"])
def test_a_crop_shows_true_proportions_and_a_squash_has_none(resample):
    pixels = np.full((40, 40), 200, np.uint8)
    crop = Preprocess(32, geometry="crop", resample=resample)
    square, geometry = crop.fit(pixels, aspect=0.5)
    assert (square == 200).all()
    assert (geometry.inner_height, geometry.inner_width) == (32, 64)
    _, geometry = Preprocess(32, geometry="squash", resample=resample).fit(pixels, aspect=0.5)
    assert (geometry.inner_height, geometry.inner_width) == (32, 32)


def test_three_means_make_three_channels():
    squares = torch.randint(0, 256, (2, 4, 4), dtype=torch.uint8)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    out = Preprocess(4, mean=mean, std=std).normalise(squares)
    assert out.shape == (2, 3, 4, 4)
    for channel in range(3):
        assert torch.allclose(out[:, channel], (squares / 255 - mean[channel]) / std[channel])
    one = Preprocess(4, mean=(0.2,), std=0.5).normalise(squares)
    assert torch.equal(one, Preprocess(4, mean=0.2, std=0.5).normalise(squares))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 0}, "size 0"),
        ({"size": -5}, "size -5"),
        ({"size": 10**6}, "size 1000000"),
        ({"size": 32.0}, "size 32.0"),
        ({"size": True}, "size True"),
        ({"size": None}, "size None"),
        ({"geometry": "crop", "resized": 31}, "resized 31"),
        ({"geometry": "squash", "resized": 31}, "resized 31"),
        ({"geometry": "crop", "resized": "40"}, "resized '40'"),
        ({"geometry": "crop", "resized": 10**9}, "resized 1000000000"),
        ({"geometry": "letterbox", "resized": 40}, "resized 40"),
        ({"geometry": "carzero", "resized": 40}, "resized 40"),
        ({"geometry": "stretch"}, "geometry 'stretch'"),
        ({"resample": "cubic"}, "resample 'cubic'"),
        ({"crop_rounding": "up"}, "crop_rounding 'up'"),
        ({"grey": "colour"}, "grey 'colour'"),
        ({"std": 0}, "std 0"),
        ({"std": (0.5, 0.5, -1.0), "mean": (0.5, 0.5, 0.5)}, "std"),
        ({"mean": float("nan")}, "mean nan"),
        ({"std": float("inf")}, "std inf"),
        ({"mean": (0.5, 0.5)}, "mean"),
        ({"mean": (0.5, 0.5, 0.5)}, "mean"),
        ({"mean": "grey"}, "mean grey"),
    ],
)
def test_fields_that_cannot_be_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        Preprocess(**{"size": 32} | fields)


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(24, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4), "crop", "standard", "bicubic", 29, "down"),
        Preprocess(24, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4), "squash", resample="lanczos"),
        Preprocess(24, resample="bilinear"),
    ],
)
def test_every_field_reaches_the_processes_that_decode(preprocess, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 47), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "film.png")
    with DecoderPool(1, preprocess=preprocess) as pool:
        (result,) = pool.map([tmp_path / "film.png"])
    square, geometry = preprocess.fit(pixels)
    assert np.array_equal(result.film.pixels, square)
    assert result.geometry == geometry


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
    crop = Preprocess(64, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4), "crop", "standard", "bicubic", 80, "down")
    for preprocess in (Preprocess.carzero(), Preprocess(64), crop):
        card = json.loads(json.dumps(dataclasses.asdict(preprocess)))
        assert Preprocess(**card) == preprocess
    assert Preprocess(**{"size": 64, "mean": 0.5, "std": 0.25}) == Preprocess(64)  # a card from before
    before = {"size": 224, "mean": 0.4978, "std": 0.2449, "geometry": "carzero", "grey": "carzero"}
    assert Preprocess(**before) == Preprocess.carzero()

"""The pixels of other libraries: the square is theirs bit by bit, and the normalised tensor to 1e-6."""

import numpy as np
import pytest
import torch
from PIL import Image

from offclip.models.adapters.pixels import from_hugging_face, from_open_clip, from_timm
from offclip.models.carzero.fixture import make_image

SHAPES = [
    (37, 53),
    (53, 37),
    (32, 32),
    (33, 33),
    (300, 200),
    (211, 397),
    (5, 7),  # grows
    (24, 90),  # one side grows
    (1, 1),
    (64, 35),
    (35, 64),
    (41, 40),
    (1, 500),
    (500, 3),
]
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def films():
    for height, width in SHAPES:
        rng = np.random.default_rng([height, width])
        yield rng.integers(0, 256, (height, width), np.uint8)
        ramp = np.linspace(0, 1, height)[:, None] * np.linspace(0, 1, width)
        yield (ramp * 200 + rng.integers(0, 40, (height, width))).astype(np.uint8)


def ours(preprocess, film):
    return preprocess.normalise(torch.from_numpy(preprocess.fit(film)[0])[None])[0]


def colour(film):
    return Image.fromarray(film).convert("RGB")


def assert_same(preprocess, film, theirs):
    mine = ours(preprocess, film)
    assert mine.shape == theirs.shape, film.shape
    assert mine.dtype == theirs.dtype
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6, msg=lambda text: f"{film.shape}: {text}")


# --- open_clip ---


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [32, (33, 33)])
def test_open_clip(resize_mode, interpolation, size):
    transform = pytest.importorskip("open_clip.transform", reason="needs 'offclip[openclip]'")
    config = transform.PreprocessCfg(
        size=size, mean=MEAN, std=STD, interpolation=interpolation, resize_mode=resize_mode
    )
    theirs = transform.image_transform_v2(config, is_train=False)
    preprocess = from_open_clip(vars(config))
    for film in films():
        if resize_mode == "longest" and max(film.shape) > 60 * min(film.shape):
            continue  # their shorter side becomes 0, an error
        assert_same(preprocess, film, theirs(colour(film)))


def test_open_clip_with_its_own_defaults():
    transform = pytest.importorskip("open_clip.transform", reason="needs 'offclip[openclip]'")
    theirs = transform.image_transform(40, is_train=False)
    film = np.random.default_rng(0).integers(0, 256, (90, 70), np.uint8)
    assert_same(from_open_clip({"size": 40}), film, theirs(colour(film)))
    every = vars(transform.PreprocessCfg())
    assert from_open_clip({}) == from_open_clip(every) == from_open_clip(dict.fromkeys(every))


def test_half_a_pixel_of_a_letterbox_goes_where_open_clip_lets_it():
    transform = pytest.importorskip("open_clip.transform", reason="needs 'offclip[openclip]'")
    theirs = transform.image_transform(224, is_train=False, resize_mode="longest")
    for shape in ((192, 105), (320, 45), (320, 85), (105, 192)):  # 122.5, 31.5, 59.5 pixels
        film = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        assert_same(from_open_clip({"size": 224, "resize_mode": "longest"}), film, theirs(colour(film)))


# --- timm ---


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "lanczos", "nearest", "box", "hamming"])
@pytest.mark.parametrize("crop_mode", ["center", "squash"])
@pytest.mark.parametrize("crop_pct", [0.875, 0.9, 1.0])
def test_timm(crop_mode, crop_pct, interpolation):
    data = pytest.importorskip("timm.data", reason="needs 'offclip[timm]'")
    asked = {"input_size": (3, 32, 32), "interpolation": interpolation, "crop_pct": crop_pct}
    config = data.resolve_data_config(asked | {"crop_mode": crop_mode})
    theirs, preprocess = data.create_transform(**config), from_timm(config)
    for film in films():
        assert_same(preprocess, film, theirs(colour(film)))


def test_timm_with_black_borders():
    data = pytest.importorskip("timm.data", reason="needs 'offclip[timm]'")
    asked = {"input_size": (3, 32, 32), "crop_mode": "border", "crop_pct": 1.0, "mean": (0.0,) * 3}
    config = data.resolve_data_config(asked)
    theirs, preprocess = data.create_transform(**config), from_timm(config)
    for film in films():
        if max(film.shape) <= 60 * min(film.shape):
            assert_same(preprocess, film, theirs(colour(film)))


# --- transformers ---

PROCESSORS = {
    "clip": ("clip", "CLIPImageProcessor", {"size": {"shortest_edge": 32}, "crop_size": 32}),
    "clip-larger": ("clip", "CLIPImageProcessor", {"size": 37, "crop_size": {"height": 32, "width": 32}}),
    "clip-both-sides": ("clip", "CLIPImageProcessor", {"size": {"height": 37, "width": 37}, "crop_size": 32}),
    "chinese": ("chinese_clip", "ChineseCLIPImageProcessor", {"size": 35, "crop_size": 32, "resample": 2}),
    "bit": ("bit", "BitImageProcessor", {"size": 36, "crop_size": 33, "do_normalize": False}),
    "siglip": ("siglip", "SiglipImageProcessor", {"size": {"height": 33, "width": 33}}),
    "vit": ("vit", "ViTImageProcessor", {"size": 32, "resample": 1}),
    "deit": ("deit", "DeiTImageProcessor", {"size": 37, "crop_size": 32}),
    "clip-own": ("clip", "CLIPImageProcessor", {}),
    "siglip-own": ("siglip", "SiglipImageProcessor", {}),
    "vit-own": ("vit", "ViTImageProcessor", {}),
    "deit-own": ("deit", "DeiTImageProcessor", {}),
}


def processor(model, name, settings, backend="_pil"):
    pytest.importorskip("transformers", reason="needs 'offclip[hf]'")
    module = pytest.importorskip(f"transformers.models.{model}.image_processing{backend}_{model}")
    return getattr(module, name + ("Pil" if backend else ""))(**settings)


@pytest.mark.parametrize("case", PROCESSORS)
def test_hugging_face(case):
    model, name, settings = PROCESSORS[case]
    theirs = processor(model, name, settings)
    written = from_hugging_face(theirs.to_dict())
    assert from_hugging_face({"image_processor_type": name, **settings}) == written
    shapes = films() if settings else list(films())[8:12]
    for film in shapes:
        assert_same(written, film, theirs(colour(film), return_tensors="pt")["pixel_values"][0])


@pytest.mark.parametrize("resample", range(6))
def test_every_filter_of_hugging_face(resample):
    theirs = processor("clip", "CLIPImageProcessor", {"size": 32, "crop_size": 32, "resample": resample})
    for film in films():
        expected = theirs(colour(film), return_tensors="pt")["pixel_values"][0]
        assert_same(from_hugging_face(theirs.to_dict()), film, expected)


FILM_SHAPES = [(600, 500), (411, 823), (1200, 900), (256, 256), (180, 150)]


@pytest.mark.parametrize("resample", [2, 3])
@pytest.mark.parametrize("case", ["clip-own", "clip-larger", "siglip-own", "deit-own"])
def test_how_far_hugging_face_with_torchvision_is_off(case, resample):
    pytest.importorskip("torchvision", reason="needs torchvision")
    model, name, settings = PROCESSORS[case]
    theirs = processor(model, name, {**settings, "resample": resample, "do_normalize": False}, backend="")
    preprocess = from_hugging_face(theirs.to_dict())

    def off(film):
        pixels = theirs(colour(film), return_tensors="pt")["pixel_values"][0]
        return (pixels - ours(preprocess, film)).abs() * 255  # grey levels

    on_films = [off(make_image(1, *shape)) for shape in FILM_SHAPES]
    assert max(levels.max() for levels in on_films) <= 1.001
    assert max((levels > 0.5).float().mean() for levels in on_films) < 0.01
    # Noise, one side of which grows and the other shrinks: what goes beyond black and white is cut off
    # between one axis and the other, and they begin with the other one.
    assert max(off(film).max() for film in films()) <= 24

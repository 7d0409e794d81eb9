"""One interface for all kinds of heat map, and the way back to original pixels."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from offclip.data.loader import PixelStore
from offclip.errors import ConfigError, InputError
from offclip.grounding.gradients import grad_cam
from offclip.grounding.maps import heat_maps, map_method, map_methods, maps_of_image
from offclip.grounding.pointing import Box, point
from offclip.images.preprocess import Preprocess
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.fixture import TINY_PROMPTS, make_image, make_prompts, make_weights
from offclip.models.carzero.heat_maps import gradient_attention
from offclip.models.carzero.model import CarZero
from offclip.models.interface import ClipModel, ImageFeatures, TextFeatures

# The small geometry with the input of the published one: 14 x 14 cells.
CONFIG = dataclasses.replace(CarZeroConfig.tiny(), image_size=224)
SIX = [f"prompt {n}" for n in range(6)]


@pytest.fixture(scope="module")
def carzero():
    """A small CARZero that answers six texts, whatever they say."""
    model = CarZero.from_state_dict(make_weights(CONFIG, "grounding"), CONFIG)
    made = make_prompts("grounding", TINY_PROMPTS)
    model.embed_texts = lambda texts: model.encode_text(
        *(part[: len(texts)] for part in (made.input_ids, made.attention_mask, made.is_continuation))
    )
    return model


class Brightness(ClipModel):
    """Its map is the brightness of each cell, for every text."""

    def __init__(self, preprocess: Preprocess) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.weight = nn.Parameter(torch.ones(1))

    def encode_image(self, pixels):
        cells = nn.functional.avg_pool2d(pixels, 16)
        return ImageFeatures(cells.flatten(1), cells.flatten(1).unsqueeze(-1), tuple(cells.shape[-2:]))

    def encode_text(self, input_ids, attention_mask):
        return TextFeatures(input_ids.float(), input_ids.float().unsqueeze(1), attention_mask.bool())

    def embed_texts(self, texts):
        return self.encode_text(torch.zeros(len(texts), 1), torch.ones(len(texts), 1))

    def similarity(self, image, text):
        return image.pooled.mean(dim=1, keepdim=True).expand(-1, len(text.pooled))

    def heat_map(self, image, text):
        return image.local.squeeze(-1).unsqueeze(1).expand(-1, len(text.pooled), -1).unflatten(-1, image.grid)


def test_every_model_says_which_maps_it_has(tiny_model, carzero):
    assert list(map_methods(carzero)) == ["attention", "gradient-attention", "grad-cam"]
    cross = ["attention", "gradient-attention", "grad-cam"]
    assert list(map_methods(tiny_model("cross-attention"))) == cross
    assert list(map_methods(tiny_model("cosine"))) == ["similarity", "grad-cam"]
    assert list(map_methods(Brightness(Preprocess(32)))) == ["similarity"]


@pytest.mark.parametrize("method", ["gradient-attention", "attention", "saliency", ""])
def test_a_map_that_a_model_lacks_is_refused_with_those_it_has(tiny_model, method):
    with pytest.raises(ConfigError, match=r"no heat map .* It has: similarity") as refused:
        map_method(tiny_model("cosine"), method)
    assert repr(method) in refused.value.message
    store = PixelStore(("a",), np.zeros((1, 32, 32), np.uint8), (None,))
    with pytest.raises(ConfigError, match="It has: similarity"):
        next(heat_maps(tiny_model("cosine"), store, [0], ["There is a nodule."], method=method))
    with pytest.raises(ConfigError, match="It has: similarity"):
        maps_of_image(tiny_model("cosine"), np.zeros((9, 9), np.uint8), ["There is a nodule."], method)


def test_the_maps_of_carzero_come_through_the_same_interface(carzero):
    images = [make_image(seed, 300, 200) for seed in (1, 2)]
    squares, geometries = zip(*(carzero.preprocess.fit(image) for image in images), strict=True)
    store = PixelStore(("a", "b"), np.stack(squares), geometries)
    with torch.inference_mode():
        image = carzero.encode_image(carzero.preprocess.normalise(torch.from_numpy(np.stack(squares))))
        text = carzero.embed_texts(SIX)
        attention, weighted = carzero.heat_map(image, text), gradient_attention(carzero, image, text)
        pixels = carzero.preprocess.normalise(torch.from_numpy(np.stack(squares)))
        cam = grad_cam(carzero, carzero.image_tower.blocks[-1], pixels, text)
    computed = {None: attention, "attention": attention, "gradient-attention": weighted, "grad-cam": cam}
    for method, expected in computed.items():
        found = dict(heat_maps(carzero, store, [1, 0], SIX, method=method))
        for row in (0, 1):
            assert np.allclose(found[row], expected[row].numpy(), atol=1e-6)
        on_image = maps_of_image(carzero, images[1], SIX, method)
        assert on_image.shape == (6, 300, 200)
        assert np.allclose(
            on_image[2],
            geometries[1].map_to_original(expected[1, 2].numpy(), outside=np.nan),
            atol=1e-6,
            equal_nan=True,
        )


@pytest.mark.parametrize("preprocess", [Preprocess(224), Preprocess(112), Preprocess.carzero()])
@pytest.mark.parametrize("shape", [(600, 1000), (1000, 600), (500, 500), (90, 120), (1500, 700)])
@pytest.mark.parametrize("place", [(0.3, 0.25), (0.5, 0.5), (0.7, 0.75), (0.25, 0.7)])
def test_a_bright_spot_is_found_where_it_is(preprocess, shape, place):
    height, width = shape
    radius = max(shape) / 8
    y, x = place[0] * height, place[1] * width
    rows, columns = np.mgrid[:height, :width] + 0.5
    distance = np.hypot(rows - y, columns - x)
    pixels = (250 * np.exp(-((distance / radius) ** 2))).astype(np.uint8)
    model = Brightness(preprocess)
    (found,) = maps_of_image(model, pixels, ["one"])
    assert found.shape == shape
    peak_row, peak_column = np.unravel_index(np.nanargmax(found), shape)
    # A cell is 16 pixels of the square; for the map, half of one is the finest distinction.
    cell = 16 / preprocess.size * max(shape) * (8 / 7 if preprocess.geometry == "carzero" else 1)
    assert abs(peak_row + 0.5 - y) <= cell / 2 + 1
    assert abs(peak_column + 0.5 - x) <= cell / 2 + 1

    square, geometry = preprocess.fit(pixels)
    store = PixelStore(("a",), square[None], (geometry,))
    ((_, (heat_map,)),) = heat_maps(model, store, [0], ["one"])
    reach = 0.6 * cell + 2  # the spot may lie in the corner of its cell
    box = Box("spot", x - reach, y - reach, 2 * reach, 2 * reach)
    assert point(heat_map, geometry, [box]).hit == 1


def test_pixels_that_carzero_cuts_off_have_no_value(carzero):
    on_image = maps_of_image(carzero, make_image(3, 800, 600), SIX[:1])[0]
    hidden = np.isnan(on_image)
    assert hidden[:50].all()  # 16 of 256 rows above and below, of 800
    assert hidden[750:].all()
    assert not hidden[50:750].any()
    letterboxed = maps_of_image(Brightness(Preprocess(224)), make_image(3, 800, 600), ["one"])
    assert np.isfinite(letterboxed).all()


@pytest.mark.parametrize(
    "pixels", [np.zeros((3, 4, 4), np.uint8), np.zeros((4, 4)), np.zeros((0, 4), np.uint8)]
)
def test_other_than_grey_pixels_are_refused(carzero, pixels):
    with pytest.raises(InputError, match="8-bit grey"):
        maps_of_image(carzero, pixels, SIX)

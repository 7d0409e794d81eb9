"""Names, shapes and formulas of the fixture, and the numbers that travel with the package."""

import json
import zlib
from pathlib import Path

import carzero_expected
import numpy as np
import pytest
import torch

from offclip.models.carzero import parity
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.fixture import (
    TINY_PROMPTS,
    make_image,
    make_pixels,
    make_prompts,
    make_tensor,
    make_weights,
)
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.published import published_shapes

TINY = CarZeroConfig.tiny()


def test_the_names_and_shapes_are_those_of_the_published_file():
    listed = json.loads((Path(__file__).parent / "data/state_dict_keys.json").read_text())
    assert published_shapes() == {name: tuple(shape) for name, (shape, _) in listed.items()}
    assert {kind for _, kind in listed.values()} == {"float32"}


def test_a_model_of_any_geometry_takes_the_tensors_of_its_fixture():
    for config in (TINY, CarZeroConfig(64, 32, 8, 1, 2, 16, 50, 20, 4, 2, 16, 2, 9, 2, 2, 8, (5,))):
        shapes = published_shapes(config)
        state = {name: torch.zeros(shape) for name, shape in shapes.items()}
        assert CarZero.from_state_dict(state, config).config == config


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("img_encoder.model.pos_embed", 0.5),
        ("img_encoder.model.cls_token", 0.5),
        ("img_encoder.model.patch_embed.proj.weight", 0.04),
        ("img_encoder.model.blocks.3.mlp.fc1.bias", 0.04),
        ("text_encoder.model.embeddings.word_embeddings.weight", 0.2),
        ("text_encoder.model.embeddings.position_embeddings.weight", 0.1),
        ("text_encoder.model.embeddings.LayerNorm.bias", 0.04),
        ("text_encoder.model.encoder.layer.0.output.dense.weight", 0.04),
        ("fusion_module.mlp_head.6.weight", 0.06),
        ("fusion_module.mlp_head.6.bias", 0.2),
        ("fusion_module.decoder.layers.1.multihead_attn.in_proj_weight", 0.08),
        ("fusion_module.decoder.layers.1.multihead_attn.in_proj_bias", 0.04),
        ("fusion_module.decoder.layers.1.linear2.weight", 0.05),
        ("fusion_module.decoder.layers.1.linear2.bias", 0.04),
        ("fusion_module.decoder.layers.1.norm3.bias", 0.04),
    ],
)
def test_tensors_are_spread_as_the_recipe_says(name, deviation):
    values = make_tensor(name, (100, 100), "salt")
    assert values.dtype == np.float32
    assert values.std() == pytest.approx(deviation, rel=0.02)
    assert abs(values).max() <= deviation * 3**0.5 * (1 + 1e-6)
    again = make_tensor(name, (100, 100), "another salt")
    assert abs(np.corrcoef(values.ravel(), again.ravel())[0, 1]) < 0.05


def test_norms_are_around_one_and_the_alias_is_the_same_tensor():
    for name in (
        "fusion_module.decoder_norm.weight",
        "fusion_module.decoder.layers.0.norm2.weight",
        "text_encoder.model.embeddings.LayerNorm.weight",
        "img_encoder.model.blocks.0.norm1.weight",
        "img_encoder.model.norm.weight",
    ):
        values = make_tensor(name, (10000,), "salt")
        assert values.mean() == pytest.approx(1, abs=0.01)
        assert values.std() == pytest.approx(0.04, rel=0.02)
    weights = make_weights(TINY, "salt")
    assert torch.equal(
        weights["fusion_module.decoder.norm.weight"], weights["fusion_module.decoder_norm.weight"]
    )


def test_the_values_are_the_bits_of_the_recipe():
    raw = np.random.PCG64(zlib.crc32(b"s|fusion_module.mlp_head.0.bias")).random_raw(3)
    expected = [np.float32(np.float32(int(r) >> 40) * np.float32(2**-23) - 1) for r in raw]
    scale = np.float32(0.2 * 3**0.5)
    found = make_tensor("fusion_module.mlp_head.0.bias", (3,), "s")
    assert found.tolist() == [float(u * scale) for u in expected]


def test_images_are_plates_with_grain():
    image = make_image(3, 64, 40)
    assert image.shape == (64, 40)
    assert image.dtype == np.uint8
    plates = image.reshape(8, 8, 8, 5).transpose(0, 2, 1, 3).reshape(64, -1)
    assert (np.ptp(plates, axis=1) <= 64).all()  # a quarter of 255
    assert np.ptp(image) > 120
    assert not np.array_equal(image, make_image(4, 64, 40))


def test_pixels_have_equal_channels():
    pixels = make_pixels([1, 2], TINY, channels=3)
    assert pixels.shape == (2, 3, 64, 64)
    assert torch.equal(pixels[:, 0], pixels[:, 2])
    assert make_pixels([1], CarZeroConfig()).shape == (1, 1, 224, 224)


def test_prompts_fit_the_geometry_and_have_words_of_several_pieces():
    prompts = make_prompts("salt", TINY_PROMPTS)
    lengths = prompts.attention_mask.sum(dim=1)
    assert int(prompts.input_ids.max()) < TINY.vocabulary_size
    assert prompts.input_ids.shape[1] == TINY.slots == int(lengths[-1])
    assert (prompts.input_ids[:, 0] == 101).all()
    assert (prompts.input_ids.gather(1, lengths.unsqueeze(1) - 1) == 102).all()
    assert (prompts.is_continuation.sum(dim=1) > 0).tolist() == [False, False, True, True, True, True]
    assert prompts.is_continuation[5, 16:24].all()


def test_the_shipped_numbers_are_those_of_the_reference_and_of_the_golden_file():
    shipped = Path(parity.__file__).parent
    for name in ("tiny", "published"):
        written = json.loads((shipped / f"parity_{name}.json").read_text())
        made = getattr(carzero_expected, name)()
        values, others = made.pop("values"), written.pop("values")
        assert made == written
        assert list(values) == list(others) == list(parity.TOLERANCES)
        for output in values:
            assert np.allclose(values[output], others[output], rtol=0, atol=1e-8), (name, output)


def test_a_wrong_number_or_a_wrong_shape_is_not_within():
    fixture = parity.expected("tiny")
    model = CarZero.from_state_dict(make_weights(TINY, fixture.salt), TINY)
    model.fusion.mlp_head["9"].bias.data += 3e-5
    found = {deviation.output: deviation for deviation in parity.measure(model, fixture)}
    assert [name for name, deviation in found.items() if not deviation.within] == ["sim", "i2t", "t2i"]
    assert found["sim"].measured == pytest.approx(3e-5, rel=0.2)
    model.fusion.mlp_head["9"].bias.data.fill_(torch.nan)
    assert not parity.measure(model, fixture)[0].within


def test_the_preprocessed_pictures_are_the_published_ones():
    pictures = parity.expected_pictures()
    assert len(pictures) == 6
    assert all(parity.picture_crc(picture) == picture.crc for picture in pictures)

"""The published geometry against the numbers of the published code."""

import gc
import zlib
from dataclasses import dataclass
from pathlib import Path

import carzero_numpy as reference
import numpy as np
import pytest
import torch

from offclip.images.preprocess import Preprocess
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.fixture import make_image, make_pixels, make_prompts, make_weights
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.parity import TOLERANCES, weights_crc
from offclip.models.interface import ImageFeatures, TextFeatures

ATTENTION = 1e-5


@dataclass(frozen=True)
class Made:
    """The model of the golden salt, and what it computes."""

    model: CarZero
    pixels: torch.Tensor
    image: ImageFeatures
    text: TextFeatures
    crcs: dict[str, int]
    crc: int


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parent / "data/golden.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def made(golden):
    """220 million weights from formulas: made once, some 2 GB while they are."""
    weights = make_weights(CarZeroConfig(), str(golden["salt"]))
    crcs = {
        key: zlib.crc32(weights[key.removeprefix("crc/")].numpy().tobytes())
        for key in golden
        if key.startswith("crc/")
    }
    crc = weights_crc(weights)
    model = CarZero.from_state_dict(weights)
    del weights
    pixels = make_pixels(golden["img_seeds"].tolist(), CarZeroConfig(), channels=3)
    with torch.inference_mode():
        image, text = model.encode_image(pixels), encode_prompts(model, golden)
    yield Made(model, pixels, image, text, crcs, crc)
    del model, image, text
    gc.collect()


def encode_prompts(model, golden, rows=slice(None)):
    names = ("ids", "attention_mask", "is_continuation")
    return model.encode_text(*(torch.from_numpy(golden[name][rows]) for name in names))


def close(found, expected, tolerance):
    found = found.double().numpy() if isinstance(found, torch.Tensor) else found
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance


def slots_of(text, slots=97):
    """Words, and then zeros up to the last slot."""
    tokens = text.tokens * text.mask.unsqueeze(-1)
    return torch.nn.functional.pad(tokens, (0, 0, 0, slots - tokens.shape[1]))


def t2i_attention(model, image, text):
    """Over all slots: what the one empty slot gets is shared by those it stands for."""
    collapsed = model.fusion.attention(image.pooled, model.text_memory(text)).numpy()  # layers T B 1+W+1
    layers, texts, images, entries = collapsed.shape
    spread = np.zeros((layers, texts, images, 1 + model.config.slots))
    for number, words in enumerate(text.mask.sum(dim=1).tolist()):
        spread[:, number, :, : 1 + words] = collapsed[:, number, :, : 1 + words]
        empty = model.config.slots - words
        spread[:, number, :, 1 + words :] = collapsed[:, number, :, -1:] / max(empty, 1)
        assert not collapsed[:, number, :, 1 + words : entries - 1].any()
    return spread.transpose(0, 2, 1, 3)


def test_the_weights_of_the_formulas_are_those_of_the_golden_file(golden, made):
    assert len(made.crcs) == 3
    assert made.crcs == {key: int(golden[key]) for key in made.crcs}
    assert made.crc == int(golden["weights_crc_xor"])


def test_images_and_prompts_of_the_formulas_are_those_of_the_golden_file(golden, made):
    prompts = make_prompts(str(golden["salt"]))
    assert np.array_equal(prompts.input_ids, golden["ids"])
    assert np.array_equal(prompts.attention_mask, golden["attention_mask"])
    assert np.array_equal(prompts.is_continuation, golden["is_continuation"])
    assert [zlib.crc32(x.contiguous().numpy().tobytes()) for x in made.pixels] == golden["x_crc"].tolist()
    assert np.array_equal(made.pixels[:, :, :4, :4], golden["x_crop_corner"])
    close(made.pixels.mean(dim=(1, 2, 3)), golden["x_mean"], 1e-6)


@pytest.mark.parametrize("number", range(6))
def test_preprocessing_gives_the_golden_pixels_bit_by_bit(golden, number):
    height, width, seed = golden[f"prep{number}_in_hw_seed"].tolist()
    square, _ = Preprocess.carzero().fit(make_image(seed, height, width))
    assert np.array_equal(square, golden[f"prep{number}_out"][16:240, 16:240])
    # The golden file keeps the whole 256 x 256: the same recipe with nothing cut off.
    whole = Preprocess.carzero().fit(make_image(seed, height, width))[1]
    top, left = whole.pad_top + 16, whole.pad_left + 16
    outside = golden[f"prep{number}_out"].astype(int)
    outside[top : top + whole.inner_height, left : left + whole.inner_width] = 0
    assert not outside.any()


@pytest.mark.parametrize("name", ["i2t", "t2i", "sim"])
def test_logits(golden, made, name):
    with torch.inference_mode():
        compute = made.model.similarity if name == "sim" else getattr(made.model, name)
        logits = compute(made.image, made.text)
    close(logits, golden[name], TOLERANCES[name])


def test_image_features(golden, made):
    local, channels = made.image.local, golden["channels"].tolist()
    assert made.image.grid == (14, 14)
    close(made.image.pooled, golden["img_g"], TOLERANCES["img_g"])
    close(local.mean(dim=1), golden["img_l_mean"], TOLERANCES["img_g"])
    close(local.norm(dim=2).unflatten(1, (14, 14)), golden["img_l_norm"], 4 * TOLERANCES["img_g"])
    by_channel = local[..., channels].transpose(1, 2).unflatten(-1, (14, 14))
    close(by_channel, golden["img_l_ch"], TOLERANCES["img_g"])


def test_text_features(golden, made):
    slots = slots_of(made.text)
    assert made.text.mask.sum(dim=1).tolist() == golden["n_words"].tolist()
    close(made.text.pooled, golden["txt_g"], TOLERANCES["txt_g"])
    # A norm sums 768 squares, and one word of the last prompt is a sum of 36 pieces: hence relative.
    norm = slots.norm(dim=2)
    assert np.allclose(norm, golden["txt_l_norm"], rtol=1e-6, atol=TOLERANCES["txt_g"])
    by_channel = slots[..., golden["channels"].tolist()].transpose(1, 2)
    # Where the pieces of that word cancel, their roundings stay: 3.2e-5 on a processor without AVX-512.
    assert np.allclose(by_channel, golden["txt_l_ch"], rtol=1e-6, atol=4 * TOLERANCES["txt_g"])


def test_attention_of_sentences_on_patches(golden, made):
    with torch.inference_mode():
        attention = made.model.attention(made.image, made.text)
        heat_map = made.model.heat_map(made.image, made.text)
    close(attention[-1][..., 1:].unflatten(-1, (14, 14)), golden["i2t_attn_last"], ATTENTION)
    close(attention[-1][..., 0], golden["i2t_attn_last_global"], ATTENTION)
    close(heat_map, golden["i2t_attn_mean4"], ATTENTION)
    close(attention.sum(dim=-1), np.ones((4, 4, 6)), 1e-5)


def test_attention_of_images_on_words(golden, made):
    with torch.inference_mode():
        attention = t2i_attention(made.model, made.image, made.text)
    close(attention[-1], golden["t2i_attn_last"], ATTENTION)


def test_neither_the_batch_nor_the_other_prompts_change_a_pair(golden, made):
    """Each image alone with three channels or one, each prompt alone: the same logits."""
    with torch.inference_mode():
        together = made.model.similarity(made.image, made.text)
        image = made.model.encode_image(made.pixels[2:3, :1])
        for row in range(6):
            text = encode_prompts(made.model, golden, slice(row, row + 1))
            alone = made.model.similarity(image, text)
            close(alone, together[2:3, row : row + 1].numpy(), 8e-6)


def test_float64(golden, made):
    """Without rounding the model is the published one to many more digits; the logits come out in float32."""
    try:
        model = made.model.double()
        with torch.inference_mode():
            image, text = model.encode_image(made.pixels.double()), encode_prompts(model, golden)
            close(image.pooled, golden["img_g_f64"], 1e-11)
            close(text.pooled, golden["txt_g_f64"], 1e-11)
            for name in ("i2t", "t2i"):
                close(getattr(model, name)(image, text), golden[f"{name}_f64"], 2e-7)
            close(model.similarity(image, text), golden["sim_f64"], 2e-7)
            attention = model.attention(image, text)[-1][..., 1:].unflatten(-1, (14, 14))
            close(attention, golden["i2t_attn_last_f64"], 1e-11)
    finally:
        made.model.float()


@pytest.mark.slow
def test_another_salt_agrees_with_the_reference():
    """The whole published geometry, in float64 NumPy with all 97 slots: a minute."""
    config, salt = CarZeroConfig(), "another salt"
    weights, prompts = make_weights(config, salt), make_prompts(salt)
    pixels = make_pixels([21, 22], config, channels=3)
    arguments = prompts.input_ids, prompts.attention_mask, prompts.is_continuation
    model = CarZero.from_state_dict(weights)
    with torch.inference_mode():
        image, text = model.encode_image(pixels), model.encode_text(*arguments)
        found = {"i2t": model.i2t(image, text), "t2i": model.t2i(image, text)}
        found |= {"sim": model.similarity(image, text), "img_g": image.pooled, "txt_g": text.pooled}
        attention, other = model.attention(image, text), t2i_attention(model, image, text)
    del model
    expected = reference.run(weights, config, pixels, *arguments)
    for name, tensor in found.items():
        close(tensor, getattr(expected, name), TOLERANCES[name])
    close(attention, expected.i2t_attention, ATTENTION)
    close(other, expected.t2i_attention, ATTENTION)

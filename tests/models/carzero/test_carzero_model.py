"""The small geometry against a plain float64 reference, and mistakes that such a comparison must notice."""

from types import SimpleNamespace

import carzero_numpy as reference
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.models.carzero import image_tower, text_tower
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.fixture import TINY_PROMPTS, Prompts, make_pixels, make_prompts, make_weights
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.parity import TOLERANCES, deviations, expected, measure
from offclip.models.interface import TextFeatures

CONFIG = CarZeroConfig.tiny()
# Salts, and images that go with them.
CASES = [("a", [1, 2, 3]), ("b", [7]), ("c", [4, 4, 9, 12])]


def tiny_model(salt) -> CarZero:
    return CarZero.from_state_dict(make_weights(CONFIG, salt), CONFIG)


def make_reference(salt, pixels, prompts):
    arguments = prompts.input_ids, prompts.attention_mask, prompts.is_continuation
    return reference.run(make_weights(CONFIG, salt), CONFIG, pixels.expand(-1, 3, -1, -1), *arguments)


def outputs(model, pixels, prompts):
    arguments = prompts.input_ids, prompts.attention_mask, prompts.is_continuation
    with torch.inference_mode():
        image, text = model.encode_image(pixels), model.encode_text(*arguments)
        return {
            "i2t": model.i2t(image, text),
            "t2i": model.t2i(image, text),
            "sim": model.similarity(image, text),
            "img_g": image.pooled,
            "txt_g": text.pooled,
            "i2t_attention": model.attention(image, text),
            "img_l": image.local,
        }


def excess(found, expected):
    """Largest difference of each output, in units of what is allowed."""
    allowed = {"i2t_attention": TOLERANCES["heat_map"], "img_l": TOLERANCES["img_g"]} | TOLERANCES
    return {
        name: float(np.abs(found[name].double().numpy() - getattr(expected, name)).max()) / allowed[name]
        for name in found
    }


@pytest.mark.parametrize(("salt", "seeds"), CASES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_output_is_that_of_the_reference(salt, seeds, channels):
    pixels, prompts = make_pixels(seeds, CONFIG, channels), make_prompts(salt, TINY_PROMPTS)
    expected = make_reference(salt, pixels, prompts)
    assert expected.sim.std() > 0.05  # or else nothing would be noticed
    assert max(excess(outputs(tiny_model(salt), pixels, prompts), expected).values()) <= 1


def test_in_float64_nothing_but_the_last_digits_differs():
    pixels, prompts = make_pixels([1, 2], CONFIG), make_prompts("a", TINY_PROMPTS)
    expected = make_reference("a", pixels.double(), prompts)
    found = outputs(tiny_model("a").double(), pixels.double(), prompts)
    for name in ("img_g", "txt_g", "img_l", "i2t_attention"):
        assert np.abs(found[name].numpy() - getattr(expected, name)).max() < 1e-12
    for name in ("i2t", "t2i", "sim"):
        assert np.abs(found[name].numpy() - getattr(expected, name)).max() < 1e-6  # they come out in float32


WORD = st.integers(112, CONFIG.vocabulary_size - 1)
TEXT = st.lists(st.tuples(WORD, st.booleans()), min_size=0, max_size=CONFIG.slots - 2)


@settings(max_examples=25, derandomize=True, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4), st.integers(0, 5))
def test_texts_of_any_length_and_any_pieces(texts, more_padding):
    """Also without a word, with one, with all slots full, and with padding beyond the longest."""
    length = max(len(text) for text in texts) + 2
    rows = min(length + more_padding, CONFIG.slots)
    ids, continuation = np.zeros((len(texts), rows), np.int64), np.zeros((len(texts), rows), bool)
    for row, text in enumerate(texts):
        ids[row, : len(text) + 2] = [101, *(piece for piece, _ in text), 102]
        continuation[row, 1 : len(text) + 1] = [goes_on and n > 0 for n, (_, goes_on) in enumerate(text)]
    arrays = ids, (ids != 0).astype(np.int64), continuation
    prompts, pixels = Prompts(*(torch.from_numpy(a) for a in arrays)), make_pixels([5], CONFIG)
    found = outputs(tiny_model("a"), pixels, prompts)
    assert max(excess(found, make_reference("a", pixels, prompts)).values()) <= 1


def test_a_pair_does_not_depend_on_its_batch():
    pixels, prompts = make_pixels([1, 2, 3, 4], CONFIG), make_prompts("b", TINY_PROMPTS)
    model = tiny_model("b")
    together = outputs(model, pixels, prompts)
    for row in range(4):
        for column in range(6):
            one = slice(column, column + 1)
            some = (
                part[one] for part in (prompts.input_ids, prompts.attention_mask, prompts.is_continuation)
            )
            alone = outputs(model, pixels[row : row + 1], Prompts(*some))
            assert (alone["sim"] - together["sim"][row, column]).abs().max() < 1e-5
            assert (
                alone["i2t_attention"][:, 0, 0] - together["i2t_attention"][:, row, column]
            ).abs().max() < 1e-5


def test_the_heat_map_is_the_mean_of_the_layers_without_the_global_vector():
    pixels, prompts = make_pixels([1, 2], CONFIG), make_prompts("a", TINY_PROMPTS)
    model = tiny_model("a")
    with torch.inference_mode():
        image = model.encode_image(pixels)
        text = model.encode_text(prompts.input_ids, prompts.attention_mask, prompts.is_continuation)
        heat_map, attention = model.heat_map(image, text), model.attention(image, text)
    assert heat_map.shape == (2, 6, 4, 4)
    assert torch.allclose(heat_map, sum(layer[..., 1:] for layer in attention).unflatten(-1, (4, 4)) / 4)
    assert (heat_map.sum(dim=(2, 3)) < 1).all()


def set_eps(part, eps):
    for module in part.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = eps


def tanh_gelu(monkeypatch, module):
    functional = SimpleNamespace(**vars(F))
    functional.gelu = lambda x: F.gelu(x, approximate="tanh")
    monkeypatch.setattr(module, "F", functional)


def pads_without_weight(monkeypatch, model):
    def only_words(text):
        ones = torch.ones_like(text.mask[:, :1])
        bias = torch.zeros_like(torch.cat([ones, text.mask], dim=1), dtype=torch.float32)
        bias = bias.masked_fill(~torch.cat([ones, text.mask], dim=1), -torch.inf)
        return model.fusion.prepare(torch.cat([text.pooled.unsqueeze(1), text.tokens], dim=1), bias)

    monkeypatch.setattr(model, "text_memory", only_words)


def one_pad_for_all(monkeypatch, model):
    prepare = model.fusion.prepare
    monkeypatch.setattr(
        model.fusion,
        "prepare",
        lambda memory, bias=None: prepare(memory, bias if bias is None else bias.clamp(max=0)),
    )


def mean_over_words(monkeypatch, model):
    encode = model.encode_text

    def encoded(*arguments):
        text = encode(*arguments)
        words = text.mask.sum(dim=1, keepdim=True)
        return TextFeatures(text.pooled * CONFIG.slots / words, text.tokens, text.mask)

    monkeypatch.setattr(model, "encode_text", encoded)


def wrong_grid(_, model):
    patches = model.image_tower.pos_embed[:, 1:].unflatten(1, CONFIG.grid).transpose(1, 2).flatten(1, 2)
    model.image_tower.pos_embed.data[:, 1:] = patches.clone()


def no_merging(monkeypatch, model):
    forward = model.text_tower.forward
    apart = lambda ids, mask, goes_on: forward(ids, mask, torch.zeros_like(goes_on))  # noqa: E731
    monkeypatch.setattr(model.text_tower, "forward", apart)


def no_global_vector(monkeypatch, model):
    monkeypatch.setattr(
        model, "i2t", lambda image, text: model.fusion(text.pooled, model.fusion.prepare(image.local))
    )


def brighter(monkeypatch, model):
    encode = model.encode_image
    monkeypatch.setattr(model, "encode_image", lambda pixels: encode(pixels * 1.01))


MUTATIONS = {
    "epsilon of the image tower": lambda _, model: set_eps(model.image_tower, 1e-5),
    "epsilon of the text tower": lambda _, model: set_eps(model.text_tower, 1e-5),
    "epsilon of the fusion": lambda _, model: set_eps(model.fusion, 1e-6),
    "tanh GELU in the image tower": lambda patch, _: tanh_gelu(patch, image_tower),
    "tanh GELU in the text tower": lambda patch, _: tanh_gelu(patch, text_tower),
    "no attention on empty slots": pads_without_weight,
    "one empty slot for all": one_pad_for_all,
    "no merging of word pieces": no_merging,
    "mean over words, not slots": mean_over_words,
    "rows and columns of the grid exchanged": wrong_grid,
    "image memory without the global vector": no_global_vector,
    "pixels a hundredth too large": brighter,
    "one direction only": lambda patch, model: patch.setattr(model, "similarity", model.i2t),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mistake_does_not_go_unnoticed(mutation, monkeypatch):
    """Each of these would give plausible scores; the comparison above refuses all of them."""
    fixture = expected("tiny")
    model = CarZero.from_state_dict(make_weights(CONFIG, fixture.salt), CONFIG)
    assert all(deviation.within for deviation in measure(model, fixture))
    MUTATIONS[mutation](monkeypatch, model)
    worst = max(deviation.measured / deviation.allowed for deviation in measure(model, fixture))
    assert worst > 1.3, mutation


def test_the_shipped_fixture_is_within_its_tolerances():
    found = deviations("tiny")
    assert [deviation.output for deviation in found][1:] == list(TOLERANCES)
    assert all(deviation.within for deviation in found)

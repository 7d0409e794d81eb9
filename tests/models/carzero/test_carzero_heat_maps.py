"""Gradient-weighted attention: against differences of the reference, in any gradient mode of the caller."""

import carzero_numpy as reference
import numpy as np
import pytest
import torch

from offclip.models.carzero import heat_maps
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.fixture import TINY_PROMPTS, make_pixels, make_prompts, make_weights
from offclip.models.carzero.heat_maps import gradient_attention
from offclip.models.carzero.model import CarZero

CONFIG, SALT = CarZeroConfig.tiny(), "heat"


@pytest.fixture(scope="module")
def model():
    return CarZero.from_state_dict(make_weights(CONFIG, SALT), CONFIG)


def features(model, seeds=(1, 2, 3)):
    prompts = make_prompts(SALT, TINY_PROMPTS)
    image = model.encode_image(make_pixels(list(seeds), CONFIG))
    return image, model.encode_text(prompts.input_ids, prompts.attention_mask, prompts.is_continuation)


@pytest.fixture(scope="module")
def pair(model):
    with torch.inference_mode():
        return features(model)


def logit(w, query, memory, shifts):
    """The i2t logit of one pair and its attention (layers, heads, N), to which `shifts` is added."""
    memory = reference.norm(w, "fusion_module.decoder_norm", memory, 1e-5)
    x = reference.norm(w, "fusion_module.decoder_norm", query[None], 1e-5)
    heads, weights = CONFIG.fusion_heads, []
    for n in range(CONFIG.fusion_layers):
        layer = f"fusion_module.decoder.layers.{n}"
        part = f"{layer}.multihead_attn"
        wq, wk, wv = np.split(w[f"{part}.in_proj_weight"], 3)
        bq, bk, bv = np.split(w[f"{part}.in_proj_bias"], 3)
        asked = reference.norm(w, f"{layer}.norm2", x, 1e-5) @ wq.T + bq
        value = memory @ wv.T + bv
        _, attention = reference.attend(asked, memory @ wk.T + bk, value, heads)
        attention = attention[:, 0] + shifts[n]
        weights.append(attention)
        found = np.einsum("hn,nhd->hd", attention, value.reshape(len(value), heads, -1)).reshape(1, -1)
        x = x + reference.linear(w, f"{part}.out_proj", found)
        x = x + reference.linear(
            w,
            f"{layer}.linear2",
            np.maximum(
                reference.linear(w, f"{layer}.linear1", reference.norm(w, f"{layer}.norm3", x, 1e-5)), 0
            ),
        )
    x = reference.norm(w, "fusion_module.decoder_norm", x, 1e-5)
    for n in range(4):
        x = reference.linear(w, f"fusion_module.mlp_head.{3 * n}", x if n == 0 else np.maximum(x, 0))
    return float(x[0, 0]), np.stack(weights)


def test_it_is_the_positive_part_of_gradient_times_attention(model, pair):
    image, text = pair
    w = {name: tensor.double().numpy() for name, tensor in make_weights(CONFIG, SALT).items()}
    found = gradient_attention(model, image, text).numpy()
    for row, column in ((0, 0), (2, 4)):
        memory = torch.cat([image.pooled[row : row + 1], image.local[row]]).double().numpy()
        query = text.pooled[column].double().numpy()
        still = np.zeros((CONFIG.fusion_layers, CONFIG.fusion_heads, len(memory)))
        _, attention = logit(w, query, memory, still)
        gradient, step = np.zeros_like(still), 1e-5
        for place in np.ndindex(still.shape):
            up, down = still.copy(), still.copy()
            up[place], down[place] = step, -step
            gradient[place] = (logit(w, query, memory, up)[0] - logit(w, query, memory, down)[0]) / (2 * step)
        expected = np.maximum(gradient * attention, 0).mean(axis=(0, 1))[1:].reshape(CONFIG.grid)
        assert expected.max() > 1e-3
        # A kink of a ReLU within the step would show as a difference of the order of the gradient itself.
        assert np.abs(found[row, column] - expected).max() < 2e-5 * max(1, expected.max())


def test_it_is_a_map_for_every_pair_without_a_gradient(model, pair):
    found = gradient_attention(model, *pair)
    assert found.shape == (3, 6, 4, 4)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    assert (found >= 0).all()
    assert (found.amax(dim=(2, 3)) > 0).all()
    with torch.inference_mode():
        attention = model.heat_map(*pair)
    assert not torch.allclose(found / found.sum(), attention / attention.sum(), atol=1e-3)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_the_mode_of_the_caller_does_not_matter(model, pair, mode):
    expected = gradient_attention(model, *pair)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    with mode():
        found = gradient_attention(model, *features(model))
        assert torch.is_grad_enabled() == (mode is torch.enable_grad)
    assert torch.allclose(found, expected, atol=1e-6)
    assert not found.requires_grad
    for name, parameter in model.named_parameters():
        assert parameter.grad is None
        assert torch.equal(parameter, before[name])


def test_frozen_parameters_change_nothing(pair):
    frozen = CarZero.from_state_dict(make_weights(CONFIG, SALT), CONFIG).requires_grad_(False)
    thawed = CarZero.from_state_dict(make_weights(CONFIG, SALT), CONFIG)
    assert torch.allclose(gradient_attention(frozen, *pair), gradient_attention(thawed, *pair), atol=1e-7)


@pytest.mark.parametrize("pairs", [1, 12, 13])
def test_parts_give_what_the_whole_gives(model, pair, pairs, monkeypatch):
    expected = gradient_attention(model, *pair)
    monkeypatch.setattr(heat_maps, "_PAIRS", pairs)
    assert torch.allclose(gradient_attention(model, *pair), expected, atol=1e-6)

"""Grad-CAM and gradient-weighted attention: against differences in float64, and a case done by hand."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from offclip.errors import InputError
from offclip.grounding.gradients import attention_gradient, grad_cam
from offclip.grounding.maps import map_methods
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.fixture import TINY_PROMPTS, make_pixels, make_prompts, make_weights
from offclip.models.carzero.model import CarZero
from offclip.models.interface import ImageFeatures, TextFeatures

PROMPTS = ["There is a nodule of right lung.", "There is pleural effusion.", "There is no finding."]
STEP = 1e-5


def pixels_of(size, images=2):
    return torch.rand(images, 1, size, size, generator=torch.Generator().manual_seed(1)) * 4 - 2


def by_differences(model, layer, pixels, text, patches):
    """Grad-CAM without autograd: every channel is raised everywhere, and the logits are watched.

    The derivative by a channel that is raised in all cells at once, over the number of cells, is the mean of
    the derivatives by its cells.
    """
    shift, seen = None, []

    def change(module, inputs, output):
        seen.append(output.clone())
        return output if shift is None else output + shift

    handle = layer.register_forward_hook(change)
    with torch.no_grad():
        image = model.encode_image(pixels)
        maps = seen[0]
        convolution = maps.ndim == 4
        channels = maps.shape[1] if convolution else maps.shape[2]
        alpha = torch.zeros(len(pixels), len(text.pooled), channels, dtype=torch.float64)
        for channel in range(channels):
            logits = []
            for sign in (1, -1):
                shift = torch.zeros_like(maps[:1])
                if convolution:
                    shift[:, channel] = sign * STEP
                else:
                    shift[:, 1:, channel] = sign * STEP
                logits.append(model.similarity(model.encode_image(pixels), text))
            alpha[..., channel] = (logits[0] - logits[1]) / (2 * STEP) / patches
    handle.remove()
    cells = maps.flatten(2).transpose(1, 2) if convolution else maps[:, 1:]
    return torch.einsum("btc,bpc->btp", alpha, cells).clamp(min=0).unflatten(-1, image.grid)


def doubled(model):
    return copy.deepcopy(model).double()


@pytest.mark.parametrize("head", ["cosine", "cross-attention"])
def test_grad_cam_of_both_heads_agrees_with_differences(tiny_model, head, monkeypatch):
    model = doubled(tiny_model(head))
    if head == "cosine":  # the head itself computes in float32, which differences cannot stand
        monkeypatch.setattr(
            model,
            "similarity",
            lambda i, t: (
                10 * nn.functional.normalize(i.pooled, dim=-1) @ nn.functional.normalize(t.pooled, dim=-1).T
            ),
        )
    with torch.no_grad():
        text = model.embed_texts(PROMPTS)
    pixels = pixels_of(32).double()
    found = grad_cam(model, model.image_tower.blocks, pixels, text)
    expected = by_differences(model, model.image_tower.blocks, pixels, text, patches=16)
    assert found.dtype == torch.float32
    assert found.max() > 1e-4
    # Attention weights and logits of the cross-attention head are rounded to float32.
    tolerance = 1e-6 if head == "cosine" else 0.03 * expected.max().item()
    assert np.allclose(found, expected, atol=tolerance)


def test_grad_cam_of_carzero_agrees_with_differences():
    config = CarZeroConfig.tiny()
    model = CarZero.from_state_dict(make_weights(config, "cam"), config).double()
    made = make_prompts("cam", TINY_PROMPTS)
    with torch.no_grad():
        text = model.encode_text(made.input_ids[:3], made.attention_mask[:3], made.is_continuation[:3])
    pixels = make_pixels([1, 2], config).double()
    last = model.image_tower.blocks[-1]
    found = grad_cam(model, last, pixels, text)
    expected = by_differences(model, last, pixels, text, patches=16)
    assert found.shape == (2, 3, 4, 4)
    assert found.max() > 1e-6
    assert np.allclose(found, expected, atol=1e-5 * expected.max().item(), rtol=1e-4)


class Linear(nn.Module):
    """Two channels, the pixels and their negative, in cells of 8 x 8; the logit weighs their means."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.AvgPool2d(8)

    def encode_image(self, pixels):
        maps = self.blocks(torch.cat([pixels, -pixels], dim=1))
        local = maps.flatten(2).transpose(1, 2)
        return ImageFeatures(local.mean(dim=1), local, (2, 2))

    def similarity(self, image, text):
        return image.pooled @ text.pooled.T


def test_grad_cam_of_a_linear_model_is_its_class_activation_map():
    cells = torch.tensor([[1.0, 2.0], [-3.0, 4.0]])
    pixels = cells.repeat_interleave(8, 0).repeat_interleave(8, 1)[None, None]
    weights = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    text = TextFeatures(weights, weights.unsqueeze(1), torch.ones(3, 1, dtype=torch.bool))
    model = Linear()
    found = grad_cam(model, model.blocks, pixels, text)[0]
    # The mean gradient by a channel is its weight over the four cells.
    assert found[0].tolist() == [[0.5, 1.0], [0.0, 2.0]]
    assert found[1].tolist() == [[0.0, 0.0], [0.75, 0.0]]
    assert found[2].tolist() == [[0.0, 0.0], [0.0, 0.0]]  # both channels cancel


class Tokens(Linear):
    """The same cells as tokens behind `prefix` others, in a tuple; `forget` leaves too few of them."""

    def __init__(self, prefix, forget=0):
        super().__init__()
        self.prefix, self.forget = prefix, forget
        self.blocks = Second()

    def encode_image(self, pixels):
        maps = nn.functional.avg_pool2d(torch.cat([pixels, -pixels], dim=1), 8)
        local = maps.flatten(2).transpose(1, 2)
        first = torch.full_like(local[:, :1], 7.0).expand(-1, self.prefix, -1)
        tokens, _ = self.blocks(torch.cat([first, local], dim=1)[:, self.forget :])
        return ImageFeatures(tokens[:, self.prefix :].mean(dim=1), local, (2, 2))


class Second(nn.Module):
    """Gives a tuple."""

    def forward(self, x):
        return x * 1.0, "and more"


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_tokens_before_those_of_the_grid_are_left_out_of_grad_cam(prefix):
    cells = torch.tensor([[1.0, 2.0], [-3.0, 4.0]])
    pixels = cells.repeat_interleave(8, 0).repeat_interleave(8, 1)[None, None]
    weights = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    text = TextFeatures(weights, weights.unsqueeze(1), torch.ones(2, 1, dtype=torch.bool))
    model = Tokens(prefix)
    found = grad_cam(model, model.blocks, pixels, text)[0]
    assert found[0].tolist() == [[0.5, 1.0], [0.0, 2.0]]
    assert found[1].tolist() == [[0.0, 0.0], [0.75, 0.0]]


def test_a_layer_without_cells_and_one_that_never_runs_are_refused():
    pixels, weights = torch.zeros(1, 1, 16, 16), torch.ones(1, 2)
    text = TextFeatures(weights, weights.unsqueeze(1), torch.ones(1, 1, dtype=torch.bool))
    with pytest.raises(InputError, match=r"output \(1, 3, 2\) has no cells for a grid of 2 x 2"):
        grad_cam(model := Tokens(prefix=0, forget=1), model.blocks, pixels, text)
    with pytest.raises(InputError, match="took no part"):
        grad_cam(Tokens(prefix=0), nn.Identity(), pixels, text)


def test_attention_times_gradient_agrees_with_differences(tiny_model):
    model = tiny_model("cross-attention")
    head = copy.deepcopy(model.head).double()
    with torch.no_grad():
        image = model.encode_image(pixels_of(32))
        text = model.embed_texts(PROMPTS)
    image = ImageFeatures(image.pooled.double(), image.local.double(), image.grid)
    text = TextFeatures(text.pooled.double(), text.tokens.double(), text.mask)
    found = attention_gradient(head, image, text)
    with torch.no_grad():
        attention = head.attention(image, text)
        expected = torch.zeros(2, 3, 16)
        # The logit is rounded to float32, and is nearly linear in the attention: a large step does.
        for index in np.ndindex(*attention.shape):
            b, _, t, p = index
            if p == 0:
                continue
            shift = torch.zeros_like(attention)
            shift[index] = 0.05
            up, down = (head.answer(attention + s * shift, image, text)[b, t] for s in (1, -1))
            gradient = (up - down).item() / 0.1
            expected[b, t, p - 1] += max(0.0, gradient * attention[index].item()) / head.heads
    assert found.shape == (2, 3, 4, 4)
    assert found.max() > 1e-4
    assert np.allclose(found.flatten(2), expected, atol=0.01 * expected.max().item())


@pytest.mark.parametrize("head", ["cosine", "cross-attention"])
def test_every_map_is_the_same_in_inference_mode_and_leaves_nothing_behind(tiny_model, head):
    model = tiny_model(head)
    pixels = pixels_of(32, images=11)  # more than are computed at a time
    with torch.inference_mode():
        text = model.embed_texts(PROMPTS)
        inside = {name: maps(pixels.clone(), text).clone() for name, maps in map_methods(model).items()}
        assert torch.is_inference_mode_enabled()
    with torch.no_grad():
        text = model.embed_texts(PROMPTS)
        for name, maps in map_methods(model).items():
            assert torch.allclose(maps(pixels, text), inside[name], atol=1e-6), name
            single = torch.cat([maps(one, text) for one in pixels.split(1)])
            assert torch.allclose(single, inside[name], atol=1e-5), name
        assert not torch.is_grad_enabled()
    assert all(weights.grad is None for weights in model.parameters())
    assert not model.image_tower.blocks._forward_hooks


def test_frozen_weights_change_nothing(tiny_model):
    model = tiny_model("cross-attention")
    frozen = copy.deepcopy(model).requires_grad_(False)
    pixels = pixels_of(32)
    with torch.no_grad():
        text = model.embed_texts(PROMPTS)
    for name, maps in map_methods(model).items():
        assert torch.allclose(maps(pixels, text), map_methods(frozen)[name](pixels, text), atol=1e-7), name


def test_the_hook_goes_when_the_model_fails(tiny_model):
    model = tiny_model()
    with torch.no_grad():
        text = model.embed_texts(PROMPTS)
    with pytest.raises(RuntimeError):
        grad_cam(model, model.image_tower.blocks, torch.zeros(1, 3, 32, 32), text)
    assert not model.image_tower.blocks._forward_hooks
    assert torch.is_grad_enabled()


def test_the_split_head_computes_what_it_did(tiny_model):
    """`answer(attention)` is the forward pass: the values of all cells, mixed by the attention."""
    model = tiny_model("cross-attention")
    head = model.head
    with torch.no_grad():
        image, text = model.encode_image(pixels_of(32)), model.embed_texts(PROMPTS)
        memory = head.norm_image(torch.cat([image.pooled.unsqueeze(1), image.local], dim=1))
        queries = head.norm_text(text.pooled)
        for b in range(2):
            for t in range(3):
                found = []
                for h in range(head.heads):
                    part = slice(h * 4, (h + 1) * 4)
                    q, k = head.query(queries[t])[part], head.key(memory[b])[:, part]
                    weights = (k @ q / 2).softmax(dim=0)
                    found.append(weights @ head.value(memory[b])[:, part])
                    assert torch.allclose(head.attention(image, text)[b, h, t], weights, atol=1e-6)
                logit = head.score(queries[t] * head.mix(torch.cat(found))) + head.bias
                assert torch.allclose(model.similarity(image, text)[b, t], logit[0], atol=1e-5)

"""Options beyond exactness: what they change, and what they leave alone."""

import numpy as np
import pytest
import torch
from carzero_small import CONFIG, PROMPTS, Store, Words
from torch import nn

from offclip.errors import ConfigError
from offclip.models.carzero.fixture import make_pixels, make_weights
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.precision import Graphed, Int8Linear, with_options
from offclip.models.carzero.scoring import PRECISIONS, ScoringOptions
from offclip.zeroshot.score import score_images


@pytest.fixture(scope="module")
def model() -> CarZero:
    model = CarZero.from_state_dict(make_weights(CONFIG, "precision"), CONFIG)
    model.tokenizer = Words()
    return model


@pytest.mark.parametrize("precision", PRECISIONS)
def test_errors_are_small_and_only_float32_has_none(model, precision):
    store = Store(CONFIG.image_size, 4)
    exact = score_images(model, store, PROMPTS).logits
    faster = with_options(model, ScoringOptions(precision))
    logits = score_images(faster, store, PROMPTS).logits
    error = np.abs(logits - exact).max()
    if precision == "fp32":
        assert error == 0
    else:
        assert 1e-5 < error < 0.3 < np.ptp(exact)
    assert np.array_equal(score_images(model, store, PROMPTS).logits, exact)  # the given model is as it was


@pytest.mark.parametrize("precision", ["bf16-towers", "bf16", "int8-towers"])
@torch.inference_mode()
def test_towers_are_exchanged_and_the_rest_is_shared(model, precision):
    faster = with_options(model, ScoringOptions(precision))
    assert faster.image_tower is not model.image_tower
    assert faster.fusion is model.fusion
    assert faster.preprocess is model.preprocess
    assert not faster.training
    image = faster.encode_image(make_pixels([1], CONFIG))
    assert image.pooled.dtype == image.local.dtype == torch.float32
    assert image.grid == (4, 4)
    text = faster.embed_texts(PROMPTS)
    assert text.tokens.dtype == torch.float32
    assert text.mask.dtype == torch.bool
    bits = {p.dtype for p in [*faster.image_tower.parameters(), *faster.image_tower.buffers()]}
    assert (torch.int8 if precision == "int8-towers" else torch.bfloat16) in bits


@torch.inference_mode()
def test_int8_layer_is_the_layer_up_to_two_roundings():
    torch.manual_seed(0)
    linear = nn.Linear(64, 40)
    x = torch.randn(3, 5, 64) * torch.tensor([1e-3, 1.0, 50.0]).view(3, 1, 1)
    found, expected = Int8Linear(linear)(x), linear(x)
    allowed = 64**0.5 * (x.abs().amax(-1) / 127 * 0.1 + 0.1 / 127 * x.abs().amax(-1))
    assert found.shape == expected.shape
    assert (
        (found - expected).abs().amax(-1) <= allowed
    ).all()  # row by row: large rows do not hurt small ones
    assert torch.equal(Int8Linear(linear)(torch.zeros(2, 64)), linear.bias.expand(2, -1))


def test_cuda_graphs_without_cuda_are_refused(model):
    with pytest.raises(ConfigError, match="CUDA"):
        with_options(model, ScoringOptions(cuda_graphs=True))


@torch.inference_mode()
def test_compiled_code_is_asked_for_the_image_tower_alone(model, monkeypatch):
    asked = []

    def compiled(function):
        asked.append(function)
        return lambda pixels: function(pixels) + 1

    monkeypatch.setattr(torch, "compile", compiled)
    faster = with_options(model, ScoringOptions(compile=True))
    pixels = make_pixels([1, 2], CONFIG)
    assert len(asked) == 1
    assert torch.allclose(faster.encode_image(pixels).pooled, model.encode_image(pixels).pooled + 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@torch.inference_mode()
def test_a_graph_repeats_the_function_for_each_shape():
    graphed = Graphed(lambda x: (x @ x.T).relu())
    for size in (3, 4, 3):
        x = torch.randn(size, 8, device="cuda")
        assert torch.allclose(graphed(x), (x @ x.T).relu())
    assert len(graphed.recorded) == 2

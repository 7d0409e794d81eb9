"""The grid of a batch in chunks: the same logits and gradients as the plain form, in less memory."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from offclip.errors import ConfigError
from offclip.losses import carzero_loss, info_nce_loss, off_clip_loss, symmetrised
from offclip.models import ImageFeatures, TextFeatures
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.grid import fill_slots, grid_logits
from offclip.models.carzero.model import CarZero

CONFIG = CarZeroConfig.tiny()
BATCH, WORDS = 7, 9  # no chunk size but 1 and 7 divides the batch
NORMAL = torch.tensor([1, 0, 1, 0, 0, 1, 0]).bool()
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "carzero": carzero_loss,
    "off-clip": lambda i2t, t2i: symmetrised(off_clip_loss, i2t, t2i.T, NORMAL),
}


def make_model(dtype: torch.dtype = torch.float64, dropout: float = 0.0) -> CarZero:
    """Weights that are all different: no bias is zero, no norm is plain."""
    torch.manual_seed(0)
    model = CarZero(CONFIG, dropout).to(dtype).train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def make_features(dtype: torch.dtype = torch.float64) -> tuple[ImageFeatures, TextFeatures]:
    """What two towers would give, as leaves of the graph; the texts are of different lengths."""
    generator = torch.Generator().manual_seed(1)

    def leaf(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    patches = CONFIG.grid[0] * CONFIG.grid[1]
    image = ImageFeatures(leaf(BATCH, CONFIG.width), leaf(BATCH, patches, CONFIG.width), CONFIG.grid)
    mask = torch.arange(WORDS) < torch.tensor([9, 4, 5, 3, 9, 6, 4])[:, None]
    return image, TextFeatures(leaf(BATCH, CONFIG.width), leaf(BATCH, WORDS, CONFIG.width), mask)


def plain(model: CarZero, image: ImageFeatures, text: TextFeatures) -> tuple[Tensor, Tensor]:
    return model.i2t(image, text), model.t2i(image, text)


def gradients(model: CarZero, form: Callable[..., tuple[Tensor, Tensor]], loss: str) -> dict[str, Tensor]:
    """The loss, and its gradient in everything that the grid depends on."""
    dtype = next(model.fusion.parameters()).dtype
    image, text = make_features(dtype)
    model.zero_grad()
    torch.manual_seed(2)
    value = LOSSES[loss](*form(model, image, text))
    value.backward()
    inputs = {"image.pooled": image.pooled, "image.local": image.local}
    inputs |= {"text.pooled": text.pooled, "text.tokens": text.tokens}
    inputs |= dict(model.fusion.named_parameters())
    if (
        loss == "carzero"
    ):  # a constant on all logits changes nothing: the gradient is zero, give or take rounding
        assert abs(float(inputs.pop("mlp_head.9.bias").grad)) < 1e-6
    found = {name: tensor.grad for name, tensor in inputs.items()}
    assert all(grad is not None and bool(grad.any()) for grad in found.values())
    return {
        "loss": value.detach(),
        **{name: grad.clone() for name, grad in found.items() if grad is not None},
    }


def furthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The greatest difference, each tensor measured by its own greatest value."""
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max() / other[name].abs().max()) for name in one)


def in_chunks(chunk: int, recompute: bool = True) -> Callable[..., tuple[Tensor, Tensor]]:
    return lambda model, image, text: grid_logits(model, image, text, chunk=chunk, recompute=recompute)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-5)])
def test_loss_and_gradients_are_those_of_the_plain_form(dtype, tolerance, chunk, loss):
    model = make_model(dtype)
    assert furthest(gradients(model, in_chunks(chunk), loss), gradients(model, plain, loss)) < tolerance


@pytest.mark.parametrize("chunk", [1, 3, 7])
def test_recomputation_draws_the_same_dropout(chunk):
    model = make_model(dropout=0.3)
    kept, again = (gradients(model, in_chunks(chunk, recompute), "carzero") for recompute in (False, True))
    assert furthest(again, kept) < 1e-12
    without = gradients(make_model(dropout=0.0), in_chunks(chunk), "carzero")
    assert furthest(again, without) > 1e-2  # there was dropout


def test_mixed_precision_is_the_same_in_the_recomputation():
    model, image_and_text, found = make_model(torch.float32, dropout=0.3), make_features(torch.float32), []
    for recompute in (False, True):
        torch.manual_seed(2)
        with torch.autocast("cpu", torch.bfloat16):
            i2t, t2i = grid_logits(model, *image_and_text, chunk=3, recompute=recompute)
        assert i2t.dtype == t2i.dtype == torch.float32
        weight = model.fusion.decoder.get_parameter("layers.0.multihead_attn.in_proj_weight")
        found.append(
            (i2t, t2i, *torch.autograd.grad(carzero_loss(i2t, t2i), [weight, image_and_text[0].local]))
        )
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_in_one_chunk_even_the_dropout_is_that_of_the_plain_form():
    model = make_model(dropout=0.3)
    assert furthest(gradients(model, in_chunks(BATCH), "carzero"), gradients(model, plain, "carzero")) < 1e-12


def test_dropout_acts_where_carzero_has_it(monkeypatch):
    """In each layer on attention weights, what was found, hidden and result; before the head, and in it."""
    places, dropout, attend = [], F.dropout, F.scaled_dot_product_attention

    def count_dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
        places.append((x.shape[-1], p * training))
        return dropout(x, p, training)

    def count_attention(query, key, value, mask, p) -> Tensor:
        places.append(("attention", p))
        return attend(query, key, value, mask, p)

    monkeypatch.setattr(F, "dropout", count_dropout)
    monkeypatch.setattr(F, "scaled_dot_product_attention", count_attention)
    model, (image, text) = make_model(dropout=0.5), make_features()
    for probability in (0.5, 0.0):
        places.clear()
        grid_logits(model.train(probability > 0), image, text, chunk=BATCH)
        layer = ["attention", CONFIG.width, CONFIG.fusion_hidden, CONFIG.width]
        expected = layer * CONFIG.fusion_layers + [CONFIG.width, *CONFIG.head_widths]
        assert places == [(place, probability) for place in expected * 2]


def test_the_random_state_after_it_does_not_depend_on_recomputation():
    model, states = make_model(dropout=0.3), []
    for recompute in (True, False):
        gradients(model, in_chunks(3, recompute), "carzero")
        states.append(torch.random.get_rng_state())
    assert torch.equal(*states)


def test_spelt_out_slots_give_the_same_gradients():
    model = make_model()

    def spelt_out(model, image, text):
        return grid_logits(model, image, fill_slots(text, CONFIG.slots), chunk=3)

    # The logarithm of the number of empty slots is a float32.
    assert furthest(gradients(model, spelt_out, "carzero"), gradients(model, plain, "carzero")) < 1e-6


def test_spelt_out_slots_have_a_dropout_each():
    """With the words of a text masked away, its memory is 1 + slots vectors; all of them are kept apart."""
    _, text = make_features()
    filled = fill_slots(text, CONFIG.slots)
    assert filled.tokens.shape == (BATCH, CONFIG.slots, CONFIG.width)
    assert bool(filled.mask.all())
    assert not filled.tokens[~F.pad(text.mask, (0, CONFIG.slots - WORDS))].any()
    bias = make_model().text_memory(filled).bias
    assert bias is not None
    assert bias[:, 0, 0].tolist() == [[0.0] * (1 + CONFIG.slots) + [-math.inf]] * BATCH


def test_a_text_that_fills_all_slots_stays():
    full = TextFeatures(torch.ones(2, 4), torch.ones(2, 5, 4), torch.ones(2, 5).bool())
    assert fill_slots(full, 5).tokens.equal(full.tokens)


def test_images_and_texts_may_differ_in_number():
    model, (image, text) = make_model(), make_features()
    few = TextFeatures(text.pooled[:3], text.tokens[:3], text.mask[:3])
    i2t, t2i = grid_logits(model, image, few, chunk=2)
    assert torch.allclose(i2t, model.i2t(image, few))
    assert torch.allclose(t2i, model.t2i(image, few))
    assert i2t.shape == t2i.shape == (BATCH, 3)


def test_kept_bytes_grow_with_the_chunk_and_not_with_the_grid():
    """Bytes that the graph holds between the passes and, at most, inside the backward pass of a chunk."""
    model, (image, text) = make_model(), make_features()
    kept = {chunk: held_bytes(lambda c=chunk: grid_logits(model, image, text, chunk=c)) for chunk in (1, 7)}
    whole = held_bytes(lambda: plain(model, image, text))
    assert kept[1] == kept[7]  # nothing of the decoder outlives the forward pass
    assert kept[7] < whole / 20
    assert held_bytes(lambda: grid_logits(model, image, text, chunk=1, recompute=False)) > 0.9 * whole


def held_bytes(form: Callable[[], object]) -> int:
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = form()
    assert result is not None
    return sum(held.values())


@pytest.mark.parametrize("chunk", [0, -1])
def test_a_chunk_below_one_is_refused(chunk):
    with pytest.raises(ConfigError, match="chunk is"):
        grid_logits(make_model(), *make_features(), chunk=chunk)


def test_the_model_trains_on_both_matrices_with_its_options():
    model, (image, text) = make_model(dropout=0.3), make_features()
    model.grid_chunk, model.grid_recompute = 3, False
    torch.manual_seed(4)
    i2t, t2i = model.training_logits(image, text)
    torch.manual_seed(4)
    expected = grid_logits(model, image, text, chunk=3)
    assert torch.equal(i2t, expected[0])
    assert torch.equal(t2i, expected[1])
    model.eval()
    i2t, t2i = model.training_logits(image, text)
    assert torch.allclose((i2t + t2i) / 2, model.similarity(image, text))


def test_carzero_loss_is_the_sum_of_both_directions():
    torch.manual_seed(0)
    i2t, t2i = torch.randn(2, 5, 5).unbind()
    target = torch.arange(5)
    entropy = F.cross_entropy
    expected = sum((entropy(m, target) + entropy(m.T, target)) / 2 for m in (i2t, t2i.T))
    assert torch.allclose(carzero_loss(i2t, t2i), torch.as_tensor(expected))
    assert torch.allclose(
        carzero_loss(i2t, t2i), 2 * symmetrised(lambda m, *_, **__: info_nce_loss(m), i2t, t2i.T, NORMAL)
    )


def whole_step(model: CarZero) -> dict[str, Tensor]:
    """Gradients of a step through both towers."""
    torch.manual_seed(5)
    pixels = torch.randn(4, 1, CONFIG.image_size, CONFIG.image_size, dtype=torch.float64)
    ids = torch.randint(103, CONFIG.vocabulary_size, (4, 8))
    mask = torch.arange(8) < torch.tensor([8, 5, 6, 8])[:, None]
    continues = torch.zeros_like(ids).bool().index_fill(1, torch.tensor(3), True)
    model.zero_grad()
    torch.manual_seed(6)
    text = model.encode_text(ids, mask, continues)
    carzero_loss(*model.training_logits(model.encode_image(pixels), text)).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_every_weight_gets_a_gradient_but_the_frozen_positions():
    """So DistributedDataParallel has no unused parameters to look for."""
    model = make_model(dropout=0.1)
    names = {name for name, _ in model.named_parameters()}
    assert names - whole_step(model).keys() == {"image_tower.pos_embed"}


def test_recomputed_towers_give_the_same_gradients():
    model = make_model(dropout=0.2)
    kept = whole_step(model)
    model.image_tower.recompute = model.text_tower.recompute = True
    assert furthest(whole_step(model), kept) < 1e-12

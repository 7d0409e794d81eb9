"""Both heads: shapes, values, batch independence, half precision, heat maps."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from offclip.models import (
    ARCHITECTURES,
    ImageFeatures,
    TextFeatures,
    TextTokenizer,
    architecture,
    build_model,
)
from offclip.models.heads import MAX_LOGIT_SCALE, CosineHead

HEADS = ["cosine", "cross-attention"]
TEXTS = ["There is no finding.", "There is a nodule.", "nodule of the right lung, pleural effusion"]


@pytest.fixture(params=HEADS)
def model(request, tiny_model):
    return tiny_model(request.param)


def pixels(n: int, size: int = 32) -> torch.Tensor:
    return torch.randn(n, 1, size, size, generator=torch.Generator().manual_seed(1))


def features(b=3, t=2, cells=(4, 5), dim=16):
    generator = torch.Generator().manual_seed(0)
    local = torch.randn(b, cells[0] * cells[1], dim, generator=generator)
    image = ImageFeatures(torch.randn(b, dim, generator=generator), local, cells)
    tokens = torch.randn(t, 6, dim, generator=generator)
    return image, TextFeatures(torch.randn(t, dim, generator=generator), tokens, torch.ones(t, 6).bool())


@torch.inference_mode()
@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("head", HEADS)
def test_shapes(tiny_model, head, size):
    model = tiny_model(head, size)
    image, text = model.encode_image(pixels(3, size)), model.embed_texts(TEXTS[:2])
    rows, columns = image.grid
    assert rows == columns
    assert image.pooled.shape == (3, 16)
    assert image.local.shape == (3, rows * columns, 16)
    assert text.pooled.shape == (2, 16)
    assert text.tokens.shape[:2] == text.mask.shape
    assert model.similarity(image, text).shape == (3, 2)
    assert model.heat_map(image, text).shape == (3, 2, rows, columns)


@torch.inference_mode()
def test_an_image_alone_scores_as_in_a_batch(model):
    text = model.embed_texts(TEXTS)
    together = model.similarity(model.encode_image(pixels(5)), text)
    alone = torch.cat([model.similarity(model.encode_image(p[None]), text) for p in pixels(5)])
    assert torch.allclose(together, alone, atol=1e-5)
    assert together.std(dim=0).min() > 0


@torch.inference_mode()
def test_a_text_alone_scores_as_beside_a_longer_one(model):
    image = model.encode_image(pixels(2))
    together = model.similarity(image, model.embed_texts(TEXTS))
    alone = torch.cat([model.similarity(image, model.embed_texts([text])) for text in TEXTS], dim=1)
    assert torch.allclose(together, alone, atol=1e-5)
    assert together.std(dim=1).min() > 0


def test_logits_and_gradients_are_finite_in_bf16(model):
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        image, text = model.encode_image(pixels(4) * 20), model.embed_texts(TEXTS)
        logits, maps = model.similarity(image, text), model.heat_map(image, text)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    assert maps.float().isfinite().all()
    logits.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_every_weight_learns(model):
    model.train()
    image, text = model.encode_image(pixels(4)), model.embed_texts(TEXTS)
    (model.similarity(image, text) * torch.arange(12.0).view(4, 3)).sum().backward()
    # The key's bias shifts all attention logits of a query alike, so its gradient is zero.
    silent = [n for n, p in model.named_parameters() if p.grad is None]
    assert not silent


def test_the_cosine_head_is_its_formula():
    image, text = features()
    head = CosineHead(logit_scale=7.0, logit_bias=-3.0)
    for i in range(3):
        for t in range(2):
            x, y = image.pooled[i].double(), text.pooled[t].double()
            expected = 7 * (x @ y) / (x.norm() * y.norm()) - 3
            assert head(image, text)[i, t].item() == pytest.approx(expected.item(), abs=1e-5)


def test_the_cosine_map_is_the_dot_product_of_each_cell():
    image, text = features()
    maps = CosineHead().heat_map(image, text)
    unit = F.normalize(text.pooled, dim=-1)
    assert maps.shape == (3, 2, 4, 5)
    assert maps[1, 0, 2, 3].item() == pytest.approx((image.local[1, 2 * 5 + 3] @ unit[0]).item(), abs=1e-5)


def test_the_scale_cannot_run_away():
    head = CosineHead()
    nn.init.constant_(head.log_scale, 50.0)
    assert head.scale() == MAX_LOGIT_SCALE
    assert head(*features()).isfinite().all()


@torch.inference_mode()
def test_an_attention_map_is_a_share(tiny_model):
    model = tiny_model("cross-attention")
    maps = model.heat_map(model.encode_image(pixels(2)), model.embed_texts(TEXTS))
    assert (maps >= 0).all()
    assert (maps.sum(dim=(-2, -1)) <= 1 + 1e-5).all()


@torch.inference_mode()
def test_a_map_sees_the_place_of_a_change(tiny_model):
    model = tiny_model(image_size=64)
    blank = torch.zeros(1, 1, 64, 64)
    spot = blank.clone()
    spot[..., 40:48, 8:16] = 5.0
    text = model.embed_texts(TEXTS[:1])
    change = model.heat_map(model.encode_image(spot), text) - model.heat_map(model.encode_image(blank), text)
    row, column = divmod(int(change[0, 0].abs().argmax()), 8)
    assert abs(row - 5) <= 1
    assert abs(column - 1) <= 1


def test_the_compact_towers_have_the_promised_size():
    sentences = [f"There is finding {i} of lobe {j}." for i in range(60) for j in range(20)]
    for name in ("compact", "compact-cross-attention", "compact-large"):
        model = build_model(architecture(name), TextTokenizer.fit(sentences))
        for tower in (model.image_tower, model.text_tower):
            assert 250_000 <= sum(p.numel() for p in tower.parameters()) <= 2_000_000


def test_initial_similarities_differ_between_images(tiny_model):
    # A tower that maps all films to one vector at first gives a contrastive loss nothing to work with.
    model = tiny_model().train()
    logits = model.similarity(model.encode_image(pixels(8)), model.embed_texts(TEXTS))
    assert logits.std(dim=0).min() > 0.1


def test_all_architectures_build():
    tokenizer = TextTokenizer.fit(TEXTS)
    for config in ARCHITECTURES.values():
        assert build_model(config, tokenizer).config is config

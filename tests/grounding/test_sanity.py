"""Weight randomisation: what is shuffled, how alike maps are, and which maps fail."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from offclip.errors import InputError
from offclip.grounding.maps import map_methods
from offclip.grounding.sanity import (
    DEPENDS,
    INDEPENDENT,
    PARTLY,
    likeness,
    randomise,
    spearman,
    ssim,
    stages,
    verdict,
)
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.model import CarZero

PROMPTS = ["There is a nodule of right lung.", "There is pleural effusion."]


def edges(model, pixels, text):
    """A map that shows the edges of the film, whatever the model."""
    del model
    film = pixels[:, 0].double()
    edge = torch.zeros_like(film)
    edge[:, :, 1:] += (film[:, :, 1:] - film[:, :, :-1]).abs()
    edge[:, 1:] += (film[:, 1:] - film[:, :-1]).abs()
    return torch.nn.functional.avg_pool2d(edge, 8).unsqueeze(1).expand(-1, len(text.pooled), -1, -1)


def constant(model, pixels, text):
    del model
    return torch.ones(len(pixels), len(text.pooled), 4, 4)


def flipping(model, pixels, text):
    """Edges again, turned over by a weight: the sign depends on the model, and nothing else does."""
    return edges(model, pixels, text) * next(model.image_tower.parameters()).flatten()[0].sign()


def own(name):
    return lambda model, pixels, text: map_methods(model)[name](pixels, text)


@pytest.mark.parametrize(
    ("head", "compute", "expected"),
    [
        ("cosine", edges, INDEPENDENT),
        ("cosine", constant, INDEPENDENT),
        ("cosine", flipping, INDEPENDENT),
        ("cosine", own("similarity"), DEPENDS),
        ("cosine", own("grad-cam"), DEPENDS),
        ("cross-attention", own("gradient-attention"), DEPENDS),
    ],
)
def test_a_map_of_the_image_alone_fails_and_one_of_the_model_passes(tiny_model, head, compute, expected):
    model = tiny_model(head)
    pixels = torch.rand(6, 1, 32, 32, generator=torch.Generator().manual_seed(3)) * 4 - 2
    with torch.no_grad():
        correlations = []
        maps = compute(model, pixels, model.embed_texts(PROMPTS)).numpy()
        for seed in range(5):
            other = randomise(model, seed)
            shuffled = compute(other, pixels, other.embed_texts(PROMPTS)).numpy()
            correlations += [
                likeness(maps[b, t], shuffled[b, t]).spearman for b in range(6) for t in range(2)
            ]
    assert verdict(correlations) == expected


def test_shuffled_weights_are_the_same_values_elsewhere(tiny_model):
    model = tiny_model()
    before = {name: weights.clone() for name, weights in model.named_parameters()}
    shuffled = dict(randomise(model, 1).named_parameters())
    moved = 0
    for name, weights in model.named_parameters():
        assert torch.equal(weights, before[name])
        assert torch.equal(weights.flatten().sort().values, shuffled[name].flatten().sort().values)
        moved += not torch.equal(weights, shuffled[name])
    assert moved > 10
    again = dict(randomise(model, 1).named_parameters())
    assert all(torch.equal(again[name], shuffled[name]) for name in again)
    other = dict(randomise(model, 2).named_parameters())
    assert not torch.equal(other["image_tower.stem.0.weight"], shuffled["image_tower.stem.0.weight"])


def test_weights_go_from_the_logit_to_the_pixels(tiny_model):
    for model in (tiny_model(), CarZero(CarZeroConfig.tiny())):
        names = [name for name, _ in stages(model)]
        assert len(names) == len(set(names))
        towers = [name.startswith("image_tower") for name in names]
        assert towers == sorted(towers)
        assert sum(len(weights) for _, weights in stages(model)) == len(list(model.parameters()))
    blocks = [name for name in names if ".blocks." in name]
    assert blocks == sorted(blocks, reverse=True)
    assert names[-1] in ("image_tower.cls_token", "image_tower.patch_embed")
    model = tiny_model()
    few = dict(randomise(model, 0, 2).named_parameters())
    for name, weights in model.named_parameters():
        if name.startswith("image_tower"):
            assert torch.equal(weights, few[name])
    assert not torch.equal(few["text_tower.token.weight"], model.text_tower.token.weight)
    everything = dict(randomise(model, 0, len(stages(model))).named_parameters())
    assert all(torch.equal(everything[n], w) for n, w in randomise(model, 0).named_parameters())


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=12, max_size=12),
    st.lists(st.integers(0, 4), min_size=12, max_size=12),
)
def test_rank_correlation_is_that_of_scipy(one, other):
    a, b = np.array(one).reshape(3, 4), np.array(other).reshape(3, 4)
    if np.ptp(a) and np.ptp(b):
        assert spearman(a, b) == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)


def test_constant_maps_are_alike_and_like_no_other():
    flat, sloped = np.ones((3, 3)), np.arange(9.0).reshape(3, 3)
    assert spearman(flat, 5 * flat) == 1
    assert spearman(flat, sloped) == 0
    assert likeness(flat, 0 * flat).ssim == 1
    assert likeness(sloped, -sloped).spearman == pytest.approx(-1)


@pytest.mark.parametrize(("shape", "window"), [((8, 8), 7), ((14, 14), 7), ((5, 9), 3), ((4, 4), 7)])
def test_structural_similarity_is_that_of_a_loop(shape, window):
    rng = np.random.default_rng(1)
    a, b = rng.random(shape), rng.random(shape)
    rows, columns = min(window, shape[0]), min(window, shape[1])
    values = []
    for r in range(shape[0] - rows + 1):
        for c in range(shape[1] - columns + 1):
            x, y = (m[r : r + rows, c : c + columns].ravel() for m in (a, b))
            cov = np.cov(x, y)
            luminance = (2 * x.mean() * y.mean() + 1e-4) / (x.mean() ** 2 + y.mean() ** 2 + 1e-4)
            values.append(luminance * (2 * cov[0, 1] + 9e-4) / (cov[0, 0] + cov[1, 1] + 9e-4))
    assert ssim(a, b, window) == pytest.approx(np.mean(values), abs=1e-12)
    assert ssim(a, a, window) == pytest.approx(1)


def test_the_verdict_between_the_limits_and_its_edges():
    assert verdict([0.49]) == DEPENDS
    assert verdict([0.5]) == PARTLY
    assert verdict([0.8]) == INDEPENDENT
    assert verdict([-0.9, 0.9]) == INDEPENDENT  # turned over is not changed
    with pytest.raises(InputError, match="No map"):
        verdict([])
    with pytest.raises(InputError, match="cells"):
        likeness(np.ones((2, 2)), np.ones((2, 3)))

"""Chunks give the gradients of the whole batch."""

import copy

import numpy as np
import pytest
import torch
from refining_models import SENTENCES, make_adapted, make_carzero

from offclip.data.loader import PixelStore
from offclip.data.sampling import Batch
from offclip.errors import ConfigError
from offclip.losses import OffClipLoss, averaged
from offclip.training import TrainConfig
from offclip.training.features import Features, joined_images, joined_texts, pair_logits
from offclip.training.gradient_cache import backward, refuse_batch_norm
from offclip.training.precision import Precision
from offclip.training.tuning import Tuning, tune

FP32 = Precision("fp32", torch.device("cpu"))


def make_batch(n: int = 7) -> Batch:
    rng = np.random.default_rng(0)
    texts = rng.integers(0, len(SENTENCES), n)
    return Batch(np.arange(n), texts, texts % 2 == 0, np.zeros(n, bool))


def make_store(model, n: int = 7) -> PixelStore:
    size = model.preprocess.size
    squares = np.random.default_rng(1).integers(0, 255, (n, size, size), dtype=np.uint8)
    return PixelStore(tuple(map(str, range(n))), squares, ())


def keep_the_graph(encoders, loss_of, chunk, _precision):
    """The same chunks with the same random numbers, in one pass."""
    text = joined_texts([encoders.text(part) for part in parts(encoders.texts, chunk)])
    image = joined_images([encoders.image(part) for part in parts(encoders.images, chunk)])
    loss = loss_of(image, text)
    loss.backward()
    return loss.detach()


def parts(count, chunk):
    return [slice(start, start + chunk) for start in range(0, count, chunk)]


def step(model, chunk: int, tuning: Tuning | None = None, double: bool = True, way=backward):
    """Loss and gradients of one batch."""
    training = model.training
    model = copy.deepcopy(model) if tuning is None else model
    tuning = tuning or Tuning(model)
    if double:
        model.double()
        normalise = model.preprocess.normalise
        model.preprocess = Double(model.preprocess.size, normalise)
    config = TrainConfig(cache_chunk=chunk, augment=False)
    features = Features(tuning, config, FP32, make_store(model), model.tokenizer(SENTENCES))
    batch = make_batch()
    encoders = features.of(batch, (0, 0, 0))
    normal = torch.from_numpy(batch.normal)

    def loss_of(image, text):
        return averaged(OffClipLoss(), pair_logits(model, image, text, encoders.column), normal)

    model.train(training)
    model.zero_grad()
    torch.manual_seed(3)
    loss = way(encoders, loss_of, chunk, FP32)
    return loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


class Double:
    """Pixels in float64."""

    def __init__(self, size, normalise):
        self.size, self._normalise = size, normalise

    def normalise(self, squares):
        return self._normalise(squares).double()


def assert_same(found, expected, **tolerance):
    torch.testing.assert_close(found[0], expected[0], **tolerance)
    assert found[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        torch.testing.assert_close(
            found[1][name], gradient, **tolerance, msg=lambda m, name=name: f"{name}: {m}"
        )


def make(name: str, tiny_model):
    match name:
        case "compact":
            return tiny_model()
        case "cross-attention":
            return tiny_model("cross-attention")
        case "carzero":
            return make_carzero().eval()
        case _:
            return make_adapted()


@pytest.mark.parametrize("chunk", [1, 3, 64])
@pytest.mark.parametrize("name", ["compact", "cross-attention", "carzero", "adapted"])
def test_the_gradients_are_those_of_the_whole_batch(tiny_model, name, chunk):
    model = make(name, tiny_model)
    assert_same(step(model, chunk), step(model, 0), rtol=1e-10, atol=1e-12)


def test_in_float32_they_agree_to_rounding():
    model = make_adapted()
    assert_same(step(model, 2, double=False), step(model, 0, double=False), rtol=1e-4, atol=1e-5)


def test_both_passes_draw_the_same_dropout():
    model = make_carzero().train()
    found = step(model, 3)
    assert_same(found, step(model, 3, way=keep_the_graph), rtol=1e-10, atol=1e-12)
    assert found[0] != step(model.eval(), 3)[0]


def test_a_frozen_tower_works_once_and_its_features_are_kept(monkeypatch):
    model = make_adapted()
    whole = step(model, 0)
    tuning = tune(model, TrainConfig(text_layers="none"), *model.tokenizer(SENTENCES[:1]))
    calls = []
    encode = model.text_tower.forward
    monkeypatch.setattr(model.text_tower, "forward", lambda *a: calls.append(len(a[0])) or encode(*a))
    found = step(model, 2, tuning)
    assert len(SENTENCES) in calls
    assert calls.count(2) == 0
    expected = {n: g for n, g in whole[1].items() if not n.startswith("text_tower")}
    assert_same(found, (whole[0], expected), rtol=1e-10, atol=1e-12)


def test_batch_norm_is_refused_where_it_would_see_the_chunk_alone(tiny_model):
    model = tiny_model()
    refuse_batch_norm(model)
    model.train()
    with pytest.raises(ConfigError, match="the image tower has batch norm") as caught:
        refuse_batch_norm(model)
    assert "image_layers" in caught.value.remedy
    model.image_tower.eval()
    refuse_batch_norm(model)

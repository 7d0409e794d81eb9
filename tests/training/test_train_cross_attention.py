"""Training of the cross-attention model on the phantom, in the loop and outside it."""

import dataclasses
import json

import pytest
import torch
from torch import Tensor, nn

from offclip.data.sampling import EpochSampler
from offclip.images.preprocess import Preprocess
from offclip.losses import OffClipLoss, averaged, carzero_loss
from offclip.models import TextTokenizer
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.model import CarZero
from offclip.training import loop, start
from offclip.training.data import load_training_data
from offclip.training.features import batch_logits
from offclip.training.loop import train
from offclip.training.optimizer import make_optimizer
from offclip.training.state import RunFolder


class WholeWords(TextTokenizer):
    """A tokenizer none of whose pieces goes on with a word."""

    def is_continuation(self, input_ids: Tensor) -> Tensor:
        return torch.zeros_like(input_ids, dtype=torch.bool)


def make_model(tokenizer: TextTokenizer, dropout: float) -> CarZero:
    torch.manual_seed(0)
    size = {"image_size": 32, "patch_size": 8, "image_layers": 2, "text_layers": 4, "fusion_layers": 2}
    config = dataclasses.replace(CarZeroConfig.tiny(), **size)
    model = CarZero(config, dropout)
    model.tokenizer = WholeWords.from_json(tokenizer.to_json())
    assert tokenizer.vocabulary_size <= config.vocabulary_size
    nn.init.normal_(model.image_tower.pos_embed, std=0.2)  # a published file has sines and cosines there
    return model


@pytest.fixture
def carzero_in_the_loop(monkeypatch) -> list[CarZero]:
    """Makes `train` build the cross-attention model, and keeps it."""
    built: list[CarZero] = []

    def build(_geometry, tokenizer: TextTokenizer) -> CarZero:
        built.append(make_model(tokenizer, dropout=0.1))
        return built[-1]

    monkeypatch.setattr(start, "build_model", build)
    monkeypatch.setattr(loop, "save_model", lambda *_, **__: None)
    return built


@pytest.mark.parametrize("objective", ["off-clip", "carzero"])
def test_both_losses_fall_on_a_few_batches(phantom, recipe, tmp_path, objective):
    config = recipe(image_size=32, batch_size=8, learning_rate=2e-3)
    run = RunFolder(tmp_path / "run")
    data = load_training_data(phantom / "studies.parquet", config, Preprocess(size=32), run)
    model = make_model(TextTokenizer.fit(data.train.texts), dropout=0.01).train()
    token_ids, token_mask = model.tokenizer(data.train.texts)
    batches = list(EpochSampler(data.train, config.batch_size).epoch(0))[:2]
    optimizer, off_clip, losses = make_optimizer(model, config), OffClipLoss(), []
    frozen = model.image_tower.pos_embed.clone()
    for step in range(100):
        batch = batches[step % len(batches)]
        squares = data.store.batch(batch.images)
        i2t, t2i = batch_logits(model, squares, batch, token_ids, token_mask)
        if objective == "carzero":
            loss = carzero_loss(i2t, t2i)
        else:
            normal, uncertain = (torch.from_numpy(flags) for flags in (batch.normal, batch.uncertain))
            loss = averaged(off_clip, (i2t, t2i), normal, uncertain)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    assert torch.equal(model.image_tower.pos_embed, frozen)


def test_the_loop_averages_the_loss_over_both_matrices(
    carzero_in_the_loop, phantom, recipe, tmp_path, monkeypatch
):
    seen = []

    def spy(loss, matrices, normal, **flags):
        value = averaged(loss, matrices, normal, **flags)
        seen.append(([tuple(matrix.shape) for matrix in matrices], value.item()))
        return value

    monkeypatch.setattr(loop, "averaged", spy)
    config = recipe(image_size=32, epochs=2, batch_size=40)
    train(phantom / "studies.parquet", config, tmp_path / "run")
    (model,) = carzero_in_the_loop
    assert not model.training
    assert [shapes for shapes, _ in seen] == [[(40, 40), (40, 40)]] * 4
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[1]["loss"] == pytest.approx(sum(value for _, value in seen[2:]) / 2)


def test_a_stopped_run_of_the_cross_attention_model_resumes_to_the_same_weights(
    carzero_in_the_loop, phantom, recipe, tmp_path
):
    config = recipe(image_size=32, epochs=2, batch_size=40, save_every_s=0.0)
    train(phantom / "studies.parquet", config, tmp_path / "whole")

    def stop(report):
        if report.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(phantom / "studies.parquet", config, tmp_path / "parts", on_step=stop)
    train(phantom / "studies.parquet", config, tmp_path / "parts")
    whole, _, resumed = carzero_in_the_loop
    assert all(
        torch.equal(one, other) for one, other in zip(whole.parameters(), resumed.parameters(), strict=True)
    )

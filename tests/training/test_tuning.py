"""What is frozen stays as it is, and what is trained is what was asked for."""

import logging

import pytest
import torch
from refining_models import TEXTS, make_adapted

from offclip.errors import ConfigError
from offclip.training import TrainConfig
from offclip.training.optimizer import make_optimizer, set_rate
from offclip.training.tuning import Tuning, tune


def tuned(model, **fields) -> Tuning:
    ids, mask = model.tokenizer(TEXTS[:1])
    return tune(model, TrainConfig(**fields), ids, mask)


def trained(model) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


HEAD = {"head.log_scale", "head.bias"}


def test_all_changes_nothing():
    model = make_adapted()
    tuning = tuned(model)
    assert trained(model) == {name for name, _ in model.named_parameters()}
    assert not tuning.asleep
    tuning.train()
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("last", [1, 2, 3])
def test_the_last_blocks_and_what_is_used_behind_them(last):
    model = make_adapted()
    tuned(model, image_layers=f"last-{last}", text_layers="none")
    names = {f"image_tower.{n}" for n in ("proj", "norm.weight", "norm.bias", "extra.weight", "extra.bias")}
    blocks = {n for n, _ in model.named_parameters() if n.startswith("image_tower.layers.")}
    names |= {n for n in blocks if int(n.split(".")[2]) >= 3 - last}
    assert trained(model) == names | HEAD


def test_a_compact_tower_keeps_the_statistics_of_frozen_batch_norm(tiny_model):
    model = tiny_model()
    tuning = tuned(model, image_layers="last-1", text_layers="last-1")
    tuning.train()
    tower = model.image_tower
    assert not tower.stem[1].training
    assert not tower.blocks[1].training
    assert tower.blocks[2].body[1].training
    assert tower.project[0].training
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.encode_image(torch.randn(4, 1, 32, 32))
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(("image_tower.blocks.2.", "image_tower.project.0.")) for name in changed)
    assert "text_tower.encoder.norm.weight" in trained(model)
    assert "text_tower.position" not in trained(model)


def test_a_frozen_tower_rests_but_for_what_is_fresh(caplog):
    model = make_adapted(fresh=True)
    model.untrained = "the projection"
    with caplog.at_level(logging.WARNING):
        tuning = tuned(model, image_layers="none", text_layers="none")
    assert "what is random in a frozen tower is trained all the same" in caplog.text
    assert trained(model) == {"image_tower.extra.weight", "image_tower.extra.bias"} | HEAD
    assert tuning.frozen == {"text"}
    tuning.train()
    awake = {
        name for name, module in model.named_modules() if module.training and not list(module.children())
    }
    assert awake == {"image_tower.extra", "head"}


def test_what_is_frozen_has_no_place_in_the_optimiser(tiny_model):
    model = tiny_model()
    tuned(model, image_layers="none", text_layers="last-1")
    held = {id(p) for group in make_optimizer(model, TrainConfig()).param_groups for p in group["params"]}
    assert held == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}


def test_rates_fall_from_the_features_to_the_input():
    model = make_adapted()
    config = TrainConfig(layer_decay=0.5, learning_rate=0.1)
    tuning = tuned(model, layer_decay=0.5)
    optimizer = make_optimizer(model, config, tuning.depths)
    set_rate(optimizer, 0.1)
    rate = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    found = {name: rate[id(parameter)] for name, parameter in model.named_parameters()}
    assert len(found) == len(rate)
    expected = {
        "head.log_scale": 0.1, "image_tower.proj": 0.1, "image_tower.norm.bias": 0.1,
        "image_tower.layers.2.norm1.weight": 0.05, "image_tower.layers.1.norm1.weight": 0.025,
        "image_tower.layers.0.attn.in_proj_weight": 0.0125, "image_tower.position": 0.00625,
        "image_tower.patch.weight": 0.00625, "text_tower.project.weight": 0.1,
        "text_tower.layers.1.mlp.0.weight": 0.05, "text_tower.token.weight": 0.0125,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_more_blocks_than_there_are():
    with pytest.raises(ConfigError, match="has 3 blocks, not 4"):
        tuned(make_adapted(), image_layers="last-4")


def test_a_model_without_towers_is_trained_as_a_whole_only(monkeypatch):
    model = make_adapted()
    monkeypatch.setattr(type(model), "towers", lambda self: {})
    with pytest.raises(ConfigError, match="does not say what its towers are"):
        tuned(model, text_layers="none")

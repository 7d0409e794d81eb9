"""LoRA: small matrices learn, the rest rests, and nothing of it is left in the saved model."""

import sys

import pytest
import torch
from refining_models import TEXTS, make_adapted
from torch import nn

from offclip.errors import ConfigError
from offclip.models.interface import Tower
from offclip.training import TrainConfig
from offclip.training.averaging import running_mean
from offclip.training.lora import adapters_in_use, add_lora, lora_targets, merge_lora
from offclip.training.tuning import tune

LORA = TrainConfig(image_layers="lora", text_layers="lora", lora_rank=2, lora_alpha=4.0)


def test_targets_are_what_mixes_channels(tiny_model):
    vit = lora_targets(make_adapted().towers()["image"])
    assert "layers.0.attn" in vit
    assert "layers.2.mlp.3" in vit
    assert "extra" in vit
    assert not [name for name in vit if "out_proj" in name or "patch" in name]
    assert "extra" not in lora_targets(make_adapted(fresh=True).towers()["image"])
    towers = tiny_model().towers()
    assert "blocks.0.body.0" in lora_targets(towers["image"])
    assert "stem.0" not in lora_targets(towers["image"])
    assert {"encoder.layers.0.self_attn", "encoder.layers.0.linear1", "project"} <= set(
        lora_targets(towers["text"])
    )
    depthwise = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4))
    assert lora_targets(Tower(depthwise, tuple(depthwise))) == []


def test_without_peft(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match="peft is not installed") as caught:
        add_lora("image", make_adapted().towers()["image"], 2, 4.0)
    assert "offclip[lora]" in caught.value.remedy


def test_nothing_to_adapt():
    pytest.importorskip("peft", reason="needs 'offclip[lora]'")
    norm = nn.Sequential(nn.LayerNorm(4))
    with pytest.raises(ConfigError, match="text_layers is 'lora'"):
        add_lora("text", Tower(norm, tuple(norm)), 2, 4.0)


def logits(model):
    torch.manual_seed(5)
    size = model.preprocess.size
    squares = torch.randint(0, 255, (3, size, size), dtype=torch.uint8)
    return model.similarity(
        model.encode_image(model.preprocess.normalise(squares)), model.embed_texts(TEXTS[:3])
    )


def adapt(model):
    """Adapters that do something: they start as zero."""
    ids, mask = model.tokenizer(TEXTS[:1])
    tuning = tune(model, LORA, ids, mask)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(parameter, std=0.3)
    return tuning


@pytest.mark.parametrize("name", ["adapted", "compact"])
def test_merged_weights_give_the_same_logits(tiny_model, name):
    pytest.importorskip("peft", reason="needs 'offclip[lora]'")
    model = make_adapted() if name == "adapted" else tiny_model()
    names = sorted(model.state_dict())
    with torch.no_grad():
        plain = logits(model)
        tune(model, LORA, *model.tokenizer(TEXTS[:1]))
        with adapters_in_use(model):
            torch.testing.assert_close(logits(model), plain, rtol=0, atol=1e-5)
    model = make_adapted() if name == "adapted" else tiny_model()
    adapt(model)
    mean = running_mean(model, 0.9)
    mean.update_parameters(model)
    with torch.no_grad():
        with adapters_in_use(model):
            before = logits(model)
        assert (before - plain).abs().max() > 0.05
        for one in (model, mean.module):
            merge_lora(one)
            assert sorted(one.state_dict()) == names
            torch.testing.assert_close(logits(one), before, rtol=0, atol=1e-5)
    assert not any("lora" in type(module).__module__ for module in model.modules())


def test_only_the_small_matrices_learn():
    pytest.importorskip("peft", reason="needs 'offclip[lora]'")
    model = make_adapted(fresh=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tuning = adapt(model)
    tuning.train()
    assert not model.image_tower.layers[0].mlp[2].training
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all("lora_" in n or n.startswith(("head.", "image_tower.extra.")) for n in trained)
    with adapters_in_use(model):
        logits(model).diagonal().sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (name in trained), name
    for name, value in model.state_dict().items():
        plain = name.replace(".base_layer", "")
        if plain in before:  # attention of torch gets its weights back after each pass, to rounding
            torch.testing.assert_close(value, before[plain], rtol=1e-6, atol=1e-7)

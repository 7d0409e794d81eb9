"""Weights of open_clip in all their forms, and those that do not fit."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

pytest.importorskip("open_clip", reason="needs 'offclip[openclip]'")

import open_clip
import open_clip_small as small

from offclip.errors import CheckpointError, ConfigError
from offclip.models.adapters.families import LoadOptions
from offclip.models.names import load_by_name

PICKLES = LoadOptions(allow_pickle=True)


@pytest.fixture(scope="module")
def model():
    return small.build("vit")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Saves other weights under the description of a model; returns the name to load."""

    def save(state: dict, description: str = "vit", suffix: str = ".pt") -> str:
        folder = tmp_path_factory.mktemp("weights")
        (folder / "model.json").write_text(json.dumps(small.describe(description)["model_cfg"]))
        torch.save(state, folder / f"weights{suffix}")
        return f"open_clip:{folder / 'model.json'}@{folder / f'weights{suffix}'}"

    return save


def pooled(model, ids=None, side: int = 32) -> torch.Tensor:
    pixels = torch.linspace(-1, 1, 3 * side * side).view(1, 3, side, side)
    with torch.no_grad():
        return torch.cat([model.encode_image(pixels).pooled, model.embed_texts(small.SENTENCES).pooled])


def refused(name: str, *words: str, error: type[Exception] = CheckpointError, **options) -> None:
    with pytest.raises(error) as raised:
        load_by_name(name, LoadOptions(allow_pickle=True, **options))
    for word in words:
        assert word in str(raised.value)


def test_all_forms_of_a_checkpoint(model, saved):
    state = model.state_dict()
    expected = pooled(load_by_name(saved(state), PICKLES))
    custom = open_clip.model.convert_to_custom_text_state_dict(dict(state))
    assert custom.keys() != state.keys()
    forms = {
        "text tower apart": custom,
        "of the training": {"epoch": 3, "name": "films", "state_dict": state, "optimizer": {"state": {}}},
        "of several processes": {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        "scale as a list": {**state, "logit_scale": state["logit_scale"].reshape(1)},
        "with OpenAI's numbers": {
            **state,
            "input_resolution": torch.tensor(32),
            "vocab_size": torch.tensor(9),
        },
    }
    for form, content in forms.items():
        found = load_by_name(saved(content), PICKLES)
        assert torch.equal(pooled(found), expected), form
        assert found.head.log_scale.item() == float(state["logit_scale"])


def test_weights_in_half_precision_are_run_in_single(model, saved):
    state = {name: tensor.half() for name, tensor in model.state_dict().items()}
    found = load_by_name(saved(state), PICKLES)
    assert {parameter.dtype for parameter in found.parameters()} == {torch.float32}
    rounded = {name: tensor.float() for name, tensor in state.items()}
    assert torch.equal(pooled(found), pooled(load_by_name(saved(rounded), PICKLES)))


def test_bias_that_the_architecture_does_not_mention(model, saved):
    found = load_by_name(saved({**model.state_dict(), "logit_bias": torch.tensor([-9.0])}), PICKLES)
    assert found.head.bias.item() == -9.0


def test_missing_and_unknown_tensors_are_named(model, saved):
    state = model.state_dict()
    lacking = {name: tensor for name, tensor in state.items() if "visual.ln_post" not in name}
    refused(saved(lacking), "2 are missing", "visual.ln_post.bias")
    refused(saved({**state, "visual.head.weight": torch.zeros(3)}), "1 have no place", "visual.head.weight")
    refused(saved({**state, "text_decoder.ln_final.bias": torch.zeros(3)}), "text_decoder.ln_final.bias")
    refused(saved({k: v for k, v in state.items() if k != "logit_scale"}), "logit_scale")
    refused(saved({**state, "logit_scale": torch.zeros(3)}), "no number")


def test_missing_bias_of_a_sigmoid_model(tmp_path):
    folder, own = small.save("siglip", tmp_path / "siglip")
    (folder / "open_clip_model.safetensors").unlink()
    state = {name: tensor for name, tensor in own.state_dict().items() if name != "logit_bias"}
    torch.save(state, folder / "open_clip_pytorch_model.bin")
    refused(f"open_clip:{folder}", "logit_bias")


def test_weights_of_another_architecture(model, saved):
    refused(saved(model.state_dict(), "vit-mean"), "visual.ln_pre", "architecture")
    other = {**model.state_dict(), "visual.proj": torch.zeros(32, 99)}
    refused(saved(other), "visual.proj", "(32, 99) instead of (32, 12)")
    longer = {**model.state_dict(), "positional_embedding": torch.zeros(248, 16)}
    refused(saved(longer), "text.positional_embedding", "(248, 16)")


def test_file_that_holds_no_tensors(saved):
    refused(saved({"state_dict": {"a": 1}}), "no table of tensors")


def test_position_ids_of_older_transformers(tmp_path):
    folder, own = small.save("biomedclip", tmp_path / "biomedclip")
    (folder / "open_clip_model.safetensors").unlink()
    state = {**own.state_dict(), "text.transformer.embeddings.position_ids": torch.arange(40)[None]}
    torch.save(state, folder / "open_clip_pytorch_model.bin")
    assert load_by_name(f"open_clip:{folder}", PICKLES).config.text["encoder"]["model_type"] == "bert"


def test_another_image_size_as_open_clip_resizes(model, saved, tmp_path):
    name = saved(model.state_dict())
    found = load_by_name(name, LoadOptions(allow_pickle=True, image_size=48))
    description = small.describe("vit")["model_cfg"]
    description["vision_cfg"] = description["vision_cfg"] | {"image_size": 48}
    own = open_clip.CLIP(**description)
    open_clip.load_checkpoint(own, name.partition("@")[2])
    pixels = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        assert torch.equal(found.encode_image(pixels).pooled, own.eval().encode_image(pixels))
    assert (found.preprocess.size, found.encode_image(pixels).grid) == (48, (6, 6))
    # Weights of that size are taken as they are; without the option they do not fit.
    resized = saved(own.state_dict())
    again = load_by_name(resized, LoadOptions(allow_pickle=True, image_size=48))
    with torch.no_grad():
        assert torch.equal(again.encode_image(pixels).pooled, found.encode_image(pixels).pooled)
    refused(resized, "visual.positional_embedding", "(37, 32) instead of (17, 32)", "image size")


def test_another_image_size_of_timm(tmp_path):
    folder, _ = small.save("biomedclip", tmp_path / "biomedclip")
    found = load_by_name(f"open_clip:{folder}", LoadOptions(image_size=96))
    own = small.build("biomedclip")
    own.visual.set_input_size(96)
    pixels = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        assert torch.equal(found.encode_image(pixels).pooled, own.encode_image(pixels))
    assert (found.preprocess.size, found.encode_image(pixels).grid) == (96, (6, 6))
    refused(f"open_clip:{folder}", "cannot take images of 97 x 97", error=ConfigError, image_size=97)


def test_sizes_that_a_model_cannot_take(model, saved, tmp_path):
    name = saved(model.state_dict())
    refused(name, "50 x 50", "multiple of its patches of 8", error=ConfigError, image_size=50)
    refused(name, "0 x 0", error=ConfigError, image_size=0)
    folder, _ = small.save("resnet", tmp_path / "resnet")
    refused(f"open_clip:{folder}", "trained for 64", error=ConfigError, image_size=96)


def test_size_of_a_cnn_is_free(tmp_path):
    folder, own = small.save("convnext", tmp_path / "convnext")
    found = load_by_name(f"open_clip:{folder}", LoadOptions(image_size=96))
    pixels = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        assert torch.equal(found.encode_image(pixels).pooled, own.encode_image(pixels))
    assert (found.preprocess.size, found.encode_image(pixels).grid) == (96, (3, 3))


def test_scale_is_the_librarys_and_not_cut_off(model, saved):
    steep = {**model.state_dict(), "logit_scale": torch.tensor(4.6052)}  # of OpenAI: 100.003
    found = load_by_name(saved(steep), PICKLES)
    assert torch.equal(found.head.scale(), torch.tensor(4.6052).exp())
    gentle = load_by_name(saved(model.state_dict()), PICKLES)
    assert gentle.config.max_logit_scale == 100.0
    sigmoid = load_by_name(saved({**steep, "logit_bias": torch.tensor(-9.0)}), PICKLES)
    assert math.isclose(sigmoid.config.max_logit_scale, 1000.03, rel_tol=1e-4)


def test_folder_with_one_file_of_another_name(tmp_path):
    folder, _ = small.save("vit", tmp_path / "vit")
    Path(folder / "open_clip_model.safetensors").rename(folder / "epoch_3.safetensors")
    assert load_by_name(f"open_clip:{folder}").config.embed_dim == small.JOINT

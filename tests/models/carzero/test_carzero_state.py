"""Names and shapes of published tensors: prefixes, second names, what is never read, and what is refused."""

import pytest
import torch

from offclip.errors import CheckpointError
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.fixture import make_weights
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.state import check_state, config_of, own_state

CONFIG = CarZeroConfig.tiny()
NORM, SECOND = "fusion_module.decoder_norm.bias", "fusion_module.decoder.norm.bias"


@pytest.fixture(scope="module")
def weights():
    return make_weights(CONFIG, "state")


@pytest.fixture(scope="module")
def expected():
    with torch.device("meta"):
        return CarZero(CONFIG).state_dict()


def refusal(expected, state):
    with pytest.raises(CheckpointError) as caught:
        check_state(expected, own_state(state))
    assert caught.value.remedy
    return caught.value.message


@pytest.mark.parametrize(
    "prefix", ["", "CARZero.", "module.", "model.", "module.CARZero.", "CARZero.module.", "x.CARZero."]
)
def test_prefixes_of_training_frameworks(weights, expected, prefix):
    own = own_state({prefix + name: tensor for name, tensor in weights.items()})
    check_state(expected, own)
    assert all(torch.equal(own[name], tensor) for name, tensor in own_state(weights).items())


def test_other_prefixes_are_not_stripped(weights, expected):
    other = {f"teacher.{name}": tensor for name, tensor in weights.items()}
    assert "None of the 214 tensors is one of CARZero: teacher." in refusal(expected, other)
    assert "214 unknown: teacher." in refusal(expected, weights | other)


def test_a_copy_under_another_prefix_must_be_equal(weights, expected):
    name = "img_encoder.model.norm.bias"
    check_state(expected, own_state(weights | {f"module.{name}": weights[name].clone()}))
    with pytest.raises(
        CheckpointError, match=r"image_tower\.norm\.bias is there twice, with different values"
    ):
        own_state(weights | {f"module.{name}": weights[name] + 1})
    with pytest.raises(CheckpointError, match="twice"):
        own_state(weights | {f"module.{name}": weights[name].double()})


def test_the_norm_under_its_two_names(weights, expected):
    one = {name: tensor for name, tensor in weights.items() if name != NORM}
    check_state(expected, own_state(one))
    other = {name: tensor for name, tensor in weights.items() if name != SECOND}
    check_state(expected, own_state(other))
    assert torch.equal(own_state(one)["fusion.decoder_norm.bias"], weights[SECOND])
    with pytest.raises(CheckpointError, match=r"fusion\.decoder_norm\.bias is there twice"):
        own_state(weights | {SECOND: weights[SECOND] + 1})
    neither = {name: tensor for name, tensor in one.items() if name != SECOND}
    assert "1 missing: fusion.decoder_norm.bias" in refusal(expected, neither)


def test_what_is_never_read_may_be_there_or_not(weights, expected):
    positions = {"text_encoder.model.embeddings.position_ids": torch.arange(512)[None]}
    assert set(own_state(weights | positions)) == set(own_state(weights)) == set(expected)
    unused = ("pooler", "self_attn", "norm1", "logit_scale")
    read = {
        name: tensor
        for name, tensor in weights.items()
        if name.startswith("img_encoder") or not any(part in name for part in unused)
    }
    assert len(read) < len(weights)
    assert set(own_state(read)) == set(expected)


def test_every_kind_of_fault_is_named_at_once(weights, expected):
    state = dict(weights)
    del state["img_encoder.model.cls_token"]
    state["img_encoder.model.head.weight"] = torch.zeros(2)
    state["img_encoder.model.norm.bias"] = torch.zeros(33)
    state["text_encoder.model.embeddings.LayerNorm.bias"] = torch.zeros(32, dtype=torch.int64)
    state["text_encoder.model.embeddings.LayerNorm.weight"] = torch.full((32,), torch.nan)
    message = refusal(expected, state)
    for part in (
        "1 missing: image_tower.cls_token",
        "1 unknown: image_tower.head.weight",
        "1 of another shape: image_tower.norm.bias (33,) instead of (32,)",
        "1 not of floating point: text_tower.embeddings.LayerNorm.bias",
        "1 not finite: text_tower.embeddings.LayerNorm.weight",
    ):
        assert part in message


def test_a_long_list_is_cut_and_counted(weights, expected):
    few = dict(list(weights.items())[:150])
    message = refusal(expected, few)
    assert " and " in message
    assert message.endswith("more.")


def test_infinity_and_something_else_than_tensors(weights, expected):
    name = "img_encoder.model.cls_token"
    assert "1 not finite" in refusal(expected, weights | {name: torch.full_like(weights[name], torch.inf)})
    with pytest.raises(CheckpointError, match="cls_token is a str, no tensor"):
        own_state({name: "text"})
    with pytest.raises(CheckpointError, match="None of the 0 tensors"):
        check_state(expected, {})


def test_the_published_geometry_is_not_guessed_from_what_is_there():
    with torch.device("meta"):
        own = CarZero(CarZeroConfig()).state_dict()
    words = "text_tower.embeddings.word_embeddings.weight"
    assert config_of(own) == CarZeroConfig()
    assert config_of(own | {words: torch.empty(30522, 768)}) == CarZeroConfig(vocabulary_size=30522)
    # A file without its last layer is no smaller model.
    less = {name: tensor for name, tensor in own.items() if ".blocks.11." not in name}
    assert config_of(less).image_layers == 12
    assert config_of({}) == CarZeroConfig()

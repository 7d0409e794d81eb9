"""From a published file to a model folder and back: the same numbers, and a card that says their source."""

import hashlib
import json
from collections import OrderedDict

import pytest
import torch
from carzero_vocabulary import make_vocabulary
from safetensors.torch import load_file, save_file

import offclip
from offclip.errors import CheckpointError, ConfigError
from offclip.models import load_model, save_model
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.convert import convert_checkpoint
from offclip.models.carzero.fixture import make_weights
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.text import TextPreset
from offclip.models.checkpoint import read_card

CONFIG = CarZeroConfig.tiny()
PROMPTS = ["There is no finding.", "There is effusion.", "nodule of 3.5 cm"]


@pytest.fixture(scope="module")
def weights():
    return make_weights(CONFIG, "convert")


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    (folder / "vocab.txt").write_text("\n".join(make_vocabulary()))
    return folder


@pytest.fixture
def file(weights, tmp_path):
    torch.save({"model_state_dict": weights, "epoch": 3}, tmp_path / "offclip.pt")
    return tmp_path / "offclip.pt"


def scores(model):
    ids = torch.tensor([[101, 110, 117, 102], [101, 124, 102, 0]])
    pixels = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return model.similarity(model.encode_image(pixels), model.encode_text(ids, ids != 0, ids == 117))


@pytest.mark.parametrize("layout", ["state_dict", "model_state_dict", "tensors", "safetensors"])
def test_every_layout_gives_the_numbers_of_the_tensors(weights, tmp_path, layout):
    source, out = tmp_path / "published.bin", tmp_path / "model"
    if layout == "state_dict":
        state = OrderedDict((f"CARZero.{name}", tensor) for name, tensor in weights.items())
        torch.save({"state_dict": state, "epoch": 1, "hyper_parameters": {"a": 1}}, source)
    elif layout == "safetensors":
        save_file({f"module.{name}": tensor.clone() for name, tensor in weights.items()}, source)
    else:
        torch.save(weights if layout == "tensors" else {layout: weights}, source)
    found = convert_checkpoint(source, out, config=CONFIG)
    assert found.layout == ("tensors" if layout == "safetensors" else layout)
    assert found.name == {"state_dict": "carzero", "model_state_dict": "offclip"}.get(layout, "unknown")
    assert (found.tensors, found.vocabulary_size, found.dtypes) == (214, 1024, ("float32",))
    assert found.unused == 214 - len(load_file(out / "weights.safetensors"))
    model = offclip.load(str(out))
    assert isinstance(model, CarZero)
    assert not model.training
    assert torch.equal(scores(model), scores(CarZero.from_state_dict(weights, CONFIG)))


def test_the_card_says_where_the_weights_are_from(file, tmp_path):
    convert_checkpoint(file, tmp_path / "one", config=CONFIG, name="carzero")
    convert_checkpoint(file, tmp_path / "two", config=CONFIG, name="carzero")
    card = read_card(tmp_path / "one")
    assert card["architecture"] == "carzero"
    assert card["source"] == {
        "name": "carzero",
        "file": "offclip.pt",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "layout": "model_state_dict",
        "tensors": 214,
        "unused_tensors": 214 - len(load_file(tmp_path / "one" / "weights.safetensors")),
        "dtypes": ["float32"],
    }
    assert card["preprocess"] == {
        "size": 64,
        "mean": 0.4978,
        "std": 0.2449,
        "geometry": "carzero",
        "grey": "carzero",
        "resample": "area",
        "resized": None,
        "crop_rounding": "even",
    }
    for name in ("card.json", "weights.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("preset", list(TextPreset))
def test_the_tokenizer_travels_with_the_weights(file, vocabulary, tmp_path, preset):
    found = convert_checkpoint(file, tmp_path / "model", vocabulary, config=CONFIG, preset=preset)
    assert found.has_tokenizer
    model = offclip.load(str(tmp_path / "model"))
    assert model.tokenizer.preset is preset
    assert model.tokenizer.max_tokens == CONFIG.slots
    ids, mask = model.tokenizer(PROMPTS)
    with torch.inference_mode():
        one = model.embed_texts(PROMPTS)
        other = model.encode_text(ids, mask, model.tokenizer.is_continuation(ids))
    assert torch.equal(one.pooled, other.pooled)
    pieces = [make_vocabulary()[number] for number in ids[2].tolist()]
    assert ("." in pieces) == (preset is TextPreset.CORRECTED)
    assert "##ule" in pieces
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: its SHA-256"):
        offclip.load(str(tmp_path / "model"))


def test_without_a_tokenizer_ids_work_and_text_says_what_is_missing(file, vocabulary, tmp_path):
    out = tmp_path / "model"
    convert_checkpoint(file, out, vocabulary, config=CONFIG)
    convert_checkpoint(file, out, config=CONFIG)
    assert not (out / "tokenizer.json").exists()  # of the first conversion
    model = offclip.load(str(out))
    assert scores(model).shape == (2, 2)
    with pytest.raises(CheckpointError, match="model: this model has no tokenizer") as caught:
        model.embed_texts(PROMPTS)
    assert "vocab.txt" in caught.value.remedy
    with pytest.raises(CheckpointError, match="no tokenizer"):
        model.encode_text(torch.tensor([[101, 102]]), torch.ones(1, 2))
    save_model(model, tmp_path / "again")
    assert torch.equal(scores(load_model(tmp_path / "again")), scores(model))


def test_a_vocabulary_of_another_size(file, tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(make_vocabulary(1000)))
    with pytest.raises(CheckpointError, match="1000 word pieces; the weights are for 1024"):
        convert_checkpoint(file, tmp_path / "model", tmp_path / "vocab.txt", config=CONFIG)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32_exactly(weights, tmp_path, dtype):
    half = {name: tensor.to(dtype) for name, tensor in weights.items()}
    torch.save({"model_state_dict": half}, tmp_path / "half.pt")
    found = convert_checkpoint(tmp_path / "half.pt", tmp_path / "model", config=CONFIG)
    assert found.dtypes == (str(dtype).removeprefix("torch."),)
    stored = load_file(tmp_path / "model" / "weights.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}
    name = "img_encoder.model.norm.bias"
    assert torch.equal(stored["image_tower.norm.bias"], half[name].float())


def test_a_wrong_file_leaves_no_folder(weights, tmp_path):
    out = tmp_path / "model"
    for content, match in (
        ({"model": weights}, "neither state_dict nor model_state_dict is in it, but model"),
        ({}, "but nothing"),
        ({"state_dict": weights, "model_state_dict": weights}, "both state_dict and model_state_dict"),
        ({"model_state_dict": {"a": torch.zeros(2)}}, "None of the 1 tensors"),
        ({"model_state_dict": {}}, "None of the 0 tensors"),
        ({"model_state_dict": weights | {"extra": torch.zeros(1)}}, "1 unknown: extra"),
    ):
        torch.save(content, tmp_path / "wrong.pt")
        with pytest.raises(CheckpointError, match=match) as caught:
            convert_checkpoint(tmp_path / "wrong.pt", out, config=CONFIG)
        assert caught.value.remedy
    with pytest.raises(ConfigError, match="Unknown name 'other'"):
        convert_checkpoint(tmp_path / "wrong.pt", out, config=CONFIG, name="other")
    assert not out.exists()


def test_a_tiny_model_is_not_taken_for_the_published_one(file, tmp_path):
    with pytest.raises(CheckpointError, match=r"missing: image_tower\.blocks.*of another shape"):
        convert_checkpoint(file, tmp_path / "model")


def test_the_source_may_go_once_it_is_converted_and_a_write_stays_in_memory(file, tmp_path):
    convert_checkpoint(file, tmp_path / "model", config=CONFIG)
    file.unlink()
    model = load_model(tmp_path / "model")
    before = scores(model)
    with torch.no_grad():
        model.get_parameter("fusion.mlp_head.9.bias").add_(1)
    assert torch.allclose(scores(model), before + 1, atol=1e-5)
    assert torch.equal(scores(load_model(tmp_path / "model")), before)


def test_a_full_disk_leaves_no_half_model(file, tmp_path, full_disk):
    full_disk("weights.safetensors")
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: the disk is full"):
        convert_checkpoint(file, tmp_path / "model", config=CONFIG)
    with pytest.raises(CheckpointError, match="no model here"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.pop("text_preset"),
        lambda card: card.update(text_preset="other"),
        lambda card: card["config"].pop("head_widths"),
        lambda card: card["config"].update(image_layers=-1, image_hidden=-5),
        lambda card: card["preprocess"].update(size=224),
        lambda card: card["preprocess"].update(std=0),
        lambda card: card["preprocess"].update(geometry="stretch"),
        lambda card: card["preprocess"].update(unknown=1),
    ],
)
def test_a_card_that_describes_no_model(file, vocabulary, tmp_path, change):
    convert_checkpoint(file, tmp_path / "model", vocabulary, config=CONFIG)
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    change(card)
    (tmp_path / "model" / "card.json").write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match=r"does not describe a model|do not fit the card"):
        load_model(tmp_path / "model")


@pytest.mark.slow
def test_the_published_geometry_there_and_back(tmp_path):
    weights = make_weights(CarZeroConfig(), "full")
    torch.save({"model_state_dict": weights}, tmp_path / "full.pt")
    found = convert_checkpoint(tmp_path / "full.pt", tmp_path / "model")
    assert (found.tensors, found.unused, found.vocabulary_size) == (434, 29, 28996)
    model = load_model(tmp_path / "model")
    reference = CarZero.from_state_dict(weights)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), reference.parameters(), strict=True))

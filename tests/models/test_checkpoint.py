"""Models on disk: exact round trips, and a clear word for every broken folder."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from offclip.errors import CheckpointError
from offclip.images.preprocess import Preprocess
from offclip.models import load_model, save_model
from offclip.models.checkpoint import read_card

TEXTS = ["There is no finding.", "There is pleural effusion."]


@pytest.fixture
def folder(tiny_model, tmp_path):
    save_model(tiny_model(), tmp_path / "model", {"note": "kept"})
    return tmp_path / "model"


def change_card(folder, change):
    card = json.loads((folder / "card.json").read_text())
    change(card)
    (folder / "card.json").write_text(json.dumps(card))


def replace_weights(folder, change):
    """Changes the tensors and signs the card anew, as somebody might who edits a model by hand."""
    tensors = load_file(folder / "weights.safetensors")
    change(tensors)
    save_file(tensors, folder / "weights.safetensors")
    digest = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    change_card(folder, lambda card: card["sha256"].update({"weights.safetensors": digest}))


@pytest.mark.parametrize("head", ["cosine", "cross-attention"])
def test_a_loaded_model_gives_the_same_logits_bit_by_bit(tiny_model, tmp_path, head):
    model = tiny_model(head)
    save_model(model, tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert not loaded.training
    pixels = torch.randn(2, 1, 32, 32)
    with torch.inference_mode():
        before, after = (m.similarity(m.encode_image(pixels), m.embed_texts(TEXTS)) for m in (model, loaded))
    assert torch.equal(before, after)


def test_the_card_says_what_the_model_is(folder):
    card = read_card(folder)
    assert card["training"] == {"note": "kept"}
    assert card["config"]["image_size"] == card["preprocess"]["size"] == 32
    assert "Not a medical device" in card["intended_use"]
    assert card["parameters"] == sum(p.numel() for p in load_model(folder).parameters())


def test_a_run_folder_is_as_good_as_its_model_folder(finished_run):
    one, other = load_model(finished_run), load_model(finished_run / "model")
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", ["weights.safetensors", "tokenizer.json"])
def test_a_changed_byte_is_noticed(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name}: its SHA-256 is not the one on the card") as caught:
        load_model(folder)
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["weights.safetensors", "tokenizer.json", "card.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name}.*missing") as caught:
        load_model(folder)
    assert caught.value.remedy


def test_no_folder_and_an_unfinished_run(tmp_path):
    with pytest.raises(CheckpointError, match="no model here"):
        load_model(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="the run is not finished") as caught:
        load_model(tmp_path)
    assert "offclip train" in caught.value.remedy


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', "{}", "\xff"])
def test_a_card_that_is_no_card(folder, text):
    (folder / "card.json").write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"card\.json: (unknown format|not readable JSON)") as caught:
        load_model(folder)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.pop("sha256"),
        lambda card: card.update(sha256=["weights.safetensors"]),
        lambda card: card["sha256"].pop("tokenizer.json"),
        lambda card: card["sha256"].pop("weights.safetensors"),
        lambda card: card["sha256"].update({"/dev/zero": ""}),
        lambda card: card.update(preprocess=3),
        lambda card: card["preprocess"].update(mean="0.5"),
        lambda card: card.pop("config"),
        lambda card: card.pop("max_tokens"),
        lambda card: card["config"].update(unknown_field=1),
        lambda card: card["config"].update(head="dot"),
        lambda card: card["config"].update(image_size="32"),
    ],
)
def test_a_card_that_describes_no_model(folder, change):
    change_card(folder, change)
    with pytest.raises(CheckpointError, match="does not describe a model") as caught:
        load_model(folder)
    assert caught.value.remedy


def test_an_architecture_that_is_not_known(folder):
    change_card(folder, lambda card: card.update(architecture="transporter"))
    with pytest.raises(CheckpointError, match="unknown architecture 'transporter'") as caught:
        load_model(folder)
    assert "dual-encoder, carzero" in caught.value.remedy


def test_the_preprocessing_of_the_card_is_the_one_that_is_used(folder):
    assert load_model(folder).preprocess == Preprocess(size=32)
    change_card(folder, lambda card: card["preprocess"].update(mean=0.25, geometry="carzero"))
    assert load_model(folder).preprocess == Preprocess(size=32, mean=0.25, geometry="carzero")
    change_card(folder, lambda card: card["preprocess"].pop("geometry"))  # as before there were two
    assert load_model(folder).preprocess == Preprocess(size=32, mean=0.25)
    change_card(folder, lambda card: card.pop("preprocess"))
    assert load_model(folder).preprocess == Preprocess(size=32)


def test_half_precision_is_loaded_as_float32(folder):
    replace_weights(folder, lambda tensors: tensors.update({n: t.half() for n, t in tensors.items()}))
    assert {parameter.dtype for parameter in load_model(folder).parameters()} == {torch.float32}


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.update(extra=torch.zeros(2)),
        lambda tensors: tensors.pop("head.bias"),
        lambda tensors: tensors.update({"head.bias": torch.zeros(7)}),
    ],
    ids=["extra", "missing", "shape"],
)
def test_tensors_that_do_not_fit_the_card(folder, change):
    replace_weights(folder, change)
    with pytest.raises(CheckpointError, match=r"1 tensors do not fit the card, such as (extra|head\.bias)"):
        load_model(folder)


def test_weights_that_are_no_safetensors(folder):
    (folder / "weights.safetensors").write_bytes(b"garbage")
    digest = hashlib.sha256(b"garbage").hexdigest()
    change_card(folder, lambda card: card["sha256"].update({"weights.safetensors": digest}))
    with pytest.raises(CheckpointError, match="does not describe a model"):
        load_model(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "tokenizer.json", "card.json"])
def test_a_full_disk_leaves_no_half_model(tiny_model, tmp_path, full_disk, name):
    full_disk(name)
    with pytest.raises(CheckpointError, match=f"{name}: the disk is full") as caught:
        save_model(tiny_model(), tmp_path / "m")
    assert "Free some space" in caught.value.remedy
    with pytest.raises(CheckpointError, match="no model here"):
        load_model(tmp_path / "m")

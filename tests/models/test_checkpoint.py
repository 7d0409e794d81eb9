"""Models on disk: exact round trips, and a clear word for every broken folder."""

import hashlib
import json
import random

import pytest
import torch
from safetensors.torch import load_file, save_file

import fake_family
from offclip.errors import CheckpointError, ConfigError
from offclip.images.preprocess import Preprocess
from offclip.models import load_model, save_model
from offclip.models.adapters.families import LoadOptions
from offclip.models.checkpoint import NO_LICENCE, read_card

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


@pytest.fixture
def adapted(tmp_path, monkeypatch):
    """Saves a model of the fake family; the functions that loaded it are gone afterwards."""
    fake_family.register(monkeypatch)

    def save(name="tiny", **options):
        save_model(fake_family.load(name, LoadOptions()), tmp_path / name, **options)
        return tmp_path / name

    return save


def logits(model, pixels):
    with torch.inference_mode():
        return model.similarity(model.encode_image(pixels), model.embed_texts(TEXTS))


@pytest.mark.parametrize("name", ["tiny", "tied"])
def test_an_adapted_model_gives_the_same_logits_bit_by_bit(adapted, name):
    pixels = torch.rand(2, 3, 32, 32)
    before, folder = fake_family.load(name, LoadOptions()), adapted(name)
    loaded = load_model(folder)
    assert torch.equal(logits(before, pixels), logits(loaded, pixels))
    assert loaded.preprocess == before.preprocess
    assert loaded.config == before.config
    save_model(loaded, folder.with_name("again"))
    assert torch.equal(logits(load_model(folder.with_name("again")), pixels), logits(before, pixels))


def test_weights_that_are_one_are_stored_once_and_learn_as_one(adapted):
    folder = adapted("tied")
    names = {"text_tower.words.weight", "text_tower.out.weight"}
    assert len(names & set(load_file(folder / "weights.safetensors"))) == 1
    assert set(read_card(folder)["shared"]) | set(read_card(folder)["shared"].values()) == names
    model = load_model(folder)
    assert model.text_tower.out.weight is model.text_tower.words.weight
    assert "shared" not in read_card(adapted("tiny"))


def test_two_tensors_in_one_memory_that_are_no_parameters(tiny_model, tmp_path):
    # One that is a view of another one, transposed: both are stored, each in its own order.
    model = tiny_model()
    weight = torch.rand(3, 3)
    model.register_buffer("one", weight)
    model.register_buffer("other", weight.T)
    save_model(model, tmp_path / "m")
    stored = load_file(tmp_path / "m" / "weights.safetensors")
    assert torch.equal(stored["one"], weight)
    assert torch.equal(stored["other"], weight.T)


def test_licence_and_what_is_random_stand_in_the_card(adapted, tiny_model, tmp_path):
    assert read_card(adapted("tiny"))["licence"] == "CC0-1.0"
    assert load_model(adapted("tiny")).licence == "CC0-1.0"
    assert read_card(adapted("tiny", licence="mine"))["licence"] == "mine"
    assert read_card(adapted("other"))["licence"] == NO_LICENCE
    assert load_model(adapted("untrained")).untrained == "all of it is random until it is trained"
    assert "untrained" not in read_card(adapted("tiny"))
    assert save_model(tiny_model(), tmp_path / "m")["licence"] == NO_LICENCE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card["config"].pop("text"), "fake: KeyError: 'words'"),
        (lambda card: card["config"].update(text=3), "config: text"),
        (lambda card: card["config"].update(embed_dim="16"), "config: embed_dim"),
        (lambda card: card["config"].update(max_logit_scale="x"), "config: max_logit_scale"),
        (lambda card: card["config"].update(local="cells"), "config: local"),
        (lambda card: card["config"]["text"].update(words="x"), "fake: TypeError"),
        (lambda card: card["config"]["text"].update(words=-5), "fake: RuntimeError"),
        (lambda card: card.update(max_tokens=0), "max_tokens"),
        (lambda card: card["config"].update(embed_dim=17), "tensors do not fit the card"),
        (lambda card: card["config"].update(family="gone"), "gone"),
        (lambda card: card["config"].update(family=["fake"]), "does not describe a model"),
        (lambda card: card["config"].update(unknown=1), "unknown"),
        (lambda card: card["config"].pop("family"), "family"),
        (lambda card: card["preprocess"].update(mean=[0.5, 0.5]), "does not describe a model"),
        (lambda card: card.pop("preprocess"), "preprocess"),
        (lambda card: card.update(shared={"text_tower.words.weight": "nowhere"}), "nowhere"),
        (lambda card: card.update(shared={"extra": "image_tower.mix.bias"}), "do not fit"),
        (lambda card: card.update(shared=3), "does not describe a model"),
        (lambda card: card["sha256"].pop("tokenizer.json"), "tokenizer"),
    ],
)
def test_a_card_that_describes_no_adapted_model(adapted, change, message):
    folder = adapted()
    change_card(folder, change)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(folder)
    assert caught.value.remedy


def test_whatever_is_damaged_in_a_card_is_our_error_or_harmless(adapted):
    folder = adapted("tied")
    whole = json.loads((folder / "card.json").read_text())
    draw, pixels, refused = random.Random(0), torch.rand(1, 3, 32, 32), []
    values = [None, 0, -1, "", "x", [], {}, 1.5, True, [[1]], {"a": 1}]
    for _ in range(300):
        card = json.loads(json.dumps(whole))
        place = card
        while True:  # down to a random leaf or branch
            key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not isinstance(place[key], dict | list) or not place[key] or draw.random() < 0.3:
                break
            place = place[key]
        place[key] = draw.choice(values)
        (folder / "card.json").write_text(json.dumps(card))
        try:
            model = load_model(folder)
            assert logits(model, pixels).shape == (1, len(TEXTS))
        except CheckpointError as error:
            refused.append(error)
    assert len(refused) > 100
    assert all(error.remedy for error in refused)


@pytest.mark.parametrize(
    "kind", [KeyError, AssertionError, ZeroDivisionError, NotImplementedError, StopIteration]
)
def test_anything_that_a_library_raises_is_our_error(adapted, monkeypatch, kind):
    folder = adapted()

    def build(config):
        raise kind("inside")

    monkeypatch.setattr(fake_family, "FAMILY", fake_family.Family(None, build, None))
    with pytest.raises(CheckpointError, match=f"fake: {kind.__name__}: .*inside"):
        load_model(folder)


def test_a_library_that_is_missing_is_no_damage(adapted, monkeypatch):
    folder = adapted()

    def build(config):
        from offclip.models.adapters.library import library

        library("no_such_library", "hf")

    monkeypatch.setattr(fake_family, "FAMILY", fake_family.Family(None, build, None))
    with pytest.raises(ConfigError, match="no_such_library is not installed") as caught:
        load_model(folder)
    assert "pip install" in caught.value.remedy


def test_a_model_of_another_package_cannot_be_saved(tmp_path):
    with pytest.raises(CheckpointError, match="Theirs is a model of another package") as caught:
        save_model(fake_family.Theirs("x", LoadOptions()), tmp_path / "m")
    assert caught.value.remedy
    assert not (tmp_path / "m").exists()

"""The word pieces of BERT: ids, continuation, length, and vocabularies that do not fit."""

import json
import logging
import sys

import pytest
import torch
from carzero_vocabulary import make_vocabulary
from transformers import BertTokenizer

from offclip.errors import CheckpointError, InputError
from offclip.models.carzero.text import TextPreset
from offclip.models.carzero.tokenizer import CarZeroTokenizer, NoTokenizer
from offclip.models.carzero.vocabulary import HUB_ID, read_vocabulary


@pytest.fixture(scope="module")
def tokenizer():
    return CarZeroTokenizer(make_vocabulary())


def of(tokenizer, ids):
    return [make_vocabulary()[number] for number in ids.tolist()]


def test_words_and_pieces(tokenizer):
    ids, mask = tokenizer(["There is no nodules.", "Is effusionless!"])
    assert of(tokenizer, ids[0]) == ["[CLS]", "there", "is", "no", "nod", "##ule", "##s", "[SEP]"]
    assert of(tokenizer, ids[1])[:5] == ["[CLS]", "is", "effusion", "##less", "[SEP]"]
    assert mask.tolist() == [[1] * 8, [1] * 5 + [0] * 3]
    assert (ids[1, 5:] == 0).all()
    assert ids.dtype == mask.dtype == torch.int64
    assert tokenizer.is_continuation(ids)[0].tolist() == [False] * 5 + [True, True, False]


def test_the_ids_are_those_of_transformers(tokenizer, tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(make_vocabulary()) + "\n")
    theirs = BertTokenizer(str(tmp_path / "vocab.txt"))
    for text in (
        "there is no finding",
        "nodules of unknown kind 5 cm",
        "is" + "x" * 120 + " no",
        "is no a_b",
    ):
        assert tokenizer([text])[0][0].tolist() == theirs(text)["input_ids"]


def test_an_emptied_prompt_is_cls_sep_and_is_logged(tokenizer, caplog):
    with caplog.at_level(logging.WARNING):
        ids, _ = tokenizer(["There is effusion.", "Effusion"])
    assert ids[1].tolist()[:2] == [101, 102]
    assert "1 of 2 texts are empty to the model, such as 1" in caplog.text
    caplog.clear()
    kept, _ = CarZeroTokenizer(make_vocabulary(), preset=TextPreset.CORRECTED)(["Effusion"])
    assert kept.shape == (1, 3)
    assert not caplog.text


@pytest.mark.parametrize("longest", [97, 25])
def test_long_texts_end_with_sep(longest):
    ids, mask = CarZeroTokenizer(make_vocabulary(), longest)(["no finding " * 200])
    assert ids.shape == (1, longest)
    assert mask.all()
    assert (ids[0, 0], ids[0, -1]) == (101, 102)


@pytest.mark.parametrize("texts", [[], ["fine", ""], ["  \n"], [7]])
def test_no_text_is_refused(tokenizer, texts):
    with pytest.raises(InputError, match=r"[Tt]ext"):
        tokenizer(texts)


def test_ids_outside_the_vocabulary(tokenizer):
    for ids in ([[1024]], [[-1]]):
        with pytest.raises(InputError, match="outside the vocabulary of 1024"):
            tokenizer.is_continuation(torch.tensor(ids))
    assert tokenizer.is_continuation(torch.zeros(0, 3, dtype=torch.int64)).shape == (0, 3)


def test_json_there_and_back():
    one = CarZeroTokenizer(make_vocabulary(), 25, TextPreset.CORRECTED)
    other = CarZeroTokenizer.from_json(one.to_json(), 25, TextPreset.CORRECTED)
    texts = ["Nodule of 3.5 cm", "effusion"]
    assert all(torch.equal(a, b) for a, b in zip(one(texts), other(texts), strict=True))
    assert other.vocabulary_size == 1024
    for broken in ("", "[]", "{}", '{"model": {"vocab": 3}}'):
        with pytest.raises((InputError, CheckpointError)):
            CarZeroTokenizer.from_json(broken)


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json"])
def test_a_folder_and_a_file(tokenizer, tmp_path, name):
    text = "\r\n".join(make_vocabulary()) + "\n" if name == "vocab.txt" else tokenizer.to_json()
    (tmp_path / name).write_text(text)
    for source in (tmp_path, tmp_path / name, str(tmp_path)):
        assert read_vocabulary(source) == make_vocabulary()
        assert CarZeroTokenizer.from_source(source)(["is no"])[0].tolist() == [[101, 111, 112, 102]]


def test_a_vocabulary_of_something_else(tmp_path):
    pieces = make_vocabulary()
    with pytest.raises(CheckpointError, match=r"\[UNK\] has the id 99 instead of 100"):
        CarZeroTokenizer([*pieces[:99], *pieces[100:]])
    with pytest.raises(CheckpointError, match="1 pieces twice"):
        CarZeroTokenizer([*pieces, "is"])
    for content in ("{", "[]", '{"model": {"type": "BPE", "vocab": {}}}', '{"model": {"vocab": {"a": 1}}}'):
        (tmp_path / "tokenizer.json").write_text(content)
        with pytest.raises(CheckpointError, match="not a WordPiece vocabulary"):
            read_vocabulary(tmp_path)
    (tmp_path / "tokenizer.json").write_text(
        json.dumps({"model": {"vocab": {"a": 0}, "continuing_subword_prefix": "@@"}})
    )
    with pytest.raises(CheckpointError, match="do not go on with ##"):
        read_vocabulary(tmp_path)


def test_no_vocabulary_says_how_to_get_it(tmp_path, monkeypatch):
    for source in (tmp_path, tmp_path / "none", "nothing"):
        with pytest.raises(CheckpointError) as caught:
            read_vocabulary(source)
        assert HUB_ID in caught.value.remedy
        assert str(source) in caught.value.message
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match="huggingface_hub is not installed"):
        read_vocabulary(HUB_ID)


def test_a_hub_that_cannot_be_reached_and_one_that_can(tmp_path, monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(hub_id, name):
        raise LocalEntryNotFoundError(f"{hub_id}/{name}")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(
        CheckpointError, match=r"no vocabulary from the hub.*vocab\.txt: LocalEntry"
    ) as caught:
        read_vocabulary(HUB_ID)
    assert "--tokenizer" in caught.value.remedy

    (tmp_path / "vocab.txt").write_text("\n".join(make_vocabulary()))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda hub_id, name: str(tmp_path / name))
    assert read_vocabulary(HUB_ID) == make_vocabulary()


def test_a_model_without_tokenizer_says_so():
    nothing = NoTokenizer("models/x: this model")
    for ask in (
        lambda: nothing(["no finding"]),
        lambda: nothing.is_continuation(torch.zeros(1, 1)),
        nothing.to_json,
        lambda: nothing.vocabulary_size,
    ):
        with pytest.raises(CheckpointError, match="models/x: this model has no tokenizer") as caught:
            ask()
        assert HUB_ID in caught.value.remedy

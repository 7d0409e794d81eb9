"""Tokenizers of transformers without transformers: the same ids."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from hf_small import DATA, LONGEST, SENTENCES, own_tokens, save, transformers

from offclip.errors import CheckpointError, InputError
from offclip.models.adapters.hugging_face.tokenizer import HfTokenizer, load_tokenizer

REAL = Path(__file__).parents[4] / "shared/data/sentence_labels/sentences.csv"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = {}

    def folder(kind):
        return made.get(kind) or made.setdefault(kind, save(kind, tmp_path_factory.mktemp("hf") / kind))

    return folder


@pytest.mark.skipif(not REAL.is_file(), reason="../shared/data/sentence_labels is absent")
@pytest.mark.parametrize("kind", ["clip", "clip+roberta", "vit+bert"])
def test_ids_of_real_sentences_are_the_librarys(folder, kind):
    with REAL.open(encoding="utf-8") as file:
        texts = [row["sentence"] for row in csv.DictReader(file)]
    assert len(texts) > 700
    expected = own_tokens(folder(kind), texts)
    tokenizer = load_tokenizer(folder(kind), 1000)
    for one in (tokenizer, HfTokenizer.from_json(tokenizer.to_json(), LONGEST)):
        ids, mask = one(texts)
        assert torch.equal(ids, expected["input_ids"])
        assert torch.equal(mask, expected["attention_mask"])


def test_pieces_of_siglip_are_those_of_sentencepiece(folder):
    expected = json.loads((DATA / "siglip_ids.json").read_text())  # by SiglipTokenizer of transformers 5.24
    tokenizer = load_tokenizer(folder("siglip"), LONGEST, fixed_length=True)
    ids, mask = tokenizer(list(expected))
    assert ids.shape == (len(expected), LONGEST)
    for row, kept, own in zip(ids.tolist(), mask.tolist(), expected.values(), strict=True):
        own = own if len(own) <= LONGEST else [*own[: LONGEST - 1], own[-1]]
        assert row == own + [1] * (LONGEST - len(own))
        assert sum(kept) == len(own)
    assert tokenizer.vocabulary_size == 58
    assert not tokenizer.masked


def test_pieces_that_are_damaged_or_of_another_tokenizer_are_refused(folder, tmp_path):
    place = shutil.copytree(folder("siglip"), tmp_path / "siglip")
    whole = (place / "spiece.model").read_bytes()
    for broken in (b"", whole[:300], b"\x0b" + whole, whole[:-1]):
        (place / "spiece.model").write_bytes(broken)
        with pytest.raises(CheckpointError, match=r"spiece\.model: no SentencePiece model"):
            load_tokenizer(place, LONGEST)
    (place / "spiece.model").write_bytes(whole)
    (place / "tokenizer_config.json").write_text('{"pad_token": "<nothing>"}')
    with pytest.raises(CheckpointError, match="no piece '<nothing>'"):
        load_tokenizer(place, LONGEST)


def test_the_length_is_what_the_text_tower_has_positions_for(folder):
    tokenizer = load_tokenizer(folder("clip"), 7, fixed_length=True)
    ids, mask = tokenizer(SENTENCES)
    assert ids.shape == (3, 7) == mask.shape
    assert tokenizer.max_tokens == 7
    expected = own_tokens(folder("clip"), SENTENCES, padding="max_length", max_length=7)
    assert torch.equal(ids, expected["input_ids"])


def test_texts_and_json_that_are_none_are_refused(folder):
    tokenizer = load_tokenizer(folder("clip"), 7)
    for texts in ([], [""], ["no", 3]):
        with pytest.raises(InputError):
            tokenizer(texts)
    for text in ("", "{}", "[1]"):
        with pytest.raises(InputError, match="Not a tokenizer"):
            HfTokenizer.from_json(text)
    with pytest.raises(InputError, match="cuts at 7 tokens, not 9"):
        HfTokenizer.from_json(tokenizer.to_json(), 9)
    plain = transformers.AutoTokenizer.from_pretrained(folder("clip")).backend_tokenizer
    plain.no_padding()
    with pytest.raises(InputError, match="how it pads"):
        HfTokenizer.from_json(plain.to_str())


def test_a_tokenizer_that_does_more_than_its_backend_is_refused(folder, monkeypatch):
    call = transformers.PreTrainedTokenizerBase.__call__

    def shouting(self, text, *given, **options):
        return call(
            self, [one.upper() for one in text] if isinstance(text, list) else text, *given, **options
        )

    monkeypatch.setattr(transformers.PreTrainedTokenizerBase, "__call__", shouting)
    with pytest.raises(CheckpointError, match="does more than its backend"):
        load_tokenizer(folder("clip+roberta"), LONGEST)

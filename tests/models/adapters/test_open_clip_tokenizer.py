"""Ids of open_clip's tokenizers, kept as text."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

pytest.importorskip("open_clip", reason="needs 'offclip[openclip]'")

import open_clip
import open_clip_small as small

from offclip.errors import CheckpointError, ConfigError, InputError
from offclip.models.adapters.families import family
from offclip.models.adapters.open_clip.tokenizer import ClipTokenizer, tokenizer_of
from offclip.models.names import load_by_name

REAL = Path(__file__).parents[4] / "shared/data/sentence_labels/sentences.csv"
HARD = [
    *small.SENTENCES,
    "!",
    "<end_of_text> <start_of_text> </s> [SEP] [PAD]",
    "\u200b\ufeffzero width, \u00a0 non-breaking, tab\there, \U0001fac1 and \u0301",
    "l\u0153sung &amp;amp; \u00b5m 10\u207b\u00b3 It\u2019s 's 're",
    "x" * 3000,
    "nodule " * 100,
]
KINDS = {
    "clip": {"context_length": 20},
    "clip of the whole length": {},
    "cleaned otherwise": {
        "tokenizer_kwargs": {"clean": "canonicalize", "additional_special_tokens": ["<film>"]}
    },
    "pieces": {"hf_tokenizer_name": "org/pieces", "tokenizer_kwargs": {"clean": "canonicalize"}},
    "word pieces": {"hf_tokenizer_name": "org/words", "context_length": 30},
    "without [SEP]": {"hf_tokenizer_name": "org/words", "tokenizer_kwargs": {"strip_sep_token": True}},
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Our tokenizer and the library's own, from one folder."""

    def make(kind: str):
        folder, text = tmp_path_factory.mktemp("tokenizer"), KINDS[kind]
        if "hf_tokenizer_name" in text:
            (small.pieces() if kind == "pieces" else small.word_pieces()).save_pretrained(folder)
        model = small.describe("vit")["model_cfg"] | {"text_cfg": text}
        (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model}))
        own = open_clip.get_tokenizer(f"local-dir:{folder}")
        return tokenizer_of(text, folder, "the test"), own

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_the_librarys_own(pair, kind):
    tokenizer, own = pair(kind)
    ids, mask = tokenizer(HARD)
    assert ids.dtype == mask.dtype == torch.int64
    assert torch.equal(ids, own(HARD))
    assert int(ids.max()) < tokenizer.vocabulary_size
    assert ids.shape == (len(HARD), KINDS[kind].get("context_length", 77)) == mask.shape
    restored = family("open_clip").tokenizer(tokenizer.to_json(), tokenizer.max_tokens)
    again = restored(HARD)
    assert torch.equal(again[0], ids)
    assert torch.equal(again[1], mask)
    assert restored.vocabulary_size == tokenizer.vocabulary_size


@pytest.mark.skipif(not REAL.is_file(), reason="../shared/data/sentence_labels is absent")
@pytest.mark.parametrize("kind", KINDS)
def test_ids_of_real_sentences(pair, kind):
    tokenizer, own = pair(kind)
    with REAL.open(newline="", encoding="utf-8") as file:
        sentences = [row["sentence"] for row in csv.DictReader(file)]
    assert len(sentences) > 400
    assert torch.equal(tokenizer(sentences)[0], own(sentences))


def test_mask_ends_with_the_text(pair):
    """Id 0 is the padding, and an exclamation mark before another mark; an end may stand in the text."""
    tokenizer, _ = pair("clip")
    ids, mask = tokenizer(["!%", "normal heart", "<end_of_text> heart", "heart " * 30])
    assert mask.sum(dim=1).tolist() == [4, 4, 4, 20]
    assert ids[0, :5].tolist() == [49406, 0, 260, 49407, 0]
    assert ids[2, [1, 3]].tolist() == [49407, 49407]


def test_mask_of_pieces_whose_padding_is_their_end(pair):
    tokenizer, _ = pair("pieces")
    ids, mask = tokenizer(["the lungs are clear"])
    end = int(mask.sum()) - 1
    assert ids[0, end:].unique().tolist() == [1]
    assert not (ids[0, :end] == 1).any()
    assert tokenizer.pad_id == 1


def test_mask_leaves_stripped_ids_out(pair):
    ids, mask = pair("without [SEP]")[0](["the lungs are clear"])
    whole, all_of_it = pair("word pieces")[0](["the lungs are clear"])
    assert int(all_of_it.sum()) - int(mask.sum()) == 1
    assert 3 in whole
    assert 3 not in ids


def test_text_must_be_one(pair):
    for tokenizer in (pair("clip")[0], pair("pieces")[0]):
        for texts in ([], [" "], [None]):
            with pytest.raises(InputError):
                tokenizer(texts)


def test_options_that_are_not_known(tmp_path):
    for text in (
        {"tokenizer_kwargs": {"reduction_mask": "syntax"}},
        {"hf_tokenizer_name": "org/name", "tokenizer_kwargs": {"trust_remote_code": True}},
        {"hf_tokenizer_name": "org/name", "tokenizer_mode": "clips"},
    ):
        with pytest.raises(ConfigError, match=r"reduction_mask|trust_remote_code|clips"):
            tokenizer_of(text, tmp_path, "the test")


def test_program_of_a_tokenizer_is_not_run(tmp_path):
    said = {"auto_map": {"AutoTokenizer": ["program.Own", None]}, "tokenizer_class": "Own"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(said))
    (tmp_path / "program.py").write_text("raise SystemExit('was run')")
    with pytest.raises(CheckpointError, match="not readable as a tokenizer"):
        tokenizer_of({"hf_tokenizer_name": "org/name"}, tmp_path, "the test")


def test_damaged_text():
    for text in ("", "{}", '{"kind": "cleaned", "tokenizer": "{}", "clean": "lower", "stripped": null}'):
        with pytest.raises(CheckpointError, match="no tokenizer of open_clip"):
            family("open_clip").tokenizer(text, 16)


def test_tokenizer_of_another_model(tmp_path):
    folder, _ = small.save("siglip", tmp_path / "siglip")
    said = small.describe("siglip")
    del said["model_cfg"]["text_cfg"]["hf_tokenizer_name"]
    del said["model_cfg"]["text_cfg"]["tokenizer_kwargs"]  # CLIP's own tokenizer then
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    with pytest.raises(CheckpointError, match=r"tokenizer has 49408 ids, the text tower only 220"):
        load_by_name(f"open_clip:{folder}")


def test_length_of_a_text_is_the_models(pair):
    tokenizer, _ = pair("clip")
    assert isinstance(tokenizer, ClipTokenizer)
    assert tokenizer(["a " * 300])[0].shape == (1, 20)
    assert ClipTokenizer(8, {})(["a " * 300])[0].shape == (1, 8)

"""Encoding at real length, and what is kept on disk."""

import logging
import os

import pytest
import torch
from carzero_small import CONFIG, PROMPTS, Words, same

from offclip.models.carzero import cache
from offclip.models.carzero.cache import embed_prompts, make_room, prompts_key, read_features, weights_hash
from offclip.models.carzero.encoding import encode_tokens
from offclip.models.carzero.fixture import TINY_PROMPTS, make_prompts, make_weights
from offclip.models.carzero.model import CarZero


@pytest.fixture
def model() -> CarZero:
    model = CarZero.from_state_dict(make_weights(CONFIG, "cache"), CONFIG)
    model.tokenizer = Words()
    return model


@pytest.fixture
def encoded(monkeypatch) -> list[int]:
    """How many texts went through the text tower, call by call."""
    calls: list[int] = []
    inner = cache.encode_tokens

    def counted(model, ids, mask, continues):
        calls.append(len(ids))
        return inner(model, ids, mask, continues)

    monkeypatch.setattr(cache, "encode_tokens", counted)
    return calls


def equal(one, other) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("pooled", "tokens", "mask"))


@pytest.mark.parametrize("at_a_time", [1, 2, 64])
@torch.inference_mode()
def test_groups_of_texts_give_what_all_together_give(model, at_a_time):
    prompts = make_prompts("cache", TINY_PROMPTS)
    tokens = prompts.input_ids, prompts.attention_mask, prompts.is_continuation
    apart, together = encode_tokens(model, *tokens, at_a_time), model.encode_text(*tokens)
    assert torch.equal(apart.mask, together.mask)
    assert same(apart.pooled, together.pooled)
    assert same(apart.tokens, together.tokens)


@torch.inference_mode()
def test_short_texts_never_see_the_length_of_long_ones(model, monkeypatch):
    lengths = []
    inner = CarZero.encode_text

    def noted(self, ids, mask, continues):
        lengths.append(int(mask.sum(dim=1).max()))
        return inner(self, ids, mask, continues)

    monkeypatch.setattr(CarZero, "encode_text", noted)
    prompts = make_prompts("cache", TINY_PROMPTS)
    encode_tokens(model, prompts.input_ids, prompts.attention_mask, prompts.is_continuation)
    assert lengths == [9, 25]


@torch.inference_mode()
def test_second_run_reads_what_the_first_wrote(model, encoded, tmp_path):
    first = embed_prompts(model, PROMPTS, tmp_path)
    second = embed_prompts(model, PROMPTS, tmp_path)
    assert encoded == [len(PROMPTS)]
    assert equal(first, second)
    assert equal(first, embed_prompts(model, PROMPTS))  # without a folder
    assert len(list(tmp_path.iterdir())) == 1  # and no temporary file stays


@torch.inference_mode()
def test_other_prompts_order_or_preset_are_another_file(model, encoded, tmp_path):
    embed_prompts(model, PROMPTS, tmp_path)
    embed_prompts(model, PROMPTS[::-1], tmp_path)
    embed_prompts(model, PROMPTS[:2], tmp_path)
    model.tokenizer.preset = "corrected"
    embed_prompts(model, PROMPTS, tmp_path)
    assert len(encoded) == 4
    assert len(list(tmp_path.iterdir())) == 4


@torch.inference_mode()
def test_another_tokenizer_is_another_file(model, encoded, tmp_path, monkeypatch):
    embed_prompts(model, PROMPTS, tmp_path)
    monkeypatch.setattr(Words, "is_continuation", lambda self, ids: ids % 7 == 4)
    embed_prompts(model, PROMPTS, tmp_path)
    assert len(encoded) == 2


@torch.inference_mode()
def test_one_changed_weight_is_another_model(model, encoded, tmp_path):
    first = embed_prompts(model, PROMPTS, tmp_path)
    before = weights_hash(model)
    with torch.no_grad():
        model.text_tower.embeddings.LayerNorm.bias[3] += 0.1
    assert weights_hash(model) != before
    assert not equal(first, embed_prompts(model, PROMPTS, tmp_path))
    assert len(encoded) == 2


@torch.inference_mode()
def test_a_file_of_another_model_under_this_name_is_refused(model, encoded, tmp_path, caplog):
    first = embed_prompts(model, PROMPTS, tmp_path)
    (theirs,) = tmp_path.iterdir()
    with torch.no_grad():
        model.text_tower.embeddings.LayerNorm.bias[3] += 0.1
    second = embed_prompts(model, PROMPTS, tmp_path)
    (ours,) = set(tmp_path.iterdir()) - {theirs}
    theirs.replace(ours)
    with caplog.at_level(logging.WARNING):
        again = embed_prompts(model, PROMPTS, tmp_path)
    assert equal(again, second)
    assert not equal(again, first)
    assert "belongs to something else" in caplog.text
    assert len(encoded) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-9],
        lambda content: content[: len(content) // 2],
        lambda content: b"\x00" * len(content),
        lambda content: content[:-30] + bytes([content[-30] ^ 1]) + content[-29:],
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content.replace(b"sha256", b"sha255"),
    ],
)
@torch.inference_mode()
def test_a_damaged_file_is_made_anew_with_a_note(model, encoded, tmp_path, caplog, damage):
    first = embed_prompts(model, PROMPTS, tmp_path)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    file.write_bytes(damage(content))
    with caplog.at_level(logging.WARNING):
        assert equal(embed_prompts(model, PROMPTS, tmp_path), first)
    assert "encoded again" in caplog.text
    assert not any(prompt in caplog.text for prompt in PROMPTS)
    assert file.read_bytes() == content
    assert len(encoded) == 2


@torch.inference_mode()
def test_a_folder_that_cannot_be_written_stops_nothing(model, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with caplog.at_level(logging.WARNING):
        assert equal(embed_prompts(model, PROMPTS, blocked), embed_prompts(model, PROMPTS))
    assert "not kept" in caplog.text


@torch.inference_mode()
def test_the_least_recently_used_goes_first(model, tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("x" * 10_000)
    for number in range(3):
        embed_prompts(model, [f"There is {number}"], tmp_path)
    files = sorted(tmp_path.glob("prompts-*"), key=lambda file: file.stat().st_mtime_ns)
    for age, file in enumerate(files):
        os.utime(file, (age + 1, age + 1))
    embed_prompts(model, ["There is 0"], tmp_path)  # was the oldest, and is used
    size = files[0].stat().st_size
    make_room(tmp_path, 2 * size)
    left = set(tmp_path.glob("prompts-*"))
    assert len(left) == 2
    assert other.exists()
    key = prompts_key(weights_hash(model), ["There is 0"], "plain", _tokens(["There is 0"]))
    assert read_features(tmp_path / f"prompts-{key}.safetensors", key) is not None


@torch.inference_mode()
def test_a_set_larger_than_the_limit_is_not_kept(model, tmp_path):
    embed_prompts(model, PROMPTS, tmp_path, limit=100)
    assert list(tmp_path.iterdir()) == []


def test_nothing_there_is_no_warning(tmp_path, caplog):
    assert read_features(tmp_path / "prompts.safetensors", "key") is None
    assert caplog.text == ""


def _tokens(texts):
    words = Words()
    ids, mask = words(texts)
    return ids, mask, words.is_continuation(ids)

"""The tokenizer of SigLIP, read off its `spiece.model`; transformers has it in Python only.

The file is a protocol buffer (sentencepiece_model.proto of the SentencePiece project); the few fields that
count are read here. What `SiglipTokenizer` does to a text before it looks its pieces up becomes the
normaliser.
"""

from __future__ import annotations

import re
import string
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, processors

from offclip.errors import CheckpointError

FILE = "spiece.model"
_SPACE = "▁"
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # the wire types
_PIECE, _TRAINER, _NORMALISER = 1, 2, 3  # fields of ModelProto
_TEXT, _SCORE = 1, 2  # of SentencePiece
_MODEL_TYPE, _UNIGRAM, _UNKNOWN_ID = 3, 1, 40  # of TrainerSpec
_CHARACTERS, _REMOVE_SPACES = 2, 4  # of NormalizerSpec


def siglip_backend(folder: Path, config: Mapping[str, Any]) -> Tokenizer:
    """The backend that gives the ids of `SiglipTokenizer`, without padding and truncation.

    Args:
        folder: With `spiece.model`.
        config: Of the tokenizer: `do_lower_case`, `eos_token`, `pad_token`, `unk_token`.

    Raises:
        CheckpointError: The file is damaged, or holds no unigram model.
    """
    file = folder / FILE
    try:
        pieces, unknown, characters, remove_spaces = _read(file.read_bytes())
        vocabulary = models.Unigram(pieces, unknown)
    except (OSError, IndexError, KeyError, ValueError, TypeError, struct.error) as error:
        raise CheckpointError(f"{file}: no SentencePiece model ({error}).", "Download it again.") from error
    backend = Tokenizer(vocabulary)
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(_SPACE, " "),
            normalizers.Prepend(_SPACE),
            *([normalizers.Lowercase()] if config.get("do_lower_case", True) else []),
            normalizers.Replace(Regex(f"[{re.escape(string.punctuation)}]"), ""),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            *([normalizers.Precompiled(characters)] if characters else []),
            *([normalizers.Replace(Regex(" {2,}"), " ")] if remove_spaces else []),
            normalizers.Replace(" ", _SPACE),
            *(
                [normalizers.Replace(Regex(f"{_SPACE}+$"), "")] if remove_spaces else []
            ),  # the first one stays
        ]
    )
    special = {name: token_text(config, name) for name in ("eos_token", "pad_token", "unk_token")}
    missing = [token for token in special.values() if backend.token_to_id(token) is None]
    if missing:
        raise CheckpointError(
            f"{file}: no piece {missing[0]!r}, which tokenizer_config.json names.", "Download both again."
        )
    backend.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special.values()])
    eos = special["eos_token"]
    backend.post_processor = processors.TemplateProcessing(
        single=f"$A {eos}", special_tokens=[(eos, backend.token_to_id(eos))]
    )
    return backend


def token_text(config: Mapping[str, Any], name: str) -> str:
    """A special token of SigLIP by its name in the configuration, which may give it with its properties."""
    token = config.get(name) or ("<unk>" if name == "unk_token" else "</s>")
    return str(token["content"] if isinstance(token, dict) else token)


def _read(data: bytes) -> tuple[list[tuple[str, float]], int, bytes, bool]:
    """Pieces with their scores, the id of the unknown one, the table of characters, and whether spaces go."""
    pieces: list[tuple[str, float]] = []
    trainer: dict[int, Any] = {}
    normaliser: dict[int, Any] = {}
    for field, value in _fields(data):
        if field == _PIECE:
            piece = dict(_fields(value))
            pieces.append((piece[_TEXT].decode(), struct.unpack("<f", piece[_SCORE])[0]))
        elif field == _TRAINER:
            trainer = dict(_fields(value))
        elif field == _NORMALISER:
            normaliser = dict(_fields(value))
    if not pieces or not trainer or trainer.get(_MODEL_TYPE, _UNIGRAM) != _UNIGRAM:
        raise ValueError("no unigram model")
    return (
        pieces,
        trainer.get(_UNKNOWN_ID, 0),
        normaliser.get(_CHARACTERS, b""),
        bool(normaliser.get(_REMOVE_SPACES, True)),
    )


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message: its number, and an int, or bytes that are not looked into."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
        else:
            if kind == _BYTES:
                size, place = _varint(data, place)
            elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
                size = 8 if kind == _EIGHT_BYTES else 4
            else:
                raise ValueError(f"wire type {kind}")
            value, place = data[place : place + size], place + size
            if place > len(data):
                raise ValueError("cut off")
        yield key >> 3, value


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place

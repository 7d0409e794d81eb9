"""Tokenizers of open_clip, kept as text: CLIP's own, and those of Hugging Face behind its cleaning."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer as Backend
from torch import Tensor

from offclip.errors import CheckpointError, ConfigError
from offclip.models.adapters.hub import fetch, first_line
from offclip.models.adapters.hugging_face.quiet import quiet
from offclip.models.adapters.library import library
from offclip.models.interface import Tokenizer
from offclip.models.tokenizer import checked_texts, encoded

_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
)
_CLIP_OPTIONS = ("clean", "additional_special_tokens")
_OPTIONS = ("clean", "strip_sep_token", "language")
# Compared with open_clip's own ids when a tokenizer is loaded: case, marks, spaces, numbers, accents, length.
_PROBES = (
    "There is no finding.",
    "  No  focal consolidation or PNEUMOTHORAX (s/p CABG x3);\ncardiomegaly: 1.5 cm_ -- unchanged! &amp;",
    "Épanchement pleural à gauche; naïve №5, 胸部X光片正常。",
    "nodule " * 300,
)


class ClipTokenizer:
    """open_clip's `SimpleTokenizer`, whose vocabulary comes with open_clip.

    Args:
        max_tokens: Longer texts are cut here; all are padded to it.
        options: `clean` and `additional_special_tokens`, as open_clip knows them.
    """

    pad_id = 0

    def __init__(self, max_tokens: int, options: Mapping[str, Any]) -> None:
        self.max_tokens = max_tokens
        self._options = dict(options)
        self._tokenizer = _simple(json.dumps(self._options, sort_keys=True))

    @property
    def vocabulary_size(self) -> int:
        """Number of different ids."""
        return self._tokenizer.vocab_size

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Ids and mask, (T, max_tokens) both.

        Raises:
            InputError: There is no text, or one is not a string or empty.
        """
        ids = self._tokenizer(checked_texts(texts), self.max_tokens)
        ends = (ids == self._tokenizer.eot_token_id).long()
        # The last end is the one that was put there; id 0 is an exclamation mark as well as padding.
        return ids, ends.flip(1).cumsum(1).flip(1).clamp(max=1)

    def to_json(self) -> str:
        """Its options; the vocabulary is open_clip's."""
        return json.dumps({"kind": "clip", "options": self._options}, indent=2)


class CleanedTokenizer:
    """A tokenizer of Hugging Face behind open_clip's cleaning of the text.

    Args:
        backend: Set to cut and pad to `max_tokens`.
        max_tokens: Longer texts are cut here; all are padded to it.
        clean: Name of open_clip's cleaning: `whitespace`, `lower` or `canonicalize`.
        stripped: An id that is replaced by 0, if any.
    """

    def __init__(self, backend: Backend, max_tokens: int, clean: str, stripped: int | None = None) -> None:
        self.max_tokens = max_tokens
        self._backend, self._clean_name, self._stripped = backend, clean, stripped
        self._clean = library("open_clip.tokenizer", "openclip").get_clean_fn(clean)

    @property
    def vocabulary_size(self) -> int:
        """The highest id, and one."""
        return max(self._backend.get_vocab().values()) + 1

    @property
    def pad_id(self) -> int:
        """Id of the padding."""
        padding = self._backend.padding or {}
        return padding.get("pad_id", 0)

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Ids and mask, (T, max_tokens) both.

        Raises:
            InputError: There is no text, or one is not a string or empty.
        """
        ids, mask = encoded(self._backend, [self._clean(text) for text in checked_texts(texts)])
        if self._stripped is None:
            return ids, mask
        stripped = ids == self._stripped
        return ids.masked_fill(stripped, 0), mask.masked_fill(stripped, 0)

    def to_json(self) -> str:
        """All of it."""
        fields = {"kind": "cleaned", "clean": self._clean_name, "stripped": self._stripped}
        return json.dumps(fields | {"tokenizer": self._backend.to_str()}, indent=2)


@cache
def _simple(options: str) -> Any:
    """open_clip's tokenizer for options as JSON; it takes a second to make."""
    return library("open_clip", "openclip").SimpleTokenizer(**json.loads(options))


def from_json(text: str, max_tokens: int) -> Tokenizer:
    """Restores what `to_json` of one of the two wrote.

    Raises:
        CheckpointError: The text is none.
    """
    try:
        fields = json.loads(text)
        if fields["kind"] == "clip":
            return ClipTokenizer(max_tokens, fields["options"])
        backend = Backend.from_str(fields["tokenizer"])
        return CleanedTokenizer(backend, max_tokens, fields["clean"], fields["stripped"])
    except (ConfigError, CheckpointError):
        raise
    except Exception as error:  # the tokenizers library raises no narrower kind
        raise CheckpointError(
            f"tokenizer.json: no tokenizer of open_clip ({error}).", "Copy it again."
        ) from error


def tokenizer_of(text: Mapping[str, Any], folder: Path, place: str) -> ClipTokenizer | CleanedTokenizer:
    """The tokenizer that an architecture names.

    Args:
        text: `text_cfg` of the architecture.
        folder: Of the weights; files of a tokenizer that stand there come before those that a name leads to.
        place: For messages.

    Raises:
        CheckpointError: It is not to be had.
        ConfigError: It has options that are not known here.
    """
    max_tokens = text.get("context_length") or 77
    options, name = dict(text.get("tokenizer_kwargs") or {}), text.get("hf_tokenizer_name")
    known = _OPTIONS if name else _CLIP_OPTIONS
    foreign = [key for key in options if key not in known]
    if text.get("tokenizer_mode"):
        foreign.append(f"tokenizer_mode {text['tokenizer_mode']}")
    if foreign:
        raise ConfigError(
            f"{place}: its tokenizer has {', '.join(foreign)}, which is not read here.",
            f"Known in tokenizer_kwargs: {', '.join(known)}.",
        )
    if not name:
        return ClipTokenizer(max_tokens, options)
    return _cleaned(_files_of(str(name), folder, place), max_tokens, options)


def _files_of(name: str, folder: Path, place: str) -> Path:
    if any((folder / file).is_file() for file in _FILES):
        return folder
    try:
        return fetch(name, weights=False)
    except CheckpointError as error:
        raise CheckpointError(
            f"{place}: no tokenizer beside the weights ({folder}). {error.message}",
            f"{error.remedy} Or put tokenizer.json and tokenizer_config.json of {name} beside the weights.",
        ) from error


def _cleaned(files: Path, max_tokens: int, options: Mapping[str, Any]) -> CleanedTokenizer:
    made = library("open_clip.tokenizer", "openclip").HFTokenizer
    try:
        with quiet():
            own = made(str(files), context_length=max_tokens, local_files_only=True, **options)
            expected = own(list(_PROBES))
        fast = own.tokenizer
        backend = Backend.from_str(
            fast.backend_tokenizer.to_str()
        )  # a copy: the other one changes as it is used
        backend.enable_truncation(max_tokens, direction=fast.truncation_side)
        backend.enable_padding(
            direction=fast.padding_side,
            pad_id=fast.pad_token_id,
            pad_type_id=fast.pad_token_type_id,
            pad_token=fast.pad_token,
            length=max_tokens,
        )
    except Exception as error:  # transformers, sentencepiece and tokenizers each have their own
        raise CheckpointError(
            f"{files}: not readable as a tokenizer ({type(error).__name__}: {first_line(error)[:300]}).",
            "Put the tokenizer.json and tokenizer_config.json of the model there.",
        ) from error
    stripped = fast.sep_token_id if options.get("strip_sep_token") else None
    tokenizer = CleanedTokenizer(backend, max_tokens, options.get("clean", "whitespace"), stripped)
    if not torch.equal(tokenizer(_PROBES)[0], expected):
        raise CheckpointError(
            f"{files}: its tokenizer does more than tokenizer.json says; its ids are not open_clip's.",
            "Save it with transformers' save_pretrained, which writes all of it into tokenizer.json.",
        )
    return tokenizer

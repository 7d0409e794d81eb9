"""Tokenizers of transformers, without transformers once they are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend
from torch import Tensor

from offclip.errors import CheckpointError, InputError
from offclip.models.adapters.hub import first_line, read_json, where_from
from offclip.models.adapters.hugging_face import siglip_pieces
from offclip.models.adapters.hugging_face.quiet import quiet
from offclip.models.adapters.library import library
from offclip.models.tokenizer import checked_texts, encoded

# Compared with the library's own ids when a tokenizer is loaded: case, punctuation, spaces, numbers, accents.
_PROBES = (
    "There is no finding.",
    "  No  focal consolidation, effusion or PNEUMOTHORAX (s/p CABG x3);\ncardiomegaly: 1.5 cm -- unchanged!",
    "Épanchement pleural à gauche; naïve café №5, 胸部X光片正常。",
    "word " * 600,
)
_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    siglip_pieces.FILE,
    "sentencepiece.bpe.model",
    "tokenizer.model",
)


class HfTokenizer:
    """Text to ids by the backend of a fast tokenizer; padding and truncation stand in its JSON.

    Args:
        backend: With padding and truncation switched on.
        masked: The model's own processor hands a mask to the model.

    Example:
        >>> from tokenizers import models, pre_tokenizers
        >>> words = {"[PAD]": 0, "[UNK]": 1, "no": 2, "finding": 3}
        >>> backend = Backend(models.WordLevel(words, unk_token="[UNK]"))
        >>> backend.pre_tokenizer = pre_tokenizers.Whitespace()
        >>> backend.enable_padding(pad_id=0, pad_token="[PAD]")
        >>> backend.enable_truncation(8)
        >>> tokenizer = HfTokenizer.from_json(HfTokenizer(backend).to_json())
        >>> ids, mask = tokenizer(["no finding", "finding"])
        >>> ids.tolist(), mask.tolist(), tokenizer.max_tokens
        ([[2, 3], [3, 0]], [[1, 1], [1, 0]], 8)
    """

    def __init__(self, backend: Backend, masked: bool = True) -> None:
        if backend.truncation is None or backend.padding is None:
            raise InputError(
                "The tokenizer does not say how it pads and truncates.", "Use what to_json wrote."
            )
        self.backend = backend
        self.padding: dict[str, Any] = backend.padding
        self.masked = masked
        self.max_tokens: int = backend.truncation["max_length"]

    @classmethod
    def from_json(cls, text: str, max_tokens: int | None = None) -> HfTokenizer:
        """Restores what `to_json` wrote.

        Args:
            text: In the format of the tokenizers library.
            max_tokens: Has to be the length that the text says, if it is given.

        Raises:
            InputError: The text is no tokenizer, or one of another length.
        """
        try:
            tokenizer = cls(Backend.from_str(text))
        except InputError:
            raise
        except Exception as error:  # the library raises no narrower kind
            raise InputError(f"Not a tokenizer ({error}).", "Use what to_json wrote.") from error
        if max_tokens not in (None, tokenizer.max_tokens):
            raise InputError(
                f"The tokenizer cuts at {tokenizer.max_tokens} tokens, not {max_tokens}.", "Copy it again."
            )
        return tokenizer

    def to_json(self) -> str:
        """The whole tokenizer as JSON, in the format of the tokenizers library."""
        return self.backend.to_str(pretty=True)

    @property
    def vocabulary_size(self) -> int:
        """Number of different ids."""
        return self.backend.get_vocab_size(with_added_tokens=True)

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokenises T texts: int64 ids and mask (T, L), padded as the model's own processor pads.

        Raises:
            InputError: There is no text, or one is not a string or empty.
        """
        return encoded(self.backend, checked_texts(texts))


@dataclass(frozen=True, slots=True)
class _Source:
    """A tokenizer as it stands in a folder; `own` is the library's, None where the library was not needed."""

    backend: Backend
    longest: int
    pad_id: int | None
    pad_token: str
    masked: bool
    pad_type_id: int = 0
    padding_side: str = "right"
    truncation_side: str = "right"
    own: Any = None


def load_tokenizer(folder: Path, positions: int, *, fixed_length: bool = False) -> HfTokenizer:
    """The tokenizer of a folder that transformers can load.

    Args:
        folder: With `tokenizer.json`, or a vocabulary of one of the older kinds.
        positions: Tokens that the text tower has positions for.
        fixed_length: Pad to the full length, not to the longest text.

    Raises:
        CheckpointError: Its files are missing or damaged, it has no padding, is a program, or of a kind that
            `tokenizers` has not.
    """
    source = _source(folder)
    if source.pad_id is None:
        raise CheckpointError(
            f"{folder}: its tokenizer has no padding token.",
            "Take the tokenizer that the model was trained with.",
        )
    limit = min(source.longest, positions)
    source.backend.enable_truncation(limit, direction=source.truncation_side)
    source.backend.enable_padding(
        direction=source.padding_side,
        pad_id=source.pad_id,
        pad_type_id=source.pad_type_id,
        pad_token=source.pad_token,
        length=limit if fixed_length else None,
    )
    tokenizer = HfTokenizer(source.backend, source.masked)
    if source.own is not None:
        _compare(tokenizer, source.own, folder, fixed_length)
    return tokenizer


def _source(folder: Path) -> _Source:
    file = folder / "tokenizer_config.json"
    config = read_json(file) if file.is_file() else {}
    if "auto_map" in config:
        raise CheckpointError(
            f"{folder}: its tokenizer is a program of its own (auto_map in {file.name}), which is not run.",
            "Save it as tokenizer.json, without auto_map.",
        )
    if not any((folder / name).is_file() for name in _FILES):
        raise CheckpointError(f"{folder}: no tokenizer; looked for {', '.join(_FILES)}.", where_from(folder))
    siglip = (folder / siglip_pieces.FILE).is_file() and not (folder / "tokenizer.json").is_file()
    if config.get("tokenizer_class", "SiglipTokenizer" if siglip else "") == "SiglipTokenizer":
        backend = siglip_pieces.siglip_backend(folder, config)
        pad_token = siglip_pieces.token_text(config, "pad_token")
        names = config.get("model_input_names", ["attention_mask"])
        longest = int(config.get("model_max_length", 64))
        return _Source(backend, longest, backend.token_to_id(pad_token), pad_token, "attention_mask" in names)
    own = _own(folder)
    if not getattr(own, "is_fast", False):
        raise CheckpointError(
            f"{folder}: its tokenizer ({type(own).__name__}) is written in Python, and cannot be kept.",
            "Take one that has a tokenizer.json.",
        )
    return _Source(
        Backend.from_str(
            own.backend_tokenizer.to_str()
        ),  # a copy, which the library's tokenizer does not share
        int(own.model_max_length),
        own.pad_token_id,
        own.pad_token,
        "attention_mask" in own.model_input_names,
        own.pad_token_type_id,
        own.padding_side,
        own.truncation_side,
        own,
    )


def _own(folder: Path) -> Any:
    transformers = library("transformers", "hf")
    try:
        with quiet():
            own = transformers.AutoTokenizer.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False
            )
            own(_PROBES[0])
    except Exception as error:  # the library raises all kinds
        raise CheckpointError(
            f"{folder}: its tokenizer cannot be read ({first_line(error)}).",
            "Older files need tokenizer_config.json with its tokenizer_class, and a .model file also "
            "pip install sentencepiece protobuf. Otherwise download it again.",
        ) from error
    return own


def _compare(tokenizer: HfTokenizer, own: Any, folder: Path, fixed_length: bool) -> None:
    with quiet():
        expected = own(
            list(_PROBES),
            padding="max_length" if fixed_length else True,
            truncation=True,
            max_length=tokenizer.max_tokens,
        )
    ids, mask = tokenizer(_PROBES)
    same = ids.tolist() == expected["input_ids"]
    if not same or ("attention_mask" in expected and mask.tolist() != expected["attention_mask"]):
        raise CheckpointError(
            f"{folder}: its tokenizer ({type(own).__name__}) does more than its backend does.",
            "Report it, with the name of the model; it would be wrong to go on with other ids.",
        )

"""The tokenizer of a text encoder, without transformers once it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer
from torch import Tensor

from offclip.errors import CheckpointError, InputError
from offclip.models.adapters.library import library
from offclip.models.tokenizer import checked_texts, encoded, read_tokenizer_json

VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)


class EncoderTokenizer:
    """Turns sentences into padded ids as the encoder's own tokenizer does.

    Args:
        tokenizer: With padding enabled.
        max_tokens: Longer texts are cut here, the marks at their ends included.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        if tokenizer.padding is None:
            raise InputError("The tokenizer does not pad.", "Use a tokenizer made by read_tokenizer.")
        self._tokenizer = tokenizer
        self.max_tokens = max_tokens
        self._tokenizer.enable_truncation(max_tokens)

    @classmethod
    def from_json(cls, text: str, max_tokens: int) -> EncoderTokenizer:
        """Restores what `to_json` wrote.

        Raises:
            InputError: The text is no tokenizer.
        """
        return cls(read_tokenizer_json(text), max_tokens)

    def to_json(self) -> str:
        """The whole tokenizer as JSON, in the format of the tokenizers library."""
        return self._tokenizer.to_str()

    @property
    def vocabulary_size(self) -> int:
        """Number of different ids."""
        return self._tokenizer.get_vocab_size()

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokenises T texts: ids and attention mask, int64 (T, L), L the length of the longest.

        Raises:
            InputError: There is no text, or one is not a string or empty.
        """
        return encoded(self._tokenizer, checked_texts(texts))


def read_tokenizer(folder: Path, max_tokens: int) -> EncoderTokenizer:
    """The tokenizer of a model folder.

    Raises:
        CheckpointError: There is none, or one that cannot be kept as JSON.
    """
    transformers = library("transformers", "hf")
    remedy = "Copy or download tokenizer.json and its neighbours."
    if not any((folder / name).is_file() for name in VOCABULARIES):  # transformers would make an empty one
        raise CheckpointError(f"{folder}: no tokenizer; looked for {', '.join(VOCABULARIES)}.", remedy)
    try:
        own = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError, ImportError, AttributeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"{folder}: no readable tokenizer ({reason}).", remedy) from error
    if not own.is_fast or own.pad_token_id is None:
        raise CheckpointError(f"{folder}: its tokenizer has no fast form, or no padding token.", remedy)
    tokenizer = Tokenizer.from_str(own.backend_tokenizer.to_str())
    # At the right whatever the encoder's own side: the mask hides it, and the caller may cut it off.
    tokenizer.enable_padding(pad_id=own.pad_token_id, pad_token=own.pad_token)
    return EncoderTokenizer(tokenizer, min(max_tokens, own.model_max_length))

"""The tokenizer of CARZero: cleaning, then the word pieces of BERT."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor

from offclip.errors import CheckpointError, InputError
from offclip.models.carzero.text import TextPreset, clean
from offclip.models.carzero.vocabulary import HOW_TO_GET_IT, read_vocabulary
from offclip.models.tokenizer import checked_texts, encoded

SPECIAL_IDS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102}
_CONTINUES = "##"

log = logging.getLogger(__name__)


class CarZeroTokenizer:
    """Turns prompts into ids as the published models were given them.

    Args:
        pieces: The vocabulary in the order of the ids.
        max_tokens: Longer texts are cut here, `[CLS]` and `[SEP]` included.
        preset: How a text is cleaned.

    Raises:
        CheckpointError: A special piece has another id than in BERT, or a piece is there twice.

    Example:
        >>> pieces = [f"[unused{number}]" for number in range(103)] + ["there", "is", "effusion", "##s"]
        >>> for name, number in SPECIAL_IDS.items():
        ...     pieces[number] = name
        >>> tokenizer = CarZeroTokenizer(pieces)
        >>> ids, mask = tokenizer(["There is effusions.", "There is."])
        >>> ids.tolist()
        [[101, 103, 104, 105, 106, 102], [101, 103, 104, 102, 0, 0]]
        >>> tokenizer.is_continuation(ids)[0].tolist()
        [False, False, False, False, True, False]
    """

    def __init__(
        self, pieces: Sequence[str], max_tokens: int = 97, preset: TextPreset = TextPreset.CARZERO
    ) -> None:
        numbered = {piece: number for number, piece in enumerate(pieces)}
        if len(numbered) != len(pieces):
            raise CheckpointError(
                f"The vocabulary has {len(pieces) - len(numbered)} pieces twice.", HOW_TO_GET_IT
            )
        for name, number in SPECIAL_IDS.items():
            if numbered.get(name) != number:
                raise CheckpointError(
                    f"{name} has the id {numbered.get(name)} instead of {number}: not BERT's vocabulary.",
                    HOW_TO_GET_IT,
                )
        self.max_tokens = max_tokens
        self.preset = TextPreset(preset)
        self._pieces = tuple(pieces)
        # On the CPU by name: a model is built on the meta device before its weights are loaded.
        self._continues = torch.tensor([piece.startswith(_CONTINUES) for piece in pieces], device="cpu")
        self._tokenizer = _word_pieces(numbered, max_tokens)

    @classmethod
    def from_source(
        cls, source: str | Path, max_tokens: int = 97, preset: TextPreset = TextPreset.CARZERO
    ) -> CarZeroTokenizer:
        """Reads the vocabulary of a folder, a file, or a Hugging Face hub id.

        Raises:
            CheckpointError: There is none, or it is not that of BERT.
        """
        return cls(read_vocabulary(source), max_tokens, preset)

    @classmethod
    def from_json(
        cls, text: str, max_tokens: int = 97, preset: TextPreset = TextPreset.CARZERO
    ) -> CarZeroTokenizer:
        """Restores what `to_json` wrote.

        Raises:
            InputError: The text is no tokenizer of this kind.
        """
        try:
            numbered = json.loads(text)["model"]["vocab"]
            return cls(sorted(numbered, key=numbered.__getitem__), max_tokens, preset)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"Not a tokenizer ({error}).", "Use what to_json wrote.") from error

    def to_json(self) -> str:
        """The word pieces as JSON, in the format of the tokenizers library; the cleaning is not in it."""
        return self._tokenizer.to_str(pretty=True)

    @property
    def vocabulary_size(self) -> int:
        """Number of different ids."""
        return len(self._pieces)

    def is_continuation(self, input_ids: Tensor) -> Tensor:
        """True where a piece goes on with the word of the piece before it (`##`).

        Args:
            input_ids: Ids of any shape.

        Raises:
            InputError: An id is not in the vocabulary.
        """
        if input_ids.numel() and not 0 <= int(input_ids.min()) <= int(input_ids.max()) < len(self._pieces):
            raise InputError(
                f"An id lies outside the vocabulary of {len(self._pieces)} pieces.",
                "Use ids of this tokenizer.",
            )
        return self._continues.to(input_ids.device)[input_ids]

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Cleans and tokenises T texts. A text that the cleaning empties is `[CLS] [SEP]`, and is logged.

        Returns:
            Two int64 tensors (T, L): ids, and the attention mask (1 token, 0 padding); L is the length
            of the longest text.

        Raises:
            InputError: There is no text, or one is not a string or empty.
        """
        texts = checked_texts(texts)
        cleaned = [clean(text, self.preset) for text in texts]
        empty = [position for position, text in enumerate(cleaned) if not text]
        if empty:
            log.warning(
                "%d of %d texts are empty to the model, such as %d; write a sentence: 'There is pneumonia.'",
                len(empty),
                len(texts),
                empty[0],
            )
        return encoded(self._tokenizer, cleaned)


class NoTokenizer:
    """Stands where a model has no tokenizer yet, and says so when it is asked.

    Args:
        place: Which model, for the message.
        max_tokens: Longest text that the model takes.
    """

    def __init__(self, place: str = "This model", max_tokens: int = 97) -> None:
        self.place = place
        self.max_tokens = max_tokens

    @property
    def vocabulary_size(self) -> int:
        """Nobody knows.

        Raises:
            CheckpointError: Always.
        """
        raise self._missing()

    def to_json(self) -> str:
        """There is nothing to write.

        Raises:
            CheckpointError: Always.
        """
        raise self._missing()

    def is_continuation(self, input_ids: Tensor) -> Tensor:
        """Nobody knows.

        Raises:
            CheckpointError: Always.
        """
        del input_ids
        raise self._missing()

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """No ids for these texts.

        Raises:
            CheckpointError: Always.
        """
        del texts
        raise self._missing()

    def _missing(self) -> CheckpointError:
        return CheckpointError(
            f"{self.place} has no tokenizer: it takes ids with is_continuation, but no text.",
            f"{HOW_TO_GET_IT} Then convert again.",
        )


def _word_pieces(numbered: dict[str, int], max_tokens: int) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(numbered, unk_token="[UNK]", max_input_chars_per_word=100))
    # The cleaning has lower-cased already, so a cased vocabulary and an uncased one are treated alike.
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, SPECIAL_IDS[name]) for name in ("[CLS]", "[SEP]")],
    )
    tokenizer.enable_padding(pad_id=SPECIAL_IDS["[PAD]"], pad_token="[PAD]")
    tokenizer.enable_truncation(max_tokens)
    return tokenizer

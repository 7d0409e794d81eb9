"""A tokenizer that is learnt from the training sentences and travels with the weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor

from offclip.errors import InputError

PAD, UNKNOWN, CLS = "[PAD]", "[UNK]", "[CLS]"
END_OF_WORD = "▁"


class TextTokenizer:
    """Turns sentences into padded id tensors.

    Case and the punctuation between words carry no meaning in a one-sentence prompt, so "There is no
    finding." and "there is no finding" are the same input.

    Args:
        tokenizer: A `tokenizers.Tokenizer` that knows `[PAD]`.
        max_tokens: Longer texts are cut here.

    Example:
        >>> tokenizer = TextTokenizer.fit(["There is no finding.", "There is pleural effusion."] * 2)
        >>> ids, mask = tokenizer(["there is no finding", "no finding"])
        >>> ids.shape == mask.shape, mask.sum(dim=1).tolist()
        (True, [5, 3])
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int = 48) -> None:
        pad_id = tokenizer.token_to_id(PAD)
        if pad_id is None:
            raise InputError(
                f"The tokenizer has no {PAD} token.", "Use a tokenizer made by TextTokenizer.fit."
            )
        self._tokenizer = tokenizer
        self.max_tokens = max_tokens
        self._tokenizer.enable_padding(pad_id=pad_id, pad_token=PAD)
        self._tokenizer.enable_truncation(max_tokens)

    @classmethod
    def fit(cls, texts: Iterable[str], vocabulary_size: int = 4096, max_tokens: int = 48) -> TextTokenizer:
        """Learns byte-pair merges from sentences; the same sentences give the same tokenizer."""
        tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
        tokenizer.normalizer = normalizers.Sequence(
            [
                normalizers.NFKC(),
                normalizers.Lowercase(),
                normalizers.Replace(Regex(r"[^\p{L}\p{N}.%/'-]+"), " "),
                normalizers.Replace(Regex(r"[.'-]+(?=\s|$)"), " "),
                normalizers.Strip(),
                # The mark keeps "no" the word and "no" the start of "nodule" apart. It is a character like
                # any other, because the trainer numbers its own end_of_word_suffix tokens at random.
                normalizers.Replace(Regex(r"\s+|$"), END_OF_WORD + " "),
            ]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.decoder = decoders.BPEDecoder(suffix=END_OF_WORD)
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size,
            min_frequency=2,
            special_tokens=[PAD, UNKNOWN, CLS],
            show_progress=False,
        )
        tokenizer.train_from_iterator(sorted(texts), trainer)
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{CLS} $A", special_tokens=[(CLS, tokenizer.token_to_id(CLS))]
        )
        return cls(tokenizer, max_tokens)

    @classmethod
    def from_json(cls, text: str, max_tokens: int = 48) -> TextTokenizer:
        """Restores what `to_json` wrote.

        Raises:
            InputError: The text is no tokenizer.
        """
        return cls(read_tokenizer_json(text), max_tokens)

    def to_json(self) -> str:
        """The whole tokenizer as JSON, in the format of the tokenizers library."""
        return self._tokenizer.to_str(pretty=True)

    @property
    def vocabulary_size(self) -> int:
        """Number of different ids."""
        return self._tokenizer.get_vocab_size()

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokenises T texts.

        Returns:
            Two int64 tensors (T, L): ids, and the attention mask (1 token, 0 padding); L is the length
            of the longest text.

        Raises:
            InputError: There is no text, or one is not a string or empty.
        """
        return encoded(self._tokenizer, checked_texts(texts))


def read_tokenizer_json(text: str) -> Tokenizer:
    """A tokenizer of the tokenizers library from its JSON.

    Raises:
        InputError: The text is no tokenizer.
    """
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the library raises no narrower kind
        raise InputError(f"Not a tokenizer ({error}).", "Use what to_json wrote.") from error


def encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Ids and attention mask of T texts, int64 (T, L), by a tokenizer that pads."""
    encodings = tokenizer.encode_batch(list(texts))
    return (
        torch.tensor([encoding.ids for encoding in encodings]),
        torch.tensor([encoding.attention_mask for encoding in encodings]),
    )


def checked_texts(texts: Sequence[str]) -> list[str]:
    """The texts, once it is known that each is one.

    Raises:
        InputError: There is no text, or one is not a string or empty.
    """
    texts = list(texts)
    for position, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise InputError(
                f"Text {position} of {len(texts)} is empty or no string: {text!r}.", "Leave it out."
            )
    if not texts:
        raise InputError("There is no text to tokenise.", "Give at least one sentence.")
    return texts

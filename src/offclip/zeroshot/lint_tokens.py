"""What a model's tokenizer makes of a prompt: words that it drops, cuts off or does not know."""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers import Tokenizer as LibraryTokenizer

from offclip.models.carzero.text import TextPreset, clean, remarks
from offclip.models.interface import Tokenizer
from offclip.models.tokenizer import UNKNOWN
from offclip.zeroshot.remarks import Remark


class TokenCheck:
    """Looks at prompts through a tokenizer.

    Args:
        tokenizer: Of the model that will be asked.

    Raises:
        CheckpointError: The model has no tokenizer.

    Example:
        >>> from offclip.models import TextTokenizer
        >>> check = TokenCheck(TextTokenizer.fit(["There is no finding."] * 2, max_tokens=6))
        >>> [remark.code for remark in check("There is no finding.")]
        []
        >>> [remark.code for remark in check("There is no finding, finding, finding.")]
        ['too-long']
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._max_tokens = tokenizer.max_tokens
        self._preset: TextPreset | None = getattr(tokenizer, "preset", None)
        # A tokenizer of its own: that of the model cuts off, and nobody sees what.
        self._tokenizer = LibraryTokenizer.from_str(tokenizer.to_json())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def __call__(self, prompt: str) -> Iterator[Remark]:
        """What there is to say of one prompt that holds a word."""
        cleaned = prompt
        if self._preset is not None:
            for remark in remarks([prompt], self._preset):
                yield Remark(
                    "cut-by-the-model",
                    f"the model's cleaning of texts: {remark.loss}",
                    "Write whole sentences of two words or more, and no number before a full stop.",
                )
            cleaned = clean(prompt, self._preset)
        tokens = self._tokenizer.encode(cleaned).tokens
        if len(tokens) > self._max_tokens:
            yield Remark(
                "too-long",
                f"it has {len(tokens)} tokens, and the model reads {self._max_tokens}",
                "Write a shorter sentence; what is over is not read.",
            )
        unknown = tokens.count(UNKNOWN)
        if unknown:
            yield Remark(
                "unknown-token",
                f"{unknown} of its {len(tokens)} tokens are unknown to the model",
                "Use the letters and words of reports.",
            )

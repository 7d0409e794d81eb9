"""From a prompt to the words that the tokenizer is given: the published way, and a way without its losses."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

_NUMBER_AND_DOT = re.compile(r"[0-9]+\.")
_WORD = re.compile(r"\w+")
# A word, or a number with its decimals; what joins two parts of one word stays.
_WHOLE_WORD = re.compile(r"[a-z0-9]+(?:(?:(?<=[0-9])[.,](?=[0-9])|[-/'])[a-z0-9]+)*")
_DASHES = dict.fromkeys([0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2212], "-")
_LOOKS_ALIKE = _DASHES | {0x2044: "/", 0x2018: "'", 0x2019: "'"}


class TextPreset(StrEnum):
    """How a text is cleaned before it is cut into word pieces. Stands in the card of a model.

    Attributes:
        CARZERO: What the published models were trained and measured with, oddities included.
        CORRECTED: Keeps decimals, words with a hyphen or slash, and prompts of one word. Other scores.
    """

    CARZERO = "carzero"
    CORRECTED = "corrected"


@dataclass(frozen=True, slots=True)
class TextRemark:
    """What the published cleaning takes away from one text.

    Attributes:
        position: Which of the texts.
        text: The text.
        loss: What is lost, in words.
    """

    position: int
    text: str
    loss: str


def clean(text: str, preset: TextPreset = TextPreset.CARZERO) -> str:
    """Cleans one text; may give an empty one.

    Example:
        >>> clean("There is a 3.5 cm nodule/mass."), clean("Pneumonia.")
        ('there is a 5 cm nodule mass', '')
        >>> [clean(text, TextPreset.CORRECTED) for text in ("There is a 3.5 cm nodule/mass.", "Pneumonia.")]
        ['there is a 3.5 cm nodule/mass', 'pneumonia']
    """
    return _as_published(text) if preset is TextPreset.CARZERO else _corrected(text)


def remarks(texts: Sequence[str], preset: TextPreset = TextPreset.CARZERO) -> tuple[TextRemark, ...]:
    """Says which prompts do not mean to the model what they mean to a reader.

    Args:
        texts: The prompts.
        preset: How they will be cleaned.

    Example:
        >>> [remark.loss for remark in remarks(["There is pneumonia.", "Pneumonia", "Nodule of 3.5 cm"])]
        ['nothing is left of it', "'3.' is cut out"]
    """
    found = []
    for position, text in enumerate(texts):
        if not clean(text, preset):
            found.append(TextRemark(position, text, "nothing is left of it"))
        elif preset is TextPreset.CARZERO:
            numbers = _NUMBER_AND_DOT.findall(text)
            lonely = [words[0] for words in _sentences(text) if len(words) == 1]
            if numbers:
                found.append(TextRemark(position, text, f"{numbers[0]!r} is cut out"))
            if lonely:
                found.append(TextRemark(position, text, f"the sentence {lonely[0]!r} is dropped"))
    return tuple(found)


def _as_published(text: str) -> str:
    kept = []
    for words in _sentences(text):
        if len(words) > 1:  # their rule; it also drops a prompt of one word
            plain = (word.encode("ascii", "ignore").decode("ascii") for word in words)
            kept.append(" ".join(word for word in plain if word))
    return " ".join(sentence for sentence in kept if sentence)


def _sentences(text: str) -> list[list[str]]:
    """Words of each sentence. A number before a full stop counts as that of a list item, decimals too."""
    pieces = _NUMBER_AND_DOT.split(text.replace("\n", " "))
    sentences = [sentence for piece in pieces for sentence in piece.split(".")]
    return [_WORD.findall(sentence.replace("\ufffd\ufffd", " ").lower()) for sentence in sentences]


def _corrected(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).translate(_LOOKS_ALIKE)
    plain = "".join(
        letter if letter.isascii() else "" if unicodedata.combining(letter) else " " for letter in letters
    )
    return " ".join(_WHOLE_WORD.findall(plain.lower()))

"""Prompts and names of classes as words, so that two spellings of one thing are seen to be one."""

from __future__ import annotations

import re

NORMAL_CLASS = "normal"
# What tables of labels call the class of films without a finding.
NORMAL_LABELS = frozenset({"normal", "no finding", "no findings", "nofinding", "healthy"})

_BLANKS = re.compile(r"[\s_]+")
_WORD = re.compile(r"[^\W_]+(?:['’/-][^\W_]+)*")
_ARTICLES = frozenset({"a", "an", "the"})


def plain_words(text: str) -> str:
    """A text in lower case, with single blanks and without its final full stop.

    Example:
        >>> plain_words(" Pleural_Effusion. ")
        'pleural effusion'
    """
    return _BLANKS.sub(" ", text).strip(" .").casefold()


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, in lower case; what is joined by a hyphen or a slash is one.

    Example:
        >>> words_of("There is a well-defined mass, 3 cm.")
        ('there', 'is', 'a', 'well-defined', 'mass', '3', 'cm')
    """
    return tuple(_WORD.findall(text.casefold()))


def meaning_of(text: str) -> tuple[str, ...]:
    """The words of a text without articles: two prompts with equal words say the same.

    Example:
        >>> meaning_of("There is a nodule.") == meaning_of("there is nodule")
        True
    """
    return tuple(word for word in words_of(text) if word not in _ARTICLES)

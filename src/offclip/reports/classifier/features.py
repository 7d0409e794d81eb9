"""Hashed n-grams of words and characters, computed with numpy alone.

A classifier that is saved must see the same features years later on another machine, so they depend on
nothing but this file: no vocabulary, no pickle, no library's hashing, not even the tokenizer of the rules,
which may grow. Whoever changes what a sentence turns into raises `FEATURES`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from offclip.errors import InputError

# Version of the features; weights of another version are refused.
FEATURES = 1
# What a classifier reads of one sentence. Real sentences are below 1,000 characters.
LONGEST = 5_000
_BATCH = 4_096
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:\.\d+)?|_+|[.,;:?()/]", re.IGNORECASE)
_PRIME = np.uint64(0x100000001B3)
_MIX = np.uint64(0x9E3779B97F4A7C15)
# Words that are as good as absent when two sentences are compared.
_SMALL_WORDS = frozenset(("the", "a", "an", "is", "are", "there", "and", "of", "this", "that"))
_ALIKE = frozenset("0_.,;:?()/")


@dataclass(frozen=True, slots=True)
class FeatureConfig:
    """Which n-grams are counted, and into how many columns.

    Attributes:
        words: Longest row of words; rows of 1 up to this length are counted.
        characters_from: Shortest row of characters.
        characters_to: Longest row of characters; 0 counts none.
        bits: The table has `2**bits` columns.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> FeatureConfig().columns
        262144
    """

    words: int = 3
    characters_from: int = 3
    characters_to: int = 5
    bits: int = 18

    def __post_init__(self) -> None:
        limits = {"words": (1, 5), "characters_from": (1, 8), "characters_to": (0, 8), "bits": (8, 24)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise InputError(
                    f"FeatureConfig.{name} is {value!r}.", f"Give a whole number from {low} to {high}."
                )

    @property
    def columns(self) -> int:
        """Number of columns."""
        return 1 << self.bits


@dataclass(frozen=True, slots=True)
class SparseRows:
    """A sparse matrix by rows: row i has `values[offsets[i]:offsets[i + 1]]` in `columns` of the same span.

    Attributes:
        offsets: (rows + 1,) int64.
        columns: (entries,) int64.
        values: (entries,) float32.
    """

    offsets: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float32]


def normalise(sentence: str) -> str:
    """Return the sentence as the features read it: lower case, numbers as 0, blanked-out names as `_`.

    Example:
        >>> normalise("A 1.5 cm nodule,  XXXX.")
        'a 0 cm nodule , _ .'
    """
    return " ".join(_words(sentence))


def near_duplicate_key(sentence: str) -> str:
    """Return a text that is the same for sentences that differ in small words, marks and numbers alone.

    Example:
        >>> near_duplicate_key("There is a small effusion.") == near_duplicate_key("Small effusion")
        True
    """
    return " ".join(w for w in _words(sentence) if w not in _SMALL_WORDS and w not in _ALIKE)


def sentence_features(sentences: Sequence[str], config: FeatureConfig) -> SparseRows:
    """Count the n-grams of sentences; those of words and those of characters each have length 1.

    Args:
        sentences: Texts; what goes beyond 5,000 characters is not read.
        config: Which n-grams.

    Returns:
        One row a sentence; columns may repeat inside a row, where they add up.

    Example:
        >>> rows = sentence_features(["No effusion.", ""], FeatureConfig())
        >>> int(rows.offsets[1]) > 10, int(rows.offsets[2] - rows.offsets[1])
        (True, 0)
    """
    parts = list(_batches(sentences, config))
    if not parts:
        return SparseRows(np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    counts = np.concatenate([part[0] for part in parts])
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    return SparseRows(
        offsets, np.concatenate([part[1] for part in parts]), np.concatenate([part[2] for part in parts])
    )


def _batches(
    sentences: Sequence[str], config: FeatureConfig
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    """Yield entries a row, columns and values of some sentences at a time."""
    for begin in range(0, len(sentences), _BATCH):
        words = [_words(sentence) for sentence in sentences[begin : begin + _BATCH]]
        blocks = [_unique(*_word_hashes(words, config), len(words), config)]
        if config.characters_to:
            blocks.append(_unique(*_character_hashes(words, config), len(words), config))
        rows = np.concatenate([block[0] for block in blocks])
        order = np.argsort(rows, kind="stable")
        yield (
            np.bincount(rows, minlength=len(words)),
            np.concatenate([block[1] for block in blocks])[order],
            np.concatenate([block[2] for block in blocks])[order],
        )


def _words(sentence: str) -> list[str]:
    return [_plain(word) for word in _WORD.findall(sentence[:LONGEST].lower())]


@lru_cache(maxsize=65_536)
def _plain(word: str) -> str:
    if word[:1].isdigit():
        return "0"
    return "_" if word[:1] == "_" or (len(word) > 1 and not word.strip("x")) else word


@lru_cache(maxsize=65_536)
def _word_hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def _word_hashes(
    words: list[list[str]], config: FeatureConfig
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return row and hash of every row of words."""
    lengths = np.array([len(row) for row in words], np.int64)
    rows = np.repeat(np.arange(len(words)), lengths)
    units = np.array([_word_hash(word) for row in words for word in row], np.uint64)
    return _ngrams(rows, units, 1, config.words)


def _character_hashes(
    words: list[list[str]], config: FeatureConfig
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return row and hash of every row of characters, blanks between words included."""
    texts = [f" {' '.join(row)} " if row else "" for row in words]
    rows = np.repeat(np.arange(len(words)), [len(text) for text in texts])
    # A lone surrogate cannot be encoded but can stand in a string; it becomes a question mark.
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "replace"), np.uint32)
    return _ngrams(rows, codes.astype(np.uint64) + np.uint64(1), config.characters_from, config.characters_to)


def _ngrams(
    rows: NDArray[np.int64], units: NDArray[np.uint64], shortest: int, longest: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Hash every row of `shortest` to `longest` units that lies within one sentence (FNV-1a over units)."""
    found_rows, found = [rows[:0]], [units[:0]]
    running = np.full(len(units), 0xCBF29CE484222325 + longest, np.uint64)
    for length in range(1, min(longest, len(units)) + 1):
        count = len(units) - length + 1
        running = (running[:count] ^ units[length - 1 :]) * _PRIME
        if length >= shortest:
            inside = rows[:count] == rows[length - 1 :]
            found_rows.append(rows[:count][inside])
            found.append((running ^ np.uint64(length))[inside])
    return np.concatenate(found_rows), np.concatenate(found)


def _unique(
    rows: NDArray[np.int64], hashes: NDArray[np.uint64], count: int, config: FeatureConfig
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Fold hashes into columns, keep each once a row, and give every row length 1."""
    mixed = (hashes ^ (hashes >> np.uint64(29))) * _MIX
    columns = (mixed >> np.uint64(64 - config.bits)).astype(np.int64)
    cells = np.sort((rows << config.bits) | columns)
    cells = cells[np.diff(cells, prepend=-1) != 0]
    rows, columns = cells >> config.bits, cells & (config.columns - 1)
    weights = 1.0 / np.sqrt(np.maximum(np.bincount(rows, minlength=count), 1))
    return rows, columns, weights[rows].astype(np.float32)

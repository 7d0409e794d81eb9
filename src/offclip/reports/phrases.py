"""A small phrase language over words, and an index that finds its phrases in a sentence.

A regular expression of a thousand alternatives is slow and hard to read. A phrase here is a row of words
with a few wildcards (see `PhraseIndex`), and all phrases share one prefix tree, so that looking at a word
that begins no phrase costs a single dictionary lookup.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Generic, TypeVar

Payload = TypeVar("Payload")

# One word, number or mark. Hyphens and blanks separate, so "air-space" equals "air space". A few short
# forms keep their slash; "<br>" is a line break and disappears.
_TOKEN = re.compile(
    r"\b(?:w/o|s/p|y/o|r/o|c/w)\b"
    r"|<br\s{0,3}/?>"
    r"|[^\W\d_]+(?:['’][^\W\d_]+)?"
    r"|\d+(?:\.\d+)?"
    r"|_{2,}"
    r"|[.]+"
    r"|[,;:!?()/\[\]]",
    re.IGNORECASE,
)
MARKS = frozenset(".,;:!?()/[]")
# A word of another script can be as long as the text; none of ours is.
_LONGEST_WORD = 40
# The memo of first words is emptied at this size, so that hostile text cannot fill the memory.
_MEMO_SIZE = 50_000


@dataclass(frozen=True, slots=True)
class Tokens:
    """The words of a sentence, in lower case, with where they stand.

    Attributes:
        words: Lower-case words, numbers and punctuation marks.
        spans: Character offsets `(start, end)` of each in the text.
    """

    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


def tokenize(text: str) -> Tokens:
    """Split a text into words, numbers and marks.

    Example:
        >>> tokenize("Air-space opacity, 1.5 cm").words
        ('air', 'space', 'opacity', ',', '1.5', 'cm')
    """
    words: list[str] = []
    spans: list[tuple[int, int]] = []
    for match in _TOKEN.finditer(text):
        word = match.group()
        if word[0] == "<":
            continue
        if word[0] == ".":
            word = "."
        words.append(word.lower() if len(word) <= _LONGEST_WORD else "")
        spans.append(match.span())
    return Tokens(tuple(words), tuple(spans))


@dataclass(frozen=True, slots=True)
class Match(Generic[Payload]):
    """A phrase found in a sentence: tokens `first` up to, not including, `last`."""

    payload: Payload
    first: int
    last: int


class PhraseError(ValueError):
    """A phrase cannot be read."""


_ANY = ("any", "")
_Slot = tuple[str, str]  # ("word" | "prefix" | "suffix" | "any", text)


def _slots(word: str) -> tuple[_Slot, ...]:
    alternatives = word.split("|")
    slots: list[_Slot] = []
    for alternative in alternatives:
        bare = alternative.strip("*")
        if not bare or "*" in bare or alternative != alternative.lower():
            raise PhraseError(f"word {word!r} is empty, has an inner star, or is not lower case")
        if alternative.endswith("*"):
            slots.append(("prefix", bare))
        elif alternative.startswith("*"):
            slots.append(("suffix", bare))
        else:
            slots.append(("word", alternative))
    return tuple(slots)


def expand(phrase: str) -> Iterator[tuple[tuple[_Slot, ...], ...]]:
    """Write a phrase out as rows of word slots, one row for each way to read it.

    Args:
        phrase: Words with `word*`, `*word`, `a|b`, `[word]` and `~3`; see `PhraseIndex`.

    Yields:
        Rows; each place of a row holds the alternatives that may stand there.

    Raises:
        PhraseError: The phrase is empty or malformed.

    Example:
        >>> len(list(expand("no [new] change*|difference")))
        2
    """
    # Marks may be written close to a word, as in ": none".
    choices: list[list[tuple[tuple[_Slot, ...], ...]]] = []
    for word in phrase.split():
        if word.startswith("~"):
            if not word[1:].isdecimal() or not 1 <= int(word[1:]) <= 6:
                raise PhraseError(f"gap {word!r} must be ~1 to ~6")
            choices.append([((_ANY,),) * n for n in range(int(word[1:]) + 1)])
        elif word.startswith("["):
            if not word.endswith("]"):
                raise PhraseError(f"optional word {word!r} must close with ']'")
            choices.append([(), (_slots(word[1:-1]),)])
        else:
            choices.append([(_slots(word),)])
    if not choices:
        raise PhraseError("an empty phrase")
    for parts in product(*choices):
        row = tuple(slot for part in parts for slot in part)
        if not row or row[0] == (_ANY,):
            raise PhraseError(f"phrase {phrase!r} must begin with a word")
        yield row


class _Node(Generic[Payload]):
    __slots__ = ("any", "order", "payload", "prefixes", "suffixes", "words")

    def __init__(self) -> None:
        self.words: dict[str, _Node[Payload]] = {}
        self.prefixes: dict[str, _Node[Payload]] = {}
        self.suffixes: dict[str, _Node[Payload]] = {}
        self.any: _Node[Payload] | None = None
        self.order: int = -1
        self.payload: Payload | None = None

    def child(self, slot: _Slot) -> "_Node[Payload]":
        kind, text = slot
        if kind == "any":
            if self.any is None:
                self.any = _Node()
            return self.any
        branch = {"word": self.words, "prefix": self.prefixes, "suffix": self.suffixes}[kind]
        return branch.setdefault(text, _Node())

    def follow(self, word: str) -> list["_Node[Payload]"]:
        exact = self.words.get(word)
        nodes = [] if exact is None else [exact]
        if not self.prefixes and not self.suffixes:
            return nodes
        for prefix, node in self.prefixes.items():
            if word.startswith(prefix):
                nodes.append(node)
        for suffix, node in self.suffixes.items():
            if word.endswith(suffix) and word != suffix:
                nodes.append(node)
        return nodes


class PhraseIndex(Generic[Payload]):
    """Finds phrases in a row of words: from left to right, the longest first, never overlapping.

    A phrase is words separated by blanks: `word*` starts with, `*word` ends with, `a|b` either word, `[word]`
    may be missing, `~3` up to three words in between (never across a mark or one of `gap_stops`).

    Args:
        entries: Pairs of phrase and what to report where it is found. Of two phrases of equal length the
            earlier entry wins.
        gap_stops: Words that a gap does not cross.

    Raises:
        PhraseError: A phrase is malformed.

    Example:
        >>> index = PhraseIndex([("no", "negation"), ("no [new] change*", "pseudo"), ("opaci*", "opacity")])
        >>> [m.payload for m in index.scan(("no", "new", "change", "no", "opacities"))]
        ['pseudo', 'negation', 'opacity']
    """

    def __init__(self, entries: Iterable[tuple[str, Payload]], gap_stops: Iterable[str] = ()) -> None:
        self._root: _Node[Payload] = _Node()
        self._stops = frozenset(gap_stops) | MARKS
        self._first: dict[str, list[_Node[Payload]]] = {}
        for order, (phrase, payload) in enumerate(entries):
            for row in expand(phrase):
                nodes = [self._root]
                for place in row:
                    nodes = [node.child(slot) for node in nodes for slot in place]
                for node in nodes:
                    if node.payload is None:
                        node.payload, node.order = payload, order

    def scan(self, words: tuple[str, ...]) -> list[Match[Payload]]:
        """Return the phrases in `words`, in order."""
        found: list[Match[Payload]] = []
        memo, i, n = self._first, 0, len(words)
        while i < n:
            word = words[i]
            nodes = memo.get(word)
            if nodes is None:
                if len(memo) > _MEMO_SIZE:
                    memo.clear()
                nodes = memo[word] = self._root.follow(word)
            if not nodes:
                i += 1
                continue
            best: _Node[Payload] | None = None
            best_end = 0
            for node in nodes:
                best, best_end = self._longest(node, words, i + 1, best, best_end)
            if best is None or best.payload is None:
                i += 1
                continue
            found.append(Match(best.payload, i, best_end))
            i = best_end
        return found

    def _longest(
        self, node: _Node[Payload], words: tuple[str, ...], i: int, best: _Node[Payload] | None, best_end: int
    ) -> tuple[_Node[Payload] | None, int]:
        # Depth is bounded by the longest phrase, breadth by the phrases that share a beginning.
        if node.payload is not None and (
            i > best_end or (i == best_end and best is not None and node.order < best.order)
        ):
            best, best_end = node, i
        if i < len(words):
            word = words[i]
            for follower in node.follow(word):
                best, best_end = self._longest(follower, words, i + 1, best, best_end)
            if node.any is not None and word not in self._stops:
                best, best_end = self._longest(node.any, words, i + 1, best, best_end)
        return best, best_end

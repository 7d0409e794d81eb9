"""A small phrase language over words, and an index that finds its phrases in a sentence.

A regular expression of a thousand alternatives is slow and hard to read. A phrase here is a row of words
with a few wildcards (see `PhraseIndex`), and all phrases share one automaton, built as words come by, so that
looking at a word costs a single dictionary lookup.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, Generic, NamedTuple, TypeVar

Payload = TypeVar("Payload")

# One word, number or mark. Hyphens and blanks separate, so "air-space" equals "air space". A few short
# forms keep their slash; "<br>" is a line break and disappears.
_FORM = (
    r"{letter}+(?:(?=[/'’])(?:(?<=\b[wyr])/o\b|(?<=\bs)/p\b|(?<=\bc)/w\b|['’]{letter}+))?"
    r"|[.]+"
    r"|[,;:!?()/\[\]]"
    r"|\d+(?:\.\d+)?"
    r"|_{{2,}}"
    r"|<br\s{{0,3}}/?>"
)
# Nearly every report is ASCII, where the letters are a plain range; that halves the time.
_ASCII_TOKEN = re.compile(_FORM.format(letter="[a-z]"), re.ASCII)
_TOKEN = re.compile(_FORM.format(letter=r"[^\W\d_]"))
MARKS = frozenset(".,;:!?()/[]")
# The automaton forgets at this many steps and keeps no longer words, so that hostile text cannot fill the
# memory: a word of another script can be as long as the text.
_MEMO_SIZE = 200_000
_LONGEST_WORD = 40


def tokenize(text: str) -> list[str]:
    """Split a text into lower-case words, numbers and marks.

    Example:
        >>> tokenize("Air-space opacity, 1.5 cm..")
        ['air', 'space', 'opacity', ',', '1.5', 'cm', '.']
    """
    lower = _lower(text)
    words = (_ASCII_TOKEN if lower.isascii() else _TOKEN).findall(lower)
    if ".." in lower or "<" in lower:
        return ["." if word[0] == "." else word for word in words if word[0] != "<"]
    return words


def spans(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Return where each of `words`, the first words of `tokenize(text)`, stands in the text.

    Returns:
        Character offsets `(start, end)`.

    Example:
        >>> spans("No mass.", ["no", "mass", "."])
        [(0, 2), (3, 7), (7, 8)]
    """
    lower = _lower(text)
    if "<" in lower:
        return [match.span() for match in _TOKEN.finditer(lower) if match[0][0] != "<"]
    # What stands between two words holds no character that could begin the second, so the next place where
    # it is found is where it was read. (Of a row of full stops the first is given.)
    found = []
    end = 0
    for word in words:
        start = lower.find(word, end)
        end = start + len(word)
        found.append((start, end))
    return found


def _lower(text: str) -> str:
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    # A few letters grow when they are made small; offsets must stay those of the text.
    return "".join(c if len(c.lower()) > 1 else c.lower() for c in text)


class Match(NamedTuple, Generic[Payload]):
    """A phrase found in a sentence: words `first` up to, not including, `last`."""

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
    """A place in the tree of phrases."""

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

    def follow(self, word: str, gap: bool) -> "Iterator[_Node[Payload]]":
        """Yield the places that a word leads to; `gap` says whether it may stand in a gap."""
        if word in self.words:
            yield self.words[word]
        for prefix, node in self.prefixes.items():
            if word.startswith(prefix):
                yield node
        for suffix, node in self.suffixes.items():
            if word.endswith(suffix) and word != suffix:
                yield node
        if gap and self.any is not None:
            yield self.any


class _State(dict[str, Any]):
    """All places of the tree that the words read so far lead to.

    As a dictionary it holds the state after each next word, or None where no phrase goes on; a step is made
    when it is first asked for.
    """

    __slots__ = ("index", "nodes", "payload")

    def __init__(self, index: "PhraseIndex[Any]", nodes: tuple[_Node[Any], ...]) -> None:
        super().__init__()
        self.index = index
        self.nodes = nodes
        ends = [node for node in nodes if node.payload is not None]
        self.payload: Any = min(ends, key=lambda node: node.order).payload if ends else None

    def __missing__(self, word: str) -> "_State | None":
        gap = word not in self.index.gap_stops
        nodes = tuple(node for place in self.nodes for node in place.follow(word, gap))
        following = _State(self.index, nodes) if nodes else None
        if len(word) <= _LONGEST_WORD:
            self.index.count_step()
            self[word] = following
        return following


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
        root: _Node[Payload] = _Node()
        self.gap_stops = frozenset(gap_stops) | MARKS
        for order, (phrase, payload) in enumerate(entries):
            for row in expand(phrase):
                nodes = [root]
                for place in row:
                    nodes = [node.child(slot) for node in nodes for slot in place]
                for node in nodes:
                    if node.payload is None:
                        node.payload, node.order = payload, order
        self._root = _State(self, (root,))
        self._steps = 0

    def scan(self, words: Sequence[str]) -> list[Match[Payload]]:
        """Return the phrases in `words`, in order."""
        found: list[Match[Payload]] = []
        beginnings = list(map(self._root.__getitem__, words))
        n = len(words)
        if beginnings.count(None) == n:
            return found
        free = 0  # first word after the last phrase
        for first, state in enumerate(beginnings):
            if state is None or first < free:
                continue
            payload, end, i = None, first, first
            while state is not None:
                i += 1
                if state.payload is not None:
                    payload, end = state.payload, i
                if i == n:
                    break
                state = state[words[i]]
            if payload is not None:
                found.append(Match(payload, first, end))
                free = end
        return found

    def count_step(self) -> None:
        """Count a step of the automaton, and forget all of them when there are too many."""
        self._steps += 1
        if self._steps > _MEMO_SIZE:
            self._steps = 0
            self._root.clear()

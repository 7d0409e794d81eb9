"""Splits report text into sentences, keeping offsets.

Reports are not prose: decimals and times, numbered lists, lines wrapped at any column, `___` and `XXXX` where
names were, final periods missing or doubled, `<BR>`. Every sentence can be found again in its source:
`text[s.start:s.end] == s.text`.
"""

import re
from dataclasses import dataclass

# Where a sentence may end. One set of characters first, so that the scan is fast; what a mark means is decided
# by the few characters around it. Every repetition is possessive or bounded, so all is linear.
# "Normal chest No effusion": a period left out is seen only before "No", "The" and "There", which stand in
# capitals nowhere else.
_MARK = re.compile(
    r"[.!?\n<)•NT](?:(?<=[.!?])[.!?]*+[\"')\]]{0,3}|(?<=[\n<)•])"
    r"|(?:(?<=[a-z]{3}\s[NT])|(?<=[a-z]{3}\s\s[NT]))(?:o|here|he)\s(?=[a-z]))"
)
_BR = re.compile(r"br\s{0,2}/?>\s{0,4}", re.IGNORECASE)
_ITEM = re.compile(r"[ \t]{0,40}(?:(?:\(?\d{1,2}[.)](?=[ \t]|[A-Z][a-z])|[-–*•·▪◦]+[ \t])|[-•▪◦](?=[A-Z][a-z]))")
# "Lungs: Clear": a line of a structured report.
_LABELLED = re.compile(r"[ \t]{0,40}[A-Z][A-Za-z]{2,20}(?:[ /][A-Za-z]{2,20}){0,3}:[ \t]")
_PARAGRAPH = re.compile(r"(?:[ \t\r]{0,200}\n\s*+|[ \t\r]{0,200}[_=-]{8})")
# What stands before a sentence and is none of it: blanks, stray marks, list numbers and bullets.
_LEAD = re.compile(
    r"(?:\s|<br\s{0,2}/?>|\(?\d{1,2}[.)](?=\s|[A-Z][a-z])|[-–*•·▪◦>.,;]+(?=\s|$)|[•▪◦]|-(?=[A-Z][a-z])|[<|~=]+)*+",
    re.IGNORECASE,
)
_TAIL = re.compile(r"<br\s{0,2}/?>$", re.IGNORECASE)
_ABBREVIATIONS = frozenset(
    "dr drs mr mrs ms prof vs approx e.g i.e eg ie cf dept ext resp incl fig st".split()
)
# These end a sentence before a capital.
_SOFT_ABBREVIATIONS = frozenset("etc lat bilat rt lt sup inf ant post max min temp hosp vol pt pts no nos avg".split())
_INITIAL = re.compile(r"\b(?:dr|drs|mr|mrs|ms|prof)\.\s{1,3}[a-z]\.$", re.IGNORECASE)
_TIME = re.compile(r"\b[ap]\.\s?m\.$", re.IGNORECASE)
_HALF_A_TIME = re.compile(r"\d\s?[ap]\.$", re.IGNORECASE)
_DOTTED = re.compile(r"(?:[^\W\d_]\.){1,5}[^\W\d_]{1,2}")
_BARE_NUMBER = re.compile(r"(?<![^\s(>])\(?(\d{1,2})[.)]$")
_COUNTED = frozenset(
    "rib ribs level grade stage type number image series segment zone lead day view c t l vertebra page".split()
)
_LETTER = re.compile(r"[^\W\d_]")
# A line that ends in one of these goes on in the next.
_OPEN_END = re.compile(
    r"(?:[,(/-]|\b(?:a|an|and|are|at|been|but|by|for|from|has|have|in|is|its|may|no|not|of|on|or|over|than|that|"
    r"the|to|was|were|which|with|without))\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and where it stands.

    Attributes:
        text: The words as written, line breaks included.
        start: Offset of the first character in the source.
        end: One past the last character.
    """

    text: str
    start: int
    end: int


def split_sentences(text: str, start: int = 0, end: int | None = None) -> tuple[Sentence, ...]:
    """Split a stretch of report text into sentences.

    Args:
        text: The report.
        start: Where to begin.
        end: Where to stop; the end of the text by default.

    Returns:
        Sentences in order, with offsets into `text`. Stretches without a letter are left out.

    Example:
        >>> [s.text for s in split_sentences("1. A 1.5 cm nodule. . 2. Seen by Dr. Who at 4 p.m. on call")]
        ['A 1.5 cm nodule.', 'Seen by Dr. Who at 4 p.m. on call']
    """
    stop = len(text) if end is None else end
    sentences: list[Sentence] = []
    begin = start  # of the sentence being read
    for cut in _cuts(text, start, stop):
        sentence = _trim(text, begin, cut)
        if sentence is not None:
            sentences.append(sentence)
        begin = cut
    return tuple(sentences)


def _cuts(text: str, start: int, stop: int) -> list[int]:
    """Return where sentences end, the end of the text included."""
    cuts: list[int] = []
    begin = start
    count = 0  # of the last list item
    lines_are_items: bool | None = None
    for match in _MARK.finditer(text, start, stop):
        at, i = match.span()
        mark = text[at]
        if mark == "\n":
            if lines_are_items is None:
                lines_are_items = _lines_are_items(text, start, stop)
            if lines_are_items or _ends_line(text, i, stop):
                cuts.append(i)
                begin = i
            continue
        if mark == "<":
            tag = _BR.match(text, i, stop)
            if tag and (text.startswith("<", tag.end()) or _ITEM.match(text, tag.end(), stop)):
                cuts.append(at)
                begin = at
            continue
        if mark in "•NT":
            if mark == "•" or not _OPEN_END.search(text, max(begin, at - 24), at):
                cuts.append(at)
                begin = at
            continue
        after = text[i : i + 1] if i < stop else ""
        # The frequent case first: a word in small letters, a full stop, a blank.
        if mark == "." and (after == "" or after.isspace()):
            word = text[max(begin, text.rfind(" ", max(begin, at - 24), at) + 1) : at]
            if len(word) > 3 and word.isalpha() and word not in _ABBREVIATIONS and word not in _SOFT_ABBREVIATIONS:
                cuts.append(i)
                begin = i
                continue
        cut, count = _at_mark(text, begin, at, i, stop, count)
        if cut is not None:
            cuts.append(cut)
            begin = cut
    cuts.append(stop)
    return cuts


def _at_mark(text: str, begin: int, at: int, i: int, stop: int, count: int) -> tuple[int | None, int]:
    """Decide on a full stop or a bracket after a number.

    Args:
        text: The report.
        begin: Where the sentence begins.
        at: Where the mark stands.
        i: Where the text after it begins.
        stop: Where to stop.
        count: Number of the last list item.

    Returns:
        Where to cut, if anywhere, and the number of the last list item.
    """
    before = text[max(begin, i - 24) : i]
    after = text[i : min(stop, i + 12)]
    if text[at] == ")" and not (text[at - 1 : at].isdigit() and after[:1].isspace()):
        return None, count
    if after[:1] and not after[0].isspace() and after[0] != "<":
        if text[at] != "." or i != at + 1 or not _is_tight(text, begin, at, after):
            return None, count
    rest = after.lstrip()
    if text[at] == "?" and not text[max(begin, at - 1) : at].strip() and rest[:1].isalpha():
        return None, count  # "? infiltrate": a question put before a finding
    bare = _BARE_NUMBER.search(before)
    if bare:
        number = int(bare[1])
        if not _LETTER.search(text, max(begin, at - 80), at):
            return None, number  # "1." at the beginning is a list number
        # " 2. Effusion": a list item inside a line, believed only in sequence.
        head = i - len(bare[0])
        if number == count + 1 > 1 and rest[:1].isalpha() and not _OPEN_END.search(text, max(begin, head - 24), head):
            return head, number
        if number == 1 and rest[:1].isupper() and _heads_list(text, begin, head):
            return None, 1
        # "1. 5 cm": a decimal torn apart, unless the next number goes on with the list.
        if rest[:1].isdigit() and not rest.startswith((f"{count + 1}.", f"{count + 1})")):
            return None, count
    if text[at] == ")" or (text[at] == "." and _is_abbreviation(before, rest)):
        return None, count
    return i, count


def _heads_list(text: str, begin: int, head: int) -> bool:
    """Return whether the words before "1." name what the list is on ("Chest 1. Clear"), and count nothing."""
    words = text[begin:head].split() if head - begin <= 45 else []
    return bool(words) and words[-1].lower() not in _COUNTED


def _is_tight(text: str, begin: int, at: int, after: str) -> bool:
    """Return whether a full stop without a blank ends a sentence: "mediastinum.There"."""
    left, right = text[max(begin, at - 3) : at], after[:2]
    if len(right) < 2 or not right.isalpha() or not right[0].isupper():
        return False
    if right[1].islower():  # "T8.There" and "1.Effusion", too
        return len(left) > 1 and left[-2:].isalnum() and (not left[-1].isalpha() or left[-1].islower() or left.isupper())
    return len(left) == 3 and left.isalpha() and left.isupper()  # "CLEAR.NO"


def _is_abbreviation(before: str, rest: str) -> bool:
    """Return whether the full stop at the end of `before` is inside a sentence that goes on with `rest`."""
    word = before[:-1].rsplit(None, 1)[-1:]
    name = word[0].lstrip("([\"'/").lower() if word else ""
    goes_on = rest[:1].islower() or rest[:1].isdigit()
    if name in _ABBREVIATIONS or _INITIAL.search(before):
        return True
    if name in _SOFT_ABBREVIATIONS:
        return rest[:1].isdigit() if name in ("no", "nos") else goes_on
    if _TIME.search(before) or _DOTTED.fullmatch(name):
        return not rest[:1].isupper()
    return _HALF_A_TIME.search(before) is not None and rest[:2].lower() == "m."


def _ends_line(text: str, i: int, stop: int) -> bool:
    """Return whether a line that begins at `i` begins a sentence: an item, a labelled line, a paragraph."""
    return bool(
        _PARAGRAPH.match(text, i, stop) or _ITEM.match(text, i, stop) or _LABELLED.match(text, i, stop)
    )


def _lines_are_items(text: str, start: int, stop: int) -> bool:
    """Return whether each line is a statement of its own, as in templates without final periods."""
    if stop - start > 20_000:
        return False
    lines = [line.strip() for line in text[start:stop].split("\n") if line.strip()]
    return (
        len(lines) >= 3
        and all(line[0].isupper() and not line.startswith(("XX", "I ")) for line in lines)
        and not any(_OPEN_END.search(line) for line in lines)
        and max(map(len, lines)) <= 100
    )


def _trim(text: str, left: int, right: int) -> Sentence | None:
    """Cut the blanks, list numbers and stray marks off a sentence; `None` if nothing is left."""
    piece = text[left:right].lstrip()
    begin = right - len(piece)
    piece = piece.rstrip()
    # Most sentences begin with a letter and end with a full stop.
    if piece[:1].isalpha() and piece[-1] != ">":
        return Sentence(piece, begin, begin + len(piece))
    lead = _LEAD.match(text, begin, right)
    begin = lead.end() if lead else begin
    piece = text[begin:right].rstrip()
    while (tail := _TAIL.search(piece[-8:])) is not None:
        piece = piece[: len(piece) - len(tail[0])].rstrip()
    return Sentence(piece, begin, begin + len(piece)) if _LETTER.search(piece) else None

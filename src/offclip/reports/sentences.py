"""Splits report text into sentences, keeping offsets.

Reports are not prose: decimals and times, numbered lists, lines wrapped at any column, `___` and `XXXX` where
names were, final periods missing or doubled, `<BR>`. Every sentence can be found again in its source:
`text[s.start:s.end] == s.text`.
"""

import re
from dataclasses import dataclass

from offclip.reports.full_stops import ABBREVIATIONS, LETTER, OPEN_END, decide

# Where a sentence may end. One set of characters first, so that the scan is fast; what a mark means is
# decided by the few characters around it. Every repetition is possessive or bounded, so all is linear.
# "Normal chest No effusion": a period left out is seen only before "No", "The" and "There", which stand in
# capitals nowhere else.
_MARK = re.compile(
    r"[.!?\n<)•NT](?:(?<=[.!?])[.!?]*+[\"')\]]{0,3}|(?<=[\n<)•])"
    r"|(?:(?<=[a-z]{3}\s[NT])|(?<=[a-z]{3}\s\s[NT]))(?:o|here|he)\s(?=[a-z]))"
)
_BR = re.compile(r"br\s{0,2}/?>\s{0,4}", re.IGNORECASE)
_ITEM = re.compile(
    r"[ \t]{0,40}(?:(?:\(?\d{1,2}[.)](?=[ \t]|[A-Z][a-z ])|[-–*•·▪◦]+[ \t])|[-•▪◦](?=[A-Z][a-z]))"
)
# "Lungs: Clear": a line of a structured report.
_LABELLED = re.compile(r"[ \t]{0,40}[A-Z][A-Za-z]{2,20}(?:[ /][A-Za-z]{2,20}){0,3}:[ \t]")
_PARAGRAPH = re.compile(r"(?:[ \t\r]{0,200}\n\s*+|[ \t\r]{0,200}[_=-]{8})")
# What stands before a sentence and is none of it: blanks, stray marks, list numbers and bullets.
_LEAD = re.compile(
    r"(?:\s|<br\s{0,2}/?>|\(?\d{1,2}[.)](?=\s|[A-Z][a-z ])|[-–*•·▪◦>.,;]+(?=\s|$)|[•▪◦]|-(?=[A-Z][a-z])"
    r"|[<|~=]+)*+",
    re.IGNORECASE,
)
_TAIL = re.compile(r"<br\s{0,2}/?>$", re.IGNORECASE)


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
            if mark == "•" or not OPEN_END.search(text, max(begin, at - 24), at):
                cuts.append(at)
                begin = at
            continue
        after = text[i : i + 1] if i < stop else ""
        # The frequent case first: a word in small letters, a full stop, a blank.
        if mark == "." and (after == "" or after.isspace()):
            word = text[max(begin, text.rfind(" ", max(begin, at - 24), at) + 1) : at]
            if len(word) > 3 and word.isalpha() and word.lower() not in ABBREVIATIONS:
                cuts.append(i)
                begin = i
                continue
        cut, count = decide(text, begin, at, i, stop, count)
        if cut is not None:
            cuts.append(cut)
            begin = cut
    if begin < stop:
        cuts.append(stop)
    return cuts


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
        and not any(OPEN_END.search(line) for line in lines)
        and max(map(len, lines)) <= 100
    )


def _trim(text: str, left: int, right: int) -> Sentence | None:
    """Cut the blanks, list numbers and stray marks off a sentence; `None` if nothing is left."""
    piece = text[left:right].lstrip()
    begin = right - len(piece)
    piece = piece.rstrip()
    if not piece:
        return None
    # Most sentences begin with a letter and end with a full stop.
    if piece[0].isalpha() and piece[-1] != ">":
        return Sentence(piece, begin, begin + len(piece))
    lead = _LEAD.match(text, begin, right)
    begin = lead.end() if lead else begin
    piece = text[begin:right].rstrip()
    while (tail := _TAIL.search(piece[-8:])) is not None:
        piece = piece[: len(piece) - len(tail[0])].rstrip()
    return Sentence(piece, begin, begin + len(piece)) if LETTER.search(piece) else None

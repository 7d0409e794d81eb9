"""Splits report text into sentences, keeping offsets.

Reports are not prose: decimals and times, numbered lists, lines wrapped at any column, `___` and `XXXX` where
names were, final periods missing or doubled, `<BR>`. Every sentence can be found again in its source:
`text[s.start:s.end] == s.text`.
"""

import re
from dataclasses import dataclass

# Where a sentence may end. Every repetition is possessive or bounded, so the scan is linear.
_BREAK = re.compile(
    r"(?P<paragraph>\n[ \t\r]*+\n\s*+)"
    r"|(?P<item>(?:\n|<br\s{0,2}/?>)[ \t]{0,40}(?:\(?\d{1,2}[.)]|[-*•·])[ \t])"
    r"|(?P<line>\n)"
    r"|(?P<end>(?<![.!?])[.!?]++[\"')\]]{0,3}(?=\s|$|<))"
    # "mediastinum.There": a missing blank.
    r"|(?P<tight>(?<=[a-z][a-z])[.](?=[A-Z][a-z]))"
    # " 2. Effusion": a list item inside a line, believed only in sequence.
    r"|(?P<number>\s\(?(?P<count>\d{1,2})[.)]\s++(?=[A-Z]))",
    re.IGNORECASE,
)
# What stands before a sentence and is none of it: blanks, stray marks, list numbers and bullets.
_LEAD = re.compile(r"(?:\s|<br\s{0,2}/?>|\(?\d{1,2}[.)](?=\s)|[-*•·>.,;]+(?=\s|$))*+", re.IGNORECASE)
_TAIL = re.compile(r"<br\s{0,2}/?>$", re.IGNORECASE)
_ABBREVIATION = re.compile(
    r"(?:\b(?:dr|drs|mr|mrs|ms|prof|vs|approx|e\.g|i\.e|cf|dept|ext|resp|incl|fig|st)"
    r"|\b(?:dr|mr|mrs|ms|prof)\.\s{1,3}[a-z])\.$",
    re.IGNORECASE,
)
_TIME = re.compile(r"\b[ap]\.\s?m\.$", re.IGNORECASE)
_BARE_NUMBER = re.compile(r"(?:^|[^\w.])\(?(\d{1,2})[.)]$")
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
    cuts: list[int] = []
    begin = start  # of the sentence being read
    count = 0  # of the last list item
    lines_are_items = _lines_are_items(text, start, stop)
    for match in _BREAK.finditer(text, start, stop):
        kind = match.lastgroup if match.lastgroup != "count" else "number"
        i = match.end()
        if kind == "end":
            before = text[max(begin, i - 24) : i]
            bare = _BARE_NUMBER.search(before)
            if bare and not _LETTER.search(before):
                count = int(bare[1])  # "1." at the beginning is a list number
                continue
            if _goes_on(text, before, i, stop, bare, count):
                continue
        elif kind == "number":
            number = int(match["count"])
            if number != count + 1 or (number == 1 and _LETTER.search(text, begin, match.start())):
                continue
            count, i = number, match.start()
        elif kind == "line":
            if not lines_are_items:
                continue
        elif kind == "item":
            i = match.start()
        cuts.append(i)
        begin = i
    sentences = []
    for left, right in zip([start, *cuts], [*cuts, stop], strict=True):
        sentence = _trim(text, left, right)
        if sentence is not None:
            sentences.append(sentence)
    return tuple(sentences)


def _goes_on(text: str, before: str, i: int, stop: int, bare: re.Match[str] | None, count: int) -> bool:
    """Return whether the full stop before `i` is inside a sentence."""
    if _ABBREVIATION.search(before):
        return True
    rest = text[i : min(stop, i + 12)].lstrip()
    if _TIME.search(before):
        return not rest[:1].isupper()
    # "1. 5 cm": a decimal torn apart, unless the next number goes on with the list.
    return bare is not None and rest[:1].isdigit() and not rest.startswith((f"{count + 1}.", f"{count + 1})"))


def _lines_are_items(text: str, start: int, stop: int) -> bool:
    """Return whether each line is a statement of its own, as in templates without final periods."""
    if text.find("\n", start, stop) < 0 or stop - start > 20_000:
        return False
    lines = [line.strip() for line in text[start:stop].split("\n") if line.strip()]
    return (
        len(lines) >= 3
        and all(line[0].isupper() and not line.startswith(("XX", "I ")) for line in lines)
        and not any(_OPEN_END.search(line) for line in lines)
        and max(map(len, lines)) <= 100
    )


def _trim(text: str, left: int, right: int) -> Sentence | None:
    lead = _LEAD.match(text, left, right)
    begin = lead.end() if lead else left
    piece = text[begin:right].rstrip()
    while (tail := _TAIL.search(piece[-8:])) is not None:
        piece = piece[: len(piece) - len(tail[0])].rstrip()
    return Sentence(piece, begin, begin + len(piece)) if _LETTER.search(piece) else None

"""Decides whether a full stop ends a sentence.

Decimals, abbreviations, initials, times, list numbers, a blank left out: each is told by the few characters
around the mark, so a decision takes constant time.
"""

import re

_HARD = frozenset(
    ("dr", "drs", "mr", "mrs", "ms", "prof", "vs", "approx", "e.g", "i.e", "eg", "ie", "cf", "dept",
     "ext", "resp", "incl", "fig", "st")
)  # fmt: skip
# These end a sentence before a capital.
_SOFT = frozenset(
    ("etc", "lat", "bilat", "rt", "lt", "sup", "inf", "ant", "post", "max", "min", "temp", "hosp", "vol",
     "pt", "pts", "no", "nos", "avg")
)  # fmt: skip
ABBREVIATIONS = _HARD | _SOFT
_INITIAL = re.compile(r"\b(?:dr|drs|mr|mrs|ms|prof)\.\s{1,3}[a-z]\.$", re.IGNORECASE)
_TIME = re.compile(r"\b[ap]\.\s?m\.$", re.IGNORECASE)
_HALF_A_TIME = re.compile(r"\d\s?[ap]\.$", re.IGNORECASE)
_DOTTED = re.compile(r"(?:[^\W\d_]\.){1,5}[^\W\d_]{1,2}")
_BARE_NUMBER = re.compile(r"(?<![^\s(>])\(?(\d{1,2})[.)]$")
# "Rib 1." ends a sentence; after other words "1." begins a list.
_COUNTED = frozenset(
    ("rib", "ribs", "level", "grade", "stage", "type", "number", "image", "series", "segment", "zone", "lead",
     "day", "view", "c", "t", "l", "vertebra", "page")
)  # fmt: skip
LETTER = re.compile(r"[^\W\d_]")
# A line that ends in one of these goes on in the next.
OPEN_END = re.compile(
    r"(?:[,(/-]|\b(?:a|an|and|are|at|been|but|by|for|from|has|have|in|is|its|may|no|not|of|on|or|over|than|that|"
    r"the|to|was|were|which|with|without))\s*$",
    re.IGNORECASE,
)


def decide(text: str, begin: int, at: int, i: int, stop: int, count: int) -> tuple[int | None, int]:
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
    goes_on = after[:1] not in ("", "<") and not after[0].isspace()
    if goes_on and (text[at] != "." or i != at + 1 or not _is_tight(text, begin, at, after)):
        return None, count
    rest = after.lstrip()
    if text[i - 1] == ")" and rest[:1].islower() and i > at + 1:
        return None, count  # "(1.5 cm.) is seen"
    if text[at] == "?" and not text[max(begin, at - 1) : at].strip() and rest[:1].isalpha():
        return None, count  # "? infiltrate": a question put before a finding
    bare = _BARE_NUMBER.search(before)
    if bare:
        number = int(bare[1])
        if not LETTER.search(text, max(begin, at - 80), at):
            return None, number  # "1." at the beginning is a list number
        # " 2. Effusion": a list item inside a line, believed only in sequence.
        head = i - len(bare[0])
        if (
            number == count + 1 > 1
            and rest[:1].isalpha()
            and not OPEN_END.search(text, max(begin, head - 24), head)
        ):
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
        return (
            len(left) > 1
            and left[-2:].isalnum()
            and (not left[-1].isalpha() or left[-1].islower() or left.isupper())
        )
    return len(left) == 3 and left.isalpha() and left.isupper()  # "CLEAR.NO"


def _is_abbreviation(before: str, rest: str) -> bool:
    """Return whether the full stop at the end of `before` is inside a sentence that goes on with `rest`."""
    word = before[:-1].rsplit(None, 1)[-1:]
    name = word[0].lstrip("([\"'/").lower() if word else ""
    goes_on = rest[:1].islower() or rest[:1].isdigit()
    if name in _HARD or _INITIAL.search(before):
        return True
    if name in _SOFT:
        return rest[:1].isdigit() if name in ("no", "nos") else goes_on
    if _TIME.search(before) or _DOTTED.fullmatch(name):
        return not rest[:1].isupper()
    return _HALF_A_TIME.search(before) is not None and rest[:2].lower() == "m."

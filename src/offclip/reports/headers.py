"""The headers of reports: their names, and where in a text they stand.

A header is a known name before a colon, alone on its line, or in capitals before ordinary text. Names may be
indented, in any case, one letter wrong, or marked up (`**Findings:**`). The names are data (`header_names`);
here are the few rules on where a name is a header and where it is a word.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from offclip.reports.header_names import CORE, KIND_OF, LAST_WORDS, LONGEST, SectionKind

# A name on a line of its own, without a colon: in capitals, or before a line that begins anew. (A wrapped
# line can begin with "Comparison", too.)
_ALONE = (
    r"[ \t]{0,80}[*#]{0,4}[ \t]{0,4}"
    r"(?P<name>[A-Z][A-Z/& ]{4,40}|[A-Z][a-z]{5,12}(?=[ \t*#]{0,40}\r?\n\s{0,40}[A-Z0-9*-]))"
    r"[ \t*#=-]{0,40}\r?(?=\n|\Z)"
)
_ALONE_FIRST, _ALONE_LATER = re.compile(_ALONE), re.compile(r"\n" + _ALONE)
# "IMPRESSION No acute disease", "IMPRESSION - Clear": capitals before ordinary text.
_BEFORE_TEXT = re.compile(
    r"(?:FINDINGS|IMPRESSION|CONCLUSION|INDICATION|COMPARISON|TECHNIQUE|HISTORY|EXAMINATION|ADDENDUM)S?"
    r"(?:[ \t]{0,9}[-\u2013\u2014.][ \t]{1,9}(?=[A-Z0-9])|[ \t]{1,9}(?=[A-Z0-9][^\n]{0,40}?[a-z]{2}))"
)
# "PORTABLE AP CHEST RADIOGRAPH:" heads the findings of many older reports.
_VIEW = re.compile(r"[ \t]{0,80}(?P<name>[A-Z][A-Z ,/()&0-9_-]{2,80})\Z")
_VIEW_IN_WORDS = re.compile(
    r"[ \t]{0,80}(?P<name>(?:(?:A |One |Two )?[Pp]ortable|(?:A )?[Ss]ingle|Frontal|AP|PA|Two|One|Upright"
    r"|Supine|Chest (?:[Xx]-?[Rr]ay|[Rr]adiograph|[Ff]ilm))[a-zA-Z ,()-]{0,60})\Z"
)
VIEW_WORD = re.compile(r"\b(?:CHEST|THORAX|RADIOGRAPHS?|VIEWS?|XRAY|X-RAY|FILMS?)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{3}")
_BANNER = re.compile(r"^[ \t]{0,80}FINAL REPORT[ \t]{0,80}\r?$", re.MULTILINE)
_WET_READ = re.compile(r"^[ \t]{0,80}WET READ VERSION[ \t]{0,4}#?\d{0,3}", re.MULTILINE)
# The line of a preliminary reading that says who and when: "___ ___ 8:27 PM".
_WHO_AND_WHEN = re.compile(r"[^\n.]{0,60}(?:\d:(?:\d\d|___)\s{0,3}[AaPp]\.?[Mm]\.?|__)[ \t\r]{0,9}(?=\n|\Z)")
_ADDENDUM = re.compile(
    r"^[ \t]{0,80}(?:FINAL )?ADDENDUM\b(?![ \t]{0,9}:)[ \t]{0,9}(?:#?\d{1,2}\b)?", re.MULTILINE
)
# What the radiologist signs with.
_ATTESTATION = re.compile(
    r"[BDEIPST](?<!\w[BDEIPST])(?i:"
    r"(?<=I)(?: have|, the attending \w{1,20},?)(?: have)?(?: personally| also)?"
    r" (?:reviewed|viewed|interpreted|examined) (?:the|these|this|all)"
    r"|(?<=B)y electronically signing this|(?<=E)lectronically signed by|(?<=D)igitally signed by"
    r"|(?<=T)his report has been (?:anonymi[sz]ed|electronically)|(?<=P)hysician to physician"
    r"|(?:(?<=\nS)|(?<=\n S))igned[ \t]{0,9}(?=[\r\n]|\Z))"
)


class Header(NamedTuple):
    """A header in a text: where it begins, where the text after it begins, and of what kind that is."""

    start: int
    end: int
    kind: SectionKind


def find_headers(text: str) -> list[Header]:
    """Find the headers of a report.

    Args:
        text: The report.

    Returns:
        Headers in order of appearance. The banner "FINAL REPORT" is one, of kind `"preamble"`.

    Example:
        >>> [(h.kind, h.end) for h in find_headers("Findings: Clear. IMPRESSION No acute disease.")]
        [('findings', 9), ('impression', 28)]
    """
    found: list[Header] = []
    colon = text.find(":")
    while colon >= 0:
        header = _before_colon(text, colon, found)
        if header is not None:
            found.append(header)
        colon = text.find(":", colon + 1)
    for match in _BEFORE_TEXT.finditer(text):
        if _may_stand(text, match.start(), match[0]):
            name = match[0].rstrip(" \t-\u2013\u2014.").lower()
            found.append(Header(match.start(), match.end(), KIND_OF.get(name) or KIND_OF[name[:-1]]))
    if "\n" in text:
        first = _ALONE_FIRST.match(text)
        for match in (*((first,) if first else ()), *_ALONE_LATER.finditer(text)):
            kind = kind_of(match["name"].strip(" "))
            if kind is not None and (kind in ("findings", "impression") or match["name"].isupper()):
                found.append(Header(match.start(), match.end(), kind))
    if "REPORT" in text:
        found += [Header(m.start(), m.end(), "preamble") for m in _BANNER.finditer(text)]
    if "WET READ V" in text:
        found += [Header(m.start(), _after_who(text, m.end()), "wet_read") for m in _WET_READ.finditer(text)]
    if "ADDENDUM" in text:
        found += [Header(m.start(), m.end(), "addendum") for m in _ADDENDUM.finditer(text)]
    found += [Header(m.start(), m.start(), "administrative") for m in _ATTESTATION.finditer(text)]
    return _in_order(found)


def _in_order(found: list[Header]) -> list[Header]:
    """Sort headers and drop those that lie within another."""
    found.sort()
    kept: list[Header] = []
    for header in found:
        if not kept or header.start >= kept[-1].end:
            kept.append(header)
    return kept


def _before_colon(text: str, colon: int, found: list[Header]) -> Header | None:
    """Return the header that ends at a colon, if there is one."""
    low = max(0, colon - 120)
    line = text.rfind("\n", low, colon) + 1 or low
    prefix = text[line:colon]
    name = prefix.strip(" \t*#>")
    if not name:
        return None
    begins_line = line == 0 or text[line - 1] == "\n"
    # "FINDINGS AND\nIMPRESSION:": a name that began in the line before.
    wraps = name.isupper() and text[max(0, line - 2) : max(0, line - 1)].isupper()
    kind = kind_of(name) if begins_line and len(name) <= LONGEST and not wraps else None
    if kind is not None:
        start = line
    else:
        last = name[-24:].replace("/", " ").rsplit(None, 1)[-1].lower()
        inside = _inside_line(text, colon) if last in LAST_WORDS else None
        if inside is not None:
            start, kind = inside
        elif begins_line and (start := _view_start(text, line, colon, found)) is not None:
            kind = "findings"
        else:
            return None
    end = colon + 1
    if text.startswith("**", end):
        end += 2
    if kind == "wet_read":
        end = _after_who(text, end)
    elif kind == "impression" and _is_summary_code(text, name, end):
        kind = "administrative"
    return Header(start, end, kind)


def _inside_line(text: str, colon: int) -> tuple[int, SectionKind] | None:
    """Return start and kind of a known name that ends at a colon, the longest first."""
    begin = max(0, colon - LONGEST)
    tail = text[begin:colon]
    for match in re.finditer(r"(?<![\w/&-])[A-Za-z]", tail):
        name = tail[match.start() :].rstrip(" \t*")
        kind = KIND_OF.get(" ".join(name.lower().split()))
        if (
            kind is not None
            and ("\n" not in name or name.isupper())
            and _may_stand(text, begin + match.start(), name)
        ):
            return begin + match.start(), kind
    return None


def _may_stand(text: str, start: int, name: str) -> bool:
    """Return whether a header's name stands where a header can stand."""
    i = start - 1
    while i >= 0 and i >= start - 80 and text[i] in " \t*#":
        i -= 1
    if i < 0 or text[i] in "\r\n":
        return True
    if name.endswith(
        (" ", "\t")
    ):  # without a colon: not among other capitals, but before a word like "Clear"
        return not text[i].isupper() or text[start + len(name) + 1 : start + len(name) + 2].islower()
    # Inside a line, "Impression:" heads a section only after a finished sentence, and only capitalised.
    return name.isupper() or (text[i] in ".!?]>;" and name[0].isupper())


def _view_start(text: str, line: int, colon: int, found: list[Header]) -> int | None:
    """Return where a line such as `PORTABLE AP CHEST:` begins, if it heads findings."""
    after = text[colon + 1 : colon + 2]
    if after and not after.isspace():
        return None
    prefix = text[line:colon]
    match = _VIEW.match(prefix)
    if match is None and not (found and found[-1].kind in ("findings", "impression")):
        match = _VIEW_IN_WORDS.match(prefix)
    if match is None or not VIEW_WORD.search(match["name"]):
        return None
    # "EXAMINATION OF THE CHEST: 5/31/2011" names the study.
    rest = text[colon + 1 : colon + 200].lstrip()
    if rest[:1].isdigit() and not _WORD.search(rest.partition("\n")[0]):
        return None
    return line + match.start("name")


def _after_who(text: str, i: int) -> int:
    match = _WHO_AND_WHEN.match(text, i)
    return match.end() if match else i


def _is_summary_code(text: str, name: str, i: int) -> bool:
    """Return whether a summary is a code: "SUMMARY: 4-POSSIBLE SIGNIFICANT FINDINGS, MAY NEED ACTION"."""
    return (
        name[-7:].lower() == "summary"
        and re.match(r"\s{0,9}\d{1,2}\s?-\s?[A-Z]{2}", text[i : i + 16]) is not None
    )


@lru_cache(maxsize=4096)
def kind_of(name: str) -> SectionKind | None:
    """Return the kind of section a header's name stands for, one wrong letter in a frequent name allowed.

    Example:
        >>> kind_of("Findings"), kind_of("IMPRESSOIN"), kind_of("Heart")
        ('findings', 'impression', None)
    """
    key = " ".join(name.lower().split())
    if key in KIND_OF or len(key) < 6 or not name[0].isupper():
        return KIND_OF.get(key)
    return next((KIND_OF[core] for core in CORE if _one_edit_apart(key, core)), None)


def _one_edit_apart(a: str, b: str) -> bool:
    """Return whether one letter added, left out, changed, or two swapped make one word of the other."""
    if abs(len(a) - len(b)) > 1:
        return False
    i = 0
    while i < min(len(a), len(b)) and a[i] == b[i]:
        i += 1
    rests = {(a[i + 1 :], b[i:]), (a[i:], b[i + 1 :]), (a[i + 1 :], b[i + 1 :])}
    swapped = a[i : i + 2] == b[i : i + 2][::-1] and a[i + 2 :] == b[i + 2 :]
    return swapped or any(left == right for left, right in rests)

"""Finds the findings and the impression of a report, and drops the rest.

Indication, history, technique, comparison and notification name findings that the image need not show
("rule out pneumonia"), so labels are read from findings and impression alone.
"""

import re
from dataclasses import dataclass
from typing import Literal

SectionKind = Literal[
    "findings",
    "impression",
    "indication",
    "history",
    "technique",
    "comparison",
    "examination",
    "notification",
    "recommendation",
    "addendum",
    "wet_read",
    "preamble",
]

# Header texts in lower case; single blanks. Misspellings are those met in real reports.
_HEADERS: dict[SectionKind, str] = {
    "findings": (
        "findings|finding|findings/impression|findings and impression|findings & impression|"
        "findngs|finidings|fidings|observations|report|interpretation|description"
    ),
    "impression": (
        "impression|impressions|conclusion|conclusions|opinion|final impression|impresion|"
        "impresson|impressoin|imprression|impression and recommendation|"
        "impression/recommendation|impression and plan|summary"
    ),
    "indication": (
        "indication|indications|clinical indication|reason for exam|reason for examination|"
        "reason for study|reason for the exam|reason for this examination|reason|inidication|"
        "indicatoin|clinical question|symptoms"
    ),
    "history": (
        "history|clinical history|patient history|clinical information|clinical data|"
        "clinical details|medical history|history of present illness|additional history"
    ),
    "technique": (
        "technique|procedure|views|technical factors|protocol|dose|radiation dose|techinque|contrast"
    ),
    "comparison": (
        "comparison|comparisons|comparison studies|reference exam|prior studies|prior study|"
        "comparision|comparsion|comparison study|compared with"
    ),
    "examination": (
        "examination|exam|study|exam type|type of exam|procedure description|date of exam|"
        "exam date|study date"
    ),
    "notification": (
        "notification|notifications|communication|contact name|critical results|"
        "recommendation discussed|attending|radiologist|signed by|dictated by|"
        "electronically signed by|findings were discussed"
    ),
    "recommendation": "recommendation|recommendations|recommendation(s)|plan",
    "addendum": "addendum|addenda",
    "wet_read": "wet read|wet reading|preliminary read|preliminary report",
}
_KIND_OF: dict[str, SectionKind] = {
    name: kind for kind, names in _HEADERS.items() for name in names.split("|")
}
_LONGEST = max(map(len, _KIND_OF)) + 4
# A name on a line of its own, without a colon: in capitals, or before a line that begins anew. (A wrapped
# line can begin with "Comparison", too.)
_ALONE = re.compile(
    r"^[ \t]{0,40}(?P<name>FINDINGS?|IMPRESSIONS?|CONCLUSIONS?|INDICATION|HISTORY|TECHNIQUE|COMPARISONS?"
    r"|(?:Findings|Impression|Conclusion)(?=[ \t]{0,40}\r?\n\s{0,40}[A-Z0-9]))[ \t]{0,40}\r?$",
    re.MULTILINE,
)
_WORD_START = re.compile(r"(?<![\w/&-])[A-Za-z]")
# "PORTABLE AP CHEST RADIOGRAPH:" heads the findings of many older reports.
_VIEW = re.compile(r"^[ \t]{0,40}(?P<name>[A-Z][A-Z ,/()&0-9-]{2,80})(?P<colon>:)(?!\S)", re.MULTILINE)
_VIEW_WORD = re.compile(r"\b(?:CHEST|RADIOGRAPHS?|VIEWS?|XRAY|X-RAY|FILMS?)\b")
_BANNER = re.compile(r"^[ \t]{0,80}FINAL REPORT[ \t]{0,80}\r?$", re.MULTILINE)
_WET_READ = re.compile(r"^[ \t]{0,40}WET READ VERSION[ \t]{0,4}#?\d{0,3}", re.MULTILINE)
_PARAGRAPH = re.compile(r"\n[ \t\r]*\n\s*+")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report.

    Attributes:
        kind: What the part is.
        start: Offset of its first character after the header.
        end: One past its last character; `report[start:end]` is the section's text.
    """

    kind: SectionKind
    start: int
    end: int


def _headers(text: str) -> list[tuple[int, int, SectionKind]]:
    """Return (start of header, start of text, kind), in order."""
    found: list[tuple[int, int, SectionKind]] = []
    colon = text.find(":")
    while colon >= 0:
        header = _known_header(text, colon)
        if header is not None:
            found.append(header)
        colon = text.find(":", colon + 1)
    taken = {end for _, end, _ in found}
    for match in _VIEW.finditer(text):
        if match.end() not in taken and _VIEW_WORD.search(match["name"]):
            found.append((match.start(), match.end(), "findings"))
    for match in _ALONE.finditer(text):
        found.append((match.start(), match.end(), _KIND_OF[match["name"].lower()]))
    for match in _WET_READ.finditer(text):
        found.append((match.start(), match.end(), "wet_read"))
    for match in _BANNER.finditer(text):
        found.append((match.start(), match.end(), "preamble"))
    return sorted(found)


def _known_header(text: str, colon: int) -> tuple[int, int, SectionKind] | None:
    """Return the header that ends at a colon, if there is one."""
    begin = max(0, colon - _LONGEST)
    tail = text[begin:colon]
    for match in _WORD_START.finditer(tail):  # the longest name first
        name = tail[match.start() :].rstrip(" \t")
        kind = _KIND_OF.get(" ".join(name.lower().split()))
        if kind is not None and "\n" not in name and _heads(text, begin + match.start(), name):
            return begin + match.start(), colon + 1, kind
    return None


def _heads(text: str, start: int, name: str) -> bool:
    """Return whether a header's name stands where a header can stand."""
    i = start - 1
    while i >= 0 and i >= start - 80 and text[i] in " \t":
        i -= 1
    if i < 0 or text[i] in "\r\n" or name.isupper():
        return True
    # Inside a line, "Impression:" heads a section only after a finished sentence, and only capitalised.
    return text[i] in ".!?]>;" and name[0].isupper()


def find_sections(text: str) -> tuple[Section, ...]:
    """Split a report at its headers.

    Headers are read in any case at the start of a line, and inside a line in capitals or after a full stop.

    Args:
        text: The report.

    Returns:
        All sections in order; text before the first header is `"preamble"`. A report without headers is one
        `"preamble"`.

    Example:
        >>> report = "INDICATION: cough. FINDINGS: Clear lungs. IMPRESSION: Normal."
        >>> [(s.kind, report[s.start : s.end]) for s in find_sections(report)]
        [('indication', 'cough.'), ('findings', 'Clear lungs.'), ('impression', 'Normal.')]
    """
    headers = _headers(text)
    sections: list[Section] = []
    bounds: list[tuple[int, SectionKind]] = [(0, "preamble"), *((start, kind) for _, start, kind in headers)]
    ends = [*(start for start, _, _ in headers), len(text)]
    for (start, kind), end in zip(bounds, ends, strict=True):
        if end <= start:
            continue
        body = text[start:end]
        left = len(body) - len(body.lstrip())
        stripped = body.strip()
        if stripped:
            sections.append(Section(kind, start + left, start + left + len(stripped)))
    return tuple(sections)


def reading_sections(text: str) -> tuple[Section, ...]:
    r"""Return the sections that labels are read from.

    These are findings and impression. A report with other headers but neither of these gives the last
    paragraphs that no header begins: reports often go on after the comparison without a new header. A report
    without any header is read whole. A preliminary reading is used where there is nothing else.

    Args:
        text: The report.

    Returns:
        Findings and impression in order of appearance; empty if the report has neither and no fallback.

    Example:
        >>> report = "HISTORY: cough.\n\nThe lungs are clear."
        >>> [report[s.start : s.end] for s in reading_sections(report)]
        ['The lungs are clear.']
    """
    sections = find_sections(text)
    named = tuple(section for section in sections if section.kind in ("findings", "impression"))
    if named:
        return named
    if all(section.kind == "preamble" for section in sections):
        return tuple(Section("findings", s.start, s.end) for s in sections)
    for section in reversed(sections):
        # A notification or an addendum after the report is not its last paragraph.
        if section.kind in ("notification", "addendum", "wet_read", "recommendation"):
            continue
        gap = _PARAGRAPH.search(text, section.start, section.end)
        if gap:
            return (Section("findings", gap.end(), section.end),)
        if section.kind == "preamble" and section is not sections[0]:
            return (Section("findings", section.start, section.end),)
    fallback = tuple(s for s in sections if s.kind == "wet_read") or tuple(
        s for s in sections if s.kind == "preamble" and s is sections[0] and s.end - s.start > 40
    )
    return tuple(Section("findings", s.start, s.end) for s in fallback)

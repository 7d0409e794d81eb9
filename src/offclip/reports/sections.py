"""Finds the findings and the impression of a report, and drops the rest.

Indication, history, technique, comparison and notification name findings that the image need not show
("rule out pneumonia"), so labels are read from findings and impression alone.
"""

import re
from dataclasses import dataclass

from offclip.reports.header_names import SectionKind
from offclip.reports.headers import VIEW_WORD, Header, find_headers

__all__ = ["Section", "SectionKind", "find_sections", "reading_sections"]

_PARAGRAPH = re.compile(r"\n[ \t\r]*\n\s*+")
# "COMPARISON: None. The lungs are clear.": where the report itself may begin.
_FIRST_STATEMENT = re.compile(
    r"(?:[^.\n]{0,200}[._]|\s{0,9}[Nn]one(?: available)?)[ \t]{0,20}[\n ][ \t]{0,20}(?=[A-Z])"
)
_CAPITALS_ONLY = re.compile(r"[^a-z\n]{0,120}")
_NEVER_LAST = frozenset(("notification", "addendum", "wet_read", "recommendation", "administrative"))


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


def find_sections(text: str) -> tuple[Section, ...]:
    """Split a report at its headers.

    Headers are read in any case at the start of a line, and inside a line in capitals or after a full stop.
    What a preliminary reading holds down to the banner "FINAL REPORT", and what an addendum below the
    impression holds, is part of that reading or addendum, whatever headers it has.

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
    headers = find_headers(text)
    kinds = {header.kind for header in headers}
    if "wet_read" in kinds or "addendum" in kinds:
        headers = _nested(headers)
    sections: list[Section] = []
    start = 0
    kind: SectionKind = "preamble"
    for header in headers:
        _append(sections, text, kind, start, header.start)
        _, start, kind = header
    _append(sections, text, kind, start, len(text))
    return tuple(sections)


def _append(sections: list[Section], text: str, kind: SectionKind, start: int, end: int) -> None:
    body = text[start:end].rstrip()
    while body.endswith("________"):  # a line drawn between a preliminary reading and the report
        rest = body.rstrip("_").rstrip(" \t")
        if rest and rest[-1] != "\n":
            break
        body = rest.rstrip()
    stripped = body.lstrip()
    if stripped:
        stop = start + len(body)
        sections.append(Section(kind, stop - len(stripped), stop))


def _nested(headers: list[Header]) -> list[Header]:
    """Give the headers inside a preliminary reading or a late addendum the kind of what they stand in."""
    banner = max((i for i, header in enumerate(headers) if header.kind == "preamble"), default=-1)
    outer: SectionKind | None = None
    seen = False
    nested = []
    for i, header in enumerate(headers):
        if header.kind == "preamble":
            outer = None
        elif (header.kind == "wet_read" and i < banner) or (
            header.kind == "addendum" and (seen or i < banner)
        ):
            outer = header.kind
        elif outer is None and header.kind in ("findings", "impression"):
            seen = True
        nested.append(header if outer is None else header._replace(kind=outer))
    return nested


def reading_sections(text: str) -> tuple[Section, ...]:
    r"""Return the sections that labels are read from.

    These are findings and impression. A report with other headers but neither of these gives the last
    paragraphs that no header begins: reports often go on after the comparison without a new header. A report
    without any header is read whole. A preliminary reading, and after it an addendum, is used where there is
    nothing else.

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
    named = tuple([section for section in sections if section.kind in ("findings", "impression")])
    if named:
        return named
    if all(section.kind in ("preamble", "administrative") for section in sections):
        return tuple(Section("findings", s.start, s.end) for s in sections if s.kind == "preamble")
    last = _last_paragraphs(text, sections) or _after_first_statement(text, sections)
    if last is not None:
        return (last,)
    for kind in ("wet_read", "addendum"):
        if found := tuple(section for section in sections if section.kind == kind):
            return found
    first = sections[0]
    if first.kind == "preamble" and first.end - first.start > 40:
        return (Section("findings", first.start, first.end),)
    return ()


def _last_paragraphs(text: str, sections: tuple[Section, ...]) -> Section | None:
    """Return the paragraphs after the first of the last section that has several."""
    for section in reversed(sections):
        # A notification or an addendum after the report is not its last paragraph.
        if section.kind in _NEVER_LAST:
            continue
        gap = _PARAGRAPH.search(text, section.start, section.end)
        start = gap.end() if gap else section.start
        later = gap is not None or section.kind == "narrative" or section is not sections[0]
        if (
            later
            and (gap or section.kind in ("preamble", "narrative"))
            and not _is_title(text, start, section.end)
        ):
            return Section("findings", start, section.end)
    return None


def _is_title(text: str, start: int, end: int) -> bool:
    """Return whether a stretch is no more than the name of the study: "AP CHEST, 5:53 A.M."."""
    match = _CAPITALS_ONLY.fullmatch(text, start, end)
    return match is not None and VIEW_WORD.search(match[0]) is not None


def _after_first_statement(text: str, sections: tuple[Section, ...]) -> Section | None:
    """Return what follows "COMPARISON: None." in the section that ends the report."""
    told = [section for section in sections if section.kind not in _NEVER_LAST]
    if not told or told[-1].kind not in ("comparison", "technique", "examination"):
        return None
    first = _FIRST_STATEMENT.match(text, told[-1].start, told[-1].end)
    return Section("findings", first.end(), told[-1].end) if first else None

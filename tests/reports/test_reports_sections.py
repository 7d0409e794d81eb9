"""Headers in every place and spelling, and what happens without them."""

import pytest

from offclip.reports import find_sections, reading_sections


def read(report: str) -> list[str]:
    return [report[s.start : s.end] for s in reading_sections(report)]


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("FINDINGS: A.\nIMPRESSION: B.", ["A.", "B."]),
        ("findings: a.\nimpression: b.", ["a.", "b."]),
        ("  FINDINGS:\n  A.\n\n  IMPRESSION:\n  B.", ["A.", "B."]),
        ("FINDINGS: A. IMPRESSION: B.", ["A.", "B."]),
        ("Findings: A. Impression: B.", ["A.", "B."]),
        (
            "INDICATION: i. TECHNIQUE: t. COMPARISON: c. FINDINGS: A. IMPRESSION: B. NOTIFICATION: n.",
            ["A.", "B."],
        ),
        ("HISTORY: h.\nFINDINGS\nA.\nIMPRESSION\nB.", ["A.", "B."]),
        ("History: h.\nFindings\nA.\nImpression\n1. B.", ["A.", "1. B."]),
        (
            "FINDINGS: No effusion.\nComparison\nis made. Clear.",
            ["No effusion.\nComparison\nis made. Clear."],
        ),
        ("FINDINGS/IMPRESSION: A.", ["A."]),
        ("CONCLUSION: A.", ["A."]),
        ("CLINICAL HISTORY : h.\nREPORT : A.", ["A."]),
        ("INDICATION: i.\n\nPORTABLE AP CHEST RADIOGRAPH: A.\n\nIMPRESSION: B.", ["A.", "B."]),
        # a colon inside a sentence is no header
        ("FINDINGS: Chest: A. Other findings: B.", ["Chest: A. Other findings: B."]),
        # no header for findings: what follows the headed paragraphs
        ("FINAL REPORT\nHISTORY: h.\n\nCOMPARISON: c.\n\nA.", ["A."]),
        ("INDICATION: i.\n\nA.\n\nNOTIFICATION: n.", ["A."]),
        # no header at all: the whole text
        ("A. B.\n\nC.", ["A. B.\n\nC."]),
        ("FINAL REPORT\nA.", ["A."]),
        # a preliminary reading counts only alone
        ("WET READ: w.\n____\nFINAL REPORT\nFINDINGS: A.", ["A."]),
        ("WET READ: w.\n____\nFINAL REPORT\nINDICATION: i.", ["w.\n____"]),
        ("ADDENDUM: a.\nIMPRESSION: B.", ["B."]),
        ("INDICATION: i.", []),
        ("IMPRESSION:", []),
        ("", []),
    ],
)
def test_what_is_read(report: str, expected: list[str]) -> None:
    assert read(report) == expected


def test_sections_keep_order_and_kind() -> None:
    report = "Dr. X\nINDICATION: i.\nIMPRESSION: B.\nFINDINGS: A.\nADDENDUM: d."
    assert [(s.kind, report[s.start : s.end]) for s in find_sections(report)] == [
        ("preamble", "Dr. X"),
        ("indication", "i."),
        ("impression", "B."),
        ("findings", "A."),
        ("addendum", "d."),
    ]

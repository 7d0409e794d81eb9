"""Whole reports in the styles of the public collections."""

import csv
import random
from pathlib import Path

import pytest

from offclip.reports import find_sections, reading_sections, split_sentences

OPENI = Path(__file__).parents[3] / "shared" / "data" / "openi_reports" / "metadata.csv"
CHEXPERT_PLUS = """NARRATIVE:
RADIOGRAPHIC EXAMINATION OF THE CHEST: 5/31/2011

CLINICAL HISTORY: 41 years of age, line placement. Rule out pneumothorax.

COMPARISON: None

PROCEDURE COMMENTS: Single portable view of the chest.

FINDINGS: The line ends in the vena cava.

IMPRESSION:

1.  Line in the vena cava.

2.  No pneumothorax.

END OF IMPRESSION:

SUMMARY: 1-NO SIGNIFICANT ABNORMALITY

ACCESSION NUMBER:
12345
I have personally reviewed the images for this examination and agree
with the report transcribed above.
"""
WET_READ = """WET READ: ___ ___ 8:27 PM
  Small effusion.
  IMPRESSION: Pneumonia.
 ______________________________________________________________________________
                                 FINAL REPORT
 EXAMINATION:  CHEST (PORTABLE AP)

 INDICATION:  ___ year old man with cough, question of
 pneumonia

 COMPARISON:  ___ at 18:59

"""


def shape(report: str) -> list[tuple[str, str]]:
    return [(s.kind, report[s.start : s.end]) for s in find_sections(report)]


def read(report: str) -> list[str]:
    return [
        s.text for part in reading_sections(report) for s in split_sentences(report, part.start, part.end)
    ]


def test_chexpert_plus() -> None:
    assert [kind for kind, _ in shape(CHEXPERT_PLUS)] == [
        "narrative", "history", "comparison", "technique", "findings", "impression",
        "administrative", "administrative", "administrative",
    ]  # fmt: skip
    assert read(CHEXPERT_PLUS) == [
        "The line ends in the vena cava.",
        "Line in the vena cava.",
        "No pneumothorax.",
    ]


def test_a_narrative_alone_is_read() -> None:
    assert read("NARRATIVE: Two views. The lungs are clear.\n\nACCESSION NUMBER: 1") == [
        "Two views.", "The lungs are clear.",
    ]  # fmt: skip


def test_a_preliminary_reading_gives_way_to_the_final_report() -> None:
    assert read(WET_READ + " IMPRESSION: Clear lungs.") == ["Clear lungs."]
    assert read(WET_READ + " The lungs are clear.") == ["The lungs are clear."]


def test_a_preliminary_reading_alone_is_read_without_who_and_when() -> None:
    assert read(WET_READ) == ["Small effusion.", "Pneumonia."]
    assert {s.kind for s in reading_sections(WET_READ)} == {"wet_read"}
    assert read("WET READ VERSION #1 ___ ___ 8:27 PM\nSmall effusion.") == ["Small effusion."]


def test_an_addendum_is_kept_apart() -> None:
    report = "FINDINGS: A.\nIMPRESSION: B.\n\nADDENDUM: The side is wrong.\nIMPRESSION: C."
    assert [kind for kind, _ in shape(report)] == ["findings", "impression", "addendum", "addendum"]
    assert read(report) == ["A.", "B."]
    first = "FINAL ADDENDUM\n ADDENDUM  The side is wrong.\n________\n FINAL REPORT\n IMPRESSION: B."
    assert read(first) == ["B."]
    assert read("ADDENDUM: The side is wrong.") == ["The side is wrong."]


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        # headers of several lines, older styles
        (
            "MEDICAL CONDITION:\n 72 year old man\nREASON FOR THIS EXAMINATION:\n edema?\n_________\n"
            "          FINAL REPORT\n CHEST, PORTABLE:\n\n The heart is big.\n",
            ["The heart is big."],
        ),
        ("FINDINGS AND\nIMPRESSION: A.", ["A."]),
        ("REASON FOR THIS\n EXAMINATION: cough\nFINDINGS: A.", ["A."]),
        ("AP CHEST, 5:53 A.M., ___\n\nHISTORY: h.\n\nIMPRESSION:  AP chest compared to ___:\n\nA.",
         ["AP chest compared to ___:", "A."]),
        # the name of the study is no finding
        ("WET READ: w.\n________\n FINAL REPORT\nAP CHEST, 5:53 A.M.", ["w."]),
        # one line, without colons, without headers for the findings
        ("COMPARISON None. INDICATION Cough. FINDINGS The lungs are clear. IMPRESSION No acute disease.",
         ["The lungs are clear.", "No acute disease."]),
        ("COMPARISON: None. INDICATION: Cough. FINDINGS: A. IMPRESSION: 1. B. 2. C.", ["A.", "B.", "C."]),
        ("INDICATION: Cough. COMPARISON: None. The lungs are clear. No effusion.",
         ["The lungs are clear.", "No effusion."]),
        ("COMPARISON: ___\nThe lungs are clear.", ["The lungs are clear."]),
        ("COMPARISON: CT of the chest", []),
        # several impressions
        ("IMPRESSION: A.\nTECHNIQUE: t.\nIMPRESSION: B.", ["A.", "B."]),
        # markup, dashes
        ("**Findings:** A.\n**Impression**: B.", ["A.", "B."]),
        ("## Findings\nA.\n\n## Impression\nB.", ["A.", "B."]),
        ("IMPRESSION - A.", ["A."]),
        ("FINDINGS. A.", ["A."]),
        # signatures
        ("IMPRESSION: A.\nI, the attending physician, reviewed the images.", ["A."]),
        ("IMPRESSION: A.\nElectronically signed by: Who", ["A."]),
        ("IMPRESSION: A.\nDICTATED BY: Who", ["A."]),
        ("IMPRESSION: A.\nSUMMARY: 4-POSSIBLE SIGNIFICANT FINDINGS, MAY NEED ACTION", ["A."]),
        ("INDICATION: i.\nSUMMARY: A.", ["A."]),
        # words, not headers
        ("The IMPRESSION of edema. A history: none.", ["The IMPRESSION of edema.", "A history: none."]),
        ("THE IMPRESSION IS CLEAR.", ["THE IMPRESSION IS CLEAR."]),
    ],
)  # fmt: skip
def test_what_is_read(report: str, expected: list[str]) -> None:
    assert read(report) == expected


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("FINDNGS", "findings"),
        ("Findigns", "findings"),
        ("IMPRESSOIN", "impression"),
        ("Imprression", "impression"),
        ("COMPARISION", "comparison"),
        ("CLINICAL HISTROY", "history"),
        ("Techinque", "technique"),
        ("INDICATOIN", "indication"),
        ("INDICATION(S)", "preamble"),  # unknown names are text
    ],
)
def test_misspelt_headers(header: str, kind: str) -> None:
    assert shape(f"{header}: Words.")[0][0] == kind


def test_openi_columns_come_back_whatever_the_layout() -> None:
    if not OPENI.is_file():
        pytest.skip(f"{OPENI} is not there")
    with OPENI.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["findings"].strip() and row["impression"].strip()]
    wrong = dict.fromkeys(("{}: {}\n", "{}:\n{}\n\n", "  {} : {} ", "{} {} "), 0)
    for row in random.Random(3).sample(rows, 800):
        for layout in wrong:
            report = "".join(
                layout.format(name.upper(), row[name].strip())
                for name in ("comparison", "indication", "findings", "impression")
            )
            parts = [report[s.start : s.end] for s in reading_sections(report)]
            wrong[layout] += parts != [row["findings"].strip(), row["impression"].strip()]
    # One column holds a report within the report; without colons a few headers are seen as words.
    assert [count <= limit for count, limit in zip(wrong.values(), (1, 1, 1, 16), strict=True)] == [
        True
    ] * 4, wrong

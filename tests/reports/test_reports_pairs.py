"""Report labels, filtering, and errors."""

import subprocess
import sys

import pytest

from offclip.errors import DataError
from offclip.reports import SentenceLabel, label_report, pair_label, pair_sentences

REPORT = "HISTORY: effusion.\nFINDINGS: No pneumothorax. Small effusion. AP view.\nIMPRESSION: Effusion."


def test_an_abnormal_report_keeps_its_abnormal_sentences() -> None:
    report = label_report(REPORT)
    assert report.label == "abnormal"
    assert [(s.text, s.label, s.section) for s in report.sentences] == [
        ("No pneumothorax.", "normal", "findings"),
        ("Small effusion.", "abnormal", "findings"),
        ("AP view.", "uncertain", "findings"),
        ("Effusion.", "abnormal", "impression"),
    ]
    assert [s.text for s in report.kept] == ["Small effusion.", "Effusion."]
    assert all(REPORT[s.start : s.end] == s.text for s in report.sentences)


def test_without_filtering_everything_is_kept() -> None:
    report = label_report(REPORT, filter_sentences=False)
    assert report.kept == report.sentences
    assert report.label == "abnormal"


@pytest.mark.parametrize(
    ("text", "label", "kept"),
    [
        ("Lungs are clear. AP view.", "normal", ["Lungs are clear."]),
        ("AP view.", "uncertain", ["AP view."]),
        ("INDICATION: cough.", "uncertain", []),
    ],
)
def test_other_reports(text: str, label: str, kept: list[str]) -> None:
    report = label_report(text)
    assert report.label == label
    assert [s.text for s in report.kept] == kept


def test_pair_label_and_filter_agree() -> None:
    sentences = label_report(REPORT).sentences
    assert pair_label(s.label for s in sentences) == "abnormal"
    assert {s.label for s in pair_sentences(sentences, "normal")} == {"normal"}


@pytest.mark.parametrize("text", ["", " \n\t ", None])
def test_a_report_without_text_is_an_error(text: str) -> None:
    with pytest.raises(DataError, match="has no text"):
        label_report(text)


def test_another_labeller_can_be_given() -> None:
    report = label_report("Anything. At all.", labeller=lambda _: SentenceLabel("abnormal", "mine"))
    assert [(s.label, s.reason, s.prompt) for s in report.sentences] == [
        ("abnormal", "mine", "Anything."),
        ("abnormal", "mine", "At all."),
    ]


def test_the_import_brings_no_heavy_library() -> None:
    code = (
        "import sys, offclip.reports as r; r.label_report('Clear.');"
        "print({'torch', 'numpy', 'polars'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

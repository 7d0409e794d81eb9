"""Report labels, filtering, and errors."""

import subprocess
import sys
from collections.abc import Sequence

import pytest

from offclip.errors import DataError
from offclip.reports import (
    ReportLabel,
    ReportLabeller,
    SentenceLabel,
    Statement,
    label_report,
    pair_label,
    pair_sentences,
)

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


class Counting:
    """A labeller of many sentences that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, sentence: str, /) -> SentenceLabel:
        return self.label_many([sentence])[0]

    def label_many(self, sentences: Sequence[str], /) -> list[SentenceLabel]:
        self.asked += sentences
        return [SentenceLabel("abnormal" if "ill" in s else "normal", "mine") for s in sentences]


def test_each_different_sentence_is_labelled_once() -> None:
    labeller = Counting()
    label = ReportLabeller(labeller)
    reports = label.many(["All well. Very ill.", "All well.", "", "All well. All well."])
    assert labeller.asked == ["All well.", "Very ill."]
    assert [r.label for r in reports if isinstance(r, ReportLabel)] == ["abnormal", "normal", "normal"]
    assert isinstance(reports[2], DataError)
    assert label("Very ill.").label == "abnormal"
    assert labeller.asked == ["All well.", "Very ill."]


def test_what_is_remembered_is_bounded_and_forgetting_changes_nothing() -> None:
    texts = [f"Nodule {i} in the left lung. No effusion {i % 3}." for i in range(40)]
    small, none, large = (ReportLabeller(remember=n) for n in (3, 0, 1000))
    assert [small(t) for t in texts] == [none(t) for t in texts] == [large(t) for t in texts]
    assert small.many(texts) == large.many(texts)
    batches = ReportLabeller(Counting(), remember=3)
    assert len(batches.many(texts)) == 40


def test_a_statement_of_the_labeller_is_a_sentence_of_its_own() -> None:
    statements = (
        Statement("There is no pneumothorax.", "normal"),
        Statement("There is effusion.", "abnormal"),
    )
    text = "Effusion without pneumothorax."
    report = label_report(text, labeller=lambda _: SentenceLabel("abnormal", "mine", statements=statements))
    assert report.label == "abnormal"
    assert [(s.text, s.label, s.prompt) for s in report.sentences] == [
        (text, "normal", "There is no pneumothorax."),
        (text, "abnormal", "There is effusion."),
    ]
    assert [s.prompt for s in report.kept] == ["There is effusion."]


def test_a_spanish_report_is_refused() -> None:
    with pytest.raises(DataError, match="Spanish"):
        label_report("HALLAZGOS: No se observan infiltrados ni derrame pleural.")


def test_findings_of_all_sentences_are_at_hand() -> None:
    report = label_report("No pneumothorax. Small left effusion.")
    assert [(m.finding, m.certainty) for m in report.mentions] == [
        ("pneumothorax", "absent"),
        ("pleural effusion", "present"),
    ]

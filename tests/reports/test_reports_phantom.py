"""The phantom's reports, whose true labels are known, run through the labeller."""

import pytest

from offclip.reports import label_report, label_sentence, prompt_for

text = pytest.importorskip("offclip.data.phantom.text", reason="the phantom is not there yet")
findings = pytest.importorskip("offclip.data.phantom.findings")
np = pytest.importorskip("numpy")

# A hedged finding counts as abnormal here; a sentence about nothing has no label of its own.
EXPECTED = {"normal": "normal", "abnormal": "abnormal", "uncertain": "abnormal", "other": "uncertain"}
# Words that a report uses for the phantom's finding and that keep their own name.
SYNONYMS = {
    "consolidation": ("consolidation", "opacity", "infiltration", "pneumonia", "airspace disease"),
    "edema": ("edema", "vascular congestion"),
    "nodule": ("nodule", "nodular opacity"),
    "hiatal hernia": ("hiatal hernia", "hernia"),
    "pacemaker": ("pacemaker", "device"),
}
STUDIES = 1500


@pytest.fixture(scope="module")
def reports() -> list:
    rng = np.random.default_rng(0)
    studies = [findings.draw_findings(rng) for _ in range(STUDIES)]
    return [
        (study, text.write_report(study, view, style, rng))
        for number, study in enumerate(studies)
        for style in (text.STYLES[number % 2],)
        for view in (("AP", "PA")[number % 3 == 0],)
    ]


@pytest.fixture(scope="module")
def sentences(reports: list) -> set:
    return {sentence for _, report in reports for sentence in report.sentences}


def test_every_sentence_gets_its_true_label(sentences: set) -> None:
    wrong = [
        (s.text, s.label, label_sentence(s.text).reason)
        for s in sentences
        if label_sentence(s.text).label != EXPECTED[s.label]
    ]
    assert not wrong


def test_prompts_name_the_finding(sentences: set) -> None:
    wrong = []
    for s in sentences:
        prompt = prompt_for(s.text, label_sentence(s.text))
        names = SYNONYMS.get(s.finding, (s.finding,))
        # What only explains a sign ("opacity may reflect atelectasis") is not named.
        if s.label == "uncertain":
            names = (*names, "opacity")
        if s.finding is not None and not any(name in prompt for name in names):
            wrong.append((s.text, prompt))
    assert not wrong


def test_reports_are_labelled_as_their_studies(reports: list) -> None:
    for study, report in reports:
        labelled = label_report(report.text)
        assert [s.text for s in labelled.sentences] == [s.text for s in report.sentences]
        assert labelled.label == ("abnormal" if study else "normal")

"""The reports: wordings, labels, sections, and what makes a style a style."""

import itertools
import string

import numpy as np
import pytest

from offclip.data.phantom import FINDINGS, wordings
from offclip.data.phantom.findings import KINDS, Finding, draw_findings
from offclip.data.phantom.streams import Purpose, stream
from offclip.data.phantom.text import write_report

COUNT = 2500


@pytest.fixture(scope="module")
def corpus():
    """Findings and reports of many studies in both styles."""
    made = {}
    for style in ("icu", "neutral"):
        made[style] = []
        for index in range(COUNT):
            findings = draw_findings(stream(0, index, Purpose.FINDINGS))
            report = write_report(findings, "PA", style, stream(0, index, Purpose.REPORT))
            made[style].append((findings, report))
    return made


@pytest.mark.parametrize("name", FINDINGS)
def test_there_are_at_least_four_wordings_for_presence_and_absence(name):
    assert len(set(wordings.PRESENT[name])) >= 4
    assert len(set(wordings.ABSENT[name])) >= 4
    assert wordings.HEDGED[name]


@pytest.mark.parametrize("name", FINDINGS)
def test_templates_ask_only_for_what_the_finding_has(name):
    kind = KINDS[FINDINGS.index(name)]
    allowed = {"size", "degree"} | ({"side"} if kind.left_share is not None else set())
    allowed |= {"zone"} if kind.zones else set()
    templates = (*wordings.PRESENT[name], *wordings.HEDGED[name], wordings.MIXED.get(name, ""))
    fields = {
        field for template in templates for _, field, _, _ in string.Formatter().parse(template) if field
    }
    assert fields <= allowed


@pytest.mark.parametrize("style", ["icu", "neutral"])
def test_sentences_stand_in_the_report_and_are_sentences(corpus, style):
    for _, report in corpus[style]:
        assert report.sentences
        for sentence in report.sentences:
            assert sentence.text in report.text
            assert sentence.text[0].isupper()
            assert sentence.text.endswith(".")
            assert "None" not in sentence.text
            assert "{" not in sentence.text


@pytest.mark.parametrize("style", ["icu", "neutral"])
def test_labels_agree_with_the_findings(corpus, style):
    for findings, report in corpus[style]:
        present = {finding.name for finding in findings}
        for sentence in report.sentences:
            if sentence.label in ("abnormal", "uncertain"):
                assert sentence.finding in present
            elif sentence.label == "normal":
                assert sentence.finding not in present
            else:
                assert sentence.finding is None
        named = {s.finding for s in report.sentences if s.label in ("abnormal", "uncertain")}
        assert named == present
        assert present or any(s.label == "normal" for s in report.sentences)


def test_no_sentence_denies_what_another_asserts(corpus):
    lung = {"pleural effusion", "pneumothorax", "consolidation", "nodule", "mass", "edema", "atelectasis"}
    clear = {words[0].upper() + words[1:] + "." for words in wordings.LUNGS_CLEAR}
    for findings, report in corpus["icu"]:
        if lung & {finding.name for finding in findings}:
            assert not clear & {sentence.text for sentence in report.sentences}
        for sentence in report.sentences:
            for name, ending in wordings.MIXED_ENDINGS.items():
                if sentence.text.endswith(f"{ending}."):
                    assert name not in {finding.name for finding in findings}


def negation_rates(reports):
    """Denials over the denials that the absent findings call for, in normal and in abnormal reports."""
    denied, called_for = {True: 0, False: 0}, {True: 0.0, False: 0.0}
    for findings, report in reports:
        present = {finding.name for finding in findings}
        denied[not findings] += sum(s.label == "normal" and s.finding is not None for s in report.sentences)
        called_for[not findings] += sum(kind.mentioned_absent for kind in KINDS if kind.name not in present)
    return denied[True] / called_for[True], denied[False] / called_for[False]


def test_icu_negations_stand_mostly_in_abnormal_reports(corpus):
    normal, abnormal = negation_rates(corpus["icu"])
    assert normal == pytest.approx(0.25, abs=0.02)
    assert abnormal == pytest.approx(1.0, abs=0.05)


def test_neutral_negations_are_equally_frequent(corpus):
    normal, abnormal = negation_rates(corpus["neutral"])
    assert normal == pytest.approx(1.0, abs=0.03)
    assert abnormal == pytest.approx(1.0, abs=0.05)  # a mixed sentence denies without a sentence of its own


def test_icu_normal_reports_are_shorter_and_end_in_a_global_statement(corpus):
    length, closing = {}, {}
    statements = {words[0].upper() + words[1:] + "." for words in wordings.GLOBAL_NORMAL}
    for style, reports in corpus.items():
        normal = [report for findings, report in reports if not findings]
        length[style] = np.mean([len(report.sentences) for report in normal])
        closing[style] = np.mean([report.sentences[-1].text in statements for report in normal])
    assert length["icu"] < 0.7 * length["neutral"]
    assert closing["icu"] > 0.7 > closing["neutral"]


def test_hedged_mixed_and_empty_sentences_are_rare_but_there(corpus):
    sentences = [s for _, report in corpus["icu"] for s in report.sentences]
    about = [s for s in sentences if s.label in ("abnormal", "uncertain")]
    assert 0.02 < np.mean([s.label == "uncertain" for s in about]) < 0.09
    assert 0.02 < np.mean([s.label == "other" for s in sentences]) < 0.10
    endings = tuple(f"{ending}." for ending in wordings.MIXED_ENDINGS.values())
    assert 0.005 < np.mean([s.text.endswith(endings) for s in about]) < 0.05


def test_every_finding_is_also_said_as_a_bare_prompt(corpus):
    texts = {s.text for reports in corpus.values() for _, report in reports for s in report.sentences}
    assert {f"There is {name}." for name in FINDINGS} <= texts


def test_reports_have_sections(corpus):
    texts = [report.text for _, report in corpus["icu"]]
    assert all("FINDINGS:\n" in text or "IMPRESSION:\n" in text for text in texts)
    assert np.mean(["FINDINGS:\n" in text for text in texts]) > 0.8
    assert np.mean(["IMPRESSION:\n" in text for text in texts]) > 0.5
    assert 0.3 < np.mean(["COMPARISON:" in text for text in texts]) < 0.5
    assert all(text.endswith("\n") and "\n\n\n" not in text for text in texts)


def test_place_and_size_are_said_as_they_are():
    for side, severity in itertools.product(("left", "right"), (0.1, 0.5, 0.9)):
        finding = Finding("pleural effusion", side, None, severity)  # type: ignore[arg-type]
        said = set()
        for index in range(60):
            report = write_report([finding], "AP", "icu", stream(0, index, Purpose.REPORT))
            said |= {s.text for s in report.sentences if s.finding == finding.name}
        assert f"There is a {finding.size_word} {side} pleural effusion." in said
        other = "right" if side == "left" else "left"
        assert not any(f" {other} " in text for text in said)

"""The report of a study: sentences with their true labels, in sections, in one of two styles.

In the style ``icu`` negations stand mostly in abnormal reports, as where every film is a line check:
normal reports are short. In the style ``neutral`` they are equally frequent in both. Contrastive
training on the first kind teaches a model that "no pneumothorax" goes with a sick patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from offclip.data.phantom import wordings
from offclip.data.phantom.acquisition import View
from offclip.data.phantom.findings import KINDS, Finding

Style = Literal["icu", "neutral"]
Label = Literal["normal", "abnormal", "uncertain", "other"]

STYLES: tuple[Style, ...] = ("icu", "neutral")

ICU_NEGATIONS_IN_NORMAL = 0.25  # relative to abnormal reports
PROMPT_SHAPED = 0.25
HEDGED = 0.06
MIXED = 0.05
_LUNG_FINDINGS = frozenset(
    {"pleural effusion", "pneumothorax", "consolidation", "nodule", "mass", "edema", "atelectasis"}
)


@dataclass(frozen=True, slots=True)
class ReportSentence:
    """A sentence of a report.

    Attributes:
        text: The sentence, with its full stop.
        label: ``normal``, ``abnormal``, ``uncertain`` (hedged), or ``other`` for a sentence that says
            nothing about findings.
        finding: The finding it speaks of, present or absent; ``None`` for global and other sentences.
    """

    text: str
    label: Label
    finding: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """A report as text, and the sentences of its FINDINGS and IMPRESSION sections in order."""

    text: str
    sentences: tuple[ReportSentence, ...]


def write_report(findings: Sequence[Finding], view: View, style: Style, rng: np.random.Generator) -> Report:
    """Write the report of a study.

    Example:
        >>> report = write_report([], "PA", "icu", np.random.default_rng(0))
        >>> all(sentence.label in ("normal", "other") for sentence in report.sentences)
        True
    """
    positive, taken = _positive_sentences(findings, rng)
    body = positive + _negative_sentences(findings, taken, style, rng)
    body = [body[place] for place in rng.permutation(len(body))]
    impression = _impression(findings, style, rng)
    if rng.random() < 0.18:
        remarks = wordings.COMPARISON + wordings.TECHNIQUE[view]
        body.insert(0, ReportSentence(_sentence(_pick(remarks, rng)), "other", None))
    if not any(sentence.label != "other" for sentence in body + impression):
        body.append(ReportSentence(_sentence(_pick(wordings.LUNGS_CLEAR, rng)), "normal", None))
    text = _layout(body, impression, view, rng)
    return Report(text, (*body, *impression))


def _positive_sentences(
    findings: Sequence[Finding], rng: np.random.Generator
) -> tuple[list[ReportSentence], set[str]]:
    """A sentence for each finding, and the absent findings that a mixed sentence has already named."""
    sentences, taken = [], set()
    present = {finding.name for finding in findings}
    for finding in findings:
        lot = rng.random()
        endings = [name for name in wordings.MIXED_ENDINGS if name not in present | taken]
        if lot < HEDGED:
            words = _fill(_pick(wordings.HEDGED[finding.name], rng), finding)
            sentences.append(ReportSentence(_sentence(words), "uncertain", finding.name))
        elif lot < HEDGED + MIXED and finding.name in wordings.MIXED and endings:
            absent = endings[int(rng.integers(len(endings)))]
            words = f"{_fill(wordings.MIXED[finding.name], finding)} {wordings.MIXED_ENDINGS[absent]}"
            sentences.append(ReportSentence(_sentence(words), "abnormal", finding.name))
            taken.add(absent)
        else:
            sentences.append(_present(finding, rng))
    return sentences, taken


def _present(finding: Finding, rng: np.random.Generator) -> ReportSentence:
    if rng.random() < PROMPT_SHAPED:
        words = f"there is {finding.name}"
    else:
        words = _fill(_pick(wordings.PRESENT[finding.name], rng), finding)
    return ReportSentence(_sentence(words), "abnormal", finding.name)


def _negative_sentences(
    findings: Sequence[Finding], taken: set[str], style: Style, rng: np.random.Generator
) -> list[ReportSentence]:
    """What the report says is not there, or normal."""
    present = {finding.name for finding in findings}
    rate = ICU_NEGATIONS_IN_NORMAL if style == "icu" and not findings else 1.0
    sentences = []
    for kind in KINDS:
        lot, words = rng.random(), _pick(wordings.ABSENT[kind.name], rng)
        if kind.name not in present | taken and lot < kind.mentioned_absent * rate:
            sentences.append(ReportSentence(_sentence(words), "normal", kind.name))
    if not present & _LUNG_FINDINGS and rng.random() < 0.6:
        sentences.append(ReportSentence(_sentence(_pick(wordings.LUNGS_CLEAR, rng)), "normal", None))
    if rng.random() < 0.3 * rate:
        sentences.append(ReportSentence(_sentence(_pick(wordings.BONES_NORMAL, rng)), "normal", None))
    return sentences


def _impression(findings: Sequence[Finding], style: Style, rng: np.random.Generator) -> list[ReportSentence]:
    """A global statement for a normal study, the gravest finding once more for an abnormal one."""
    if not findings:
        if rng.random() < (0.8 if style == "icu" else 0.5):
            return [ReportSentence(_sentence(_pick(wordings.GLOBAL_NORMAL, rng)), "normal", None)]
        return []
    if rng.random() < 0.5:
        return [_present(max(findings, key=lambda finding: finding.severity), rng)]
    return []


def _layout(
    body: list[ReportSentence], impression: list[ReportSentence], view: View, rng: np.random.Generator
) -> str:
    """Sections under headers, as a hospital's system prints them."""
    sections = []
    if rng.random() < 0.7:
        device = "PORTABLE " if view == "AP" else ""
        sections.append(f"EXAMINATION: CHEST ({device}{view})")
    if rng.random() < 0.4:
        sections.append(f"COMPARISON: {_pick(('None.', 'Prior chest radiograph.'), rng)}")
    for header, sentences in (("FINDINGS", body), ("IMPRESSION", impression)):
        if sentences:
            sections.append(f"{header}:\n" + " ".join(sentence.text for sentence in sentences))
    return "\n\n".join(sections) + "\n"


def _fill(template: str, finding: Finding) -> str:
    return template.format(
        side=finding.side, zone=finding.zone, size=finding.size_word, degree=finding.degree_word
    )


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."

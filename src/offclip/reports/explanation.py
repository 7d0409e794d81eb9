"""What a labeller made of a report, and why, in words: sections, sentences, reasons, findings, prompts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from offclip.errors import DataError
from offclip.reports.labels import Label, Mention, SentenceLabeller, Status
from offclip.reports.pairs import LabelledSentence, ReportLabeller
from offclip.reports.sections import SectionKind, find_sections, reading_sections

SCHEMA = 1
_OF_STATUS: dict[Status, str] = {
    "asserted": "{words} is stated",
    "hedged": "{words} is possible or not excluded{cue}, which counts as abnormal",
    "negated": "{words} is denied{cue}",
    "waived": "{words} is stated, and the conventions call it normal",
    "not_stated": "{words} is named, but nothing is said of it{cue}",
}
# Reasons that name words of the sentence instead of a finding.
_OF_WORDS = {
    "negated": "the words {words} deny something that is not in the lexicon",
    "normal-phrase": "the words {words} call it normal",
    "non-finding": "the words {words} are about technique, comparison, advice or notification",
    "unchanged": "the words {words} say only that it is as before",
    "context": "the words {words} are about the film, the examination or the patient",
}
_OTHERS = {
    "undecided": "no rule found anything",
    "fragment": "too few words to say anything",
    "llm": "the language model said so",
    "classifier": "the trained classifier decided ({what})",
}
_FALLBACK = "llm-fallback:"


@dataclass(frozen=True, slots=True)
class ExplainedSentence:
    """A sentence with everything that its label rests on.

    Attributes:
        sentence: The labelled sentence.
        words: The reason in words.
        cues: Offsets in the sentence of words that the reason rests on and that are no finding.
        kept: Whether filtering keeps it for training.
    """

    sentence: LabelledSentence
    words: str
    cues: tuple[tuple[int, int], ...]
    kept: bool


@dataclass(frozen=True, slots=True)
class SectionPart:
    """A stretch of a report that is one section, or a part of one.

    Attributes:
        kind: What the section is.
        start: Offset of the first character.
        end: One past the last.
        sentences: Those read from it; empty where it is not read.
        read: Whether labels are read from it.
    """

    kind: SectionKind
    start: int
    end: int
    sentences: tuple[ExplainedSentence, ...]
    read: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """A report taken apart.

    Attributes:
        text: The report.
        label: Of the pair of image and report.
        parts: Its sections in order.
    """

    text: str
    label: Label
    parts: tuple[SectionPart, ...]

    @property
    def sentences(self) -> tuple[ExplainedSentence, ...]:
        """All sentences that are read, in order."""
        return tuple(sentence for part in self.parts for sentence in part.sentences)

    def as_json(self) -> dict[str, Any]:
        """Return the explanation as plain values; docs/audit.md describes them."""
        return {
            "schema": SCHEMA,
            "label": self.label,
            "sections": [
                {"kind": part.kind, "start": part.start, "end": part.end, "read": part.read}
                for part in self.parts
            ],
            "sentences": [_sentence_json(one) for one in self.sentences],
        }


def explain_report(text: str, labeller: SentenceLabeller | None = None) -> Explanation:
    """Take a report apart.

    Args:
        text: The report, or a single sentence.
        labeller: What labels a sentence; the rules by default.

    Raises:
        DataError: The report is empty, or not in English.

    Example:
        >>> explained = explain_report("INDICATION: Cough. FINDINGS: No effusion.")
        >>> [(part.kind, part.read) for part in explained.parts]
        [('indication', False), ('findings', True)]
        >>> explained.sentences[0].words
        '"effusion" is denied ("no")'
    """
    (report,) = ReportLabeller(labeller).many([text])  # all sentences in one go
    if isinstance(report, DataError):
        raise report
    kept = {id(sentence) for sentence in report.kept}
    explained = [_explained(sentence, kept=id(sentence) in kept) for sentence in report.sentences]
    parts = []
    reading = reading_sections(text)
    for section in reading:
        own = tuple(s for s in explained if section.start <= s.sentence.start < section.end)
        parts.append(SectionPart(section.kind, section.start, section.end, own, read=True))
    for section in find_sections(text):
        position = section.start
        for start, end in [*((s.start, s.end) for s in reading), (section.end, section.end)]:
            if section.start <= start <= section.end:
                _add_unread(parts, text, section.kind, position, start)
                position = max(position, end)
    return Explanation(text, report.label, tuple(sorted(parts, key=lambda part: (part.start, part.end))))


def _add_unread(parts: list[SectionPart], text: str, kind: SectionKind, start: int, end: int) -> None:
    body = text[start:end]
    if body.strip():
        start += len(body) - len(body.lstrip())
        parts.append(SectionPart(kind, start, start + len(body.strip()), (), read=False))


def _explained(sentence: LabelledSentence, *, kept: bool) -> ExplainedSentence:
    rule, _, what = sentence.reason.removeprefix(_FALLBACK).partition(":")
    searched = [mention.cue for mention in sentence.findings if mention.cue]
    if rule in _OF_WORDS and not any(mention.finding == what for mention in sentence.findings):
        searched.append(what)
    cues = {span for words in searched if (span := _find(sentence.text, words))}
    words = reason_in_words(sentence.reason, sentence.text, sentence.findings)
    return ExplainedSentence(sentence, words, tuple(sorted(cues)), kept)


def reason_in_words(reason: str, sentence: str = "", mentions: Sequence[Mention] = ()) -> str:
    """Say a reason in words.

    Args:
        reason: Of a label; see docs/labelling.md.
        sentence: The sentence, to quote its words.
        mentions: The findings named in it.

    Example:
        >>> reason_in_words("non-finding:compared")
        'the words "compared" are about technique, comparison, advice or notification'
        >>> reason_in_words("undecided")
        'no rule found anything'
    """
    if reason.startswith(_FALLBACK):
        rest = reason_in_words(reason.removeprefix(_FALLBACK), sentence, mentions)
        return f"the language model gave no answer, so the rules decided: {rest}"
    rule, _, what = reason.partition(":")
    if rule in _OTHERS:
        return _OTHERS[rule].format(what=what)
    for status, form in _OF_STATUS.items():
        found = next((m for m in mentions if m.finding == what and m.status == status), None)
        if rule == status and found:
            said = " ".join(sentence[found.start : found.end].split())
            words = f'"{said}"' + (f" ({what})" if not _same(said, what) else "")
            return form.format(words=words, cue=f' ("{found.cue}")' if found.cue else "")
    if rule in _OF_WORDS and what:
        return _OF_WORDS[rule].format(words=f'"{what}"')
    if rule in _OF_STATUS:
        return next(form for status, form in _OF_STATUS.items() if status == rule).format(words=what, cue="")
    return f"the labeller's reason is {reason}"


def _same(said: str, finding: str) -> bool:
    return said.lower().rstrip("s") in (finding, finding.rpartition(" ")[2])


def _find(sentence: str, words: str) -> tuple[int, int] | None:
    """Where words that the labeller read stand in the sentence."""
    parts = [re.escape(part) for part in words.split()]
    if not parts:
        return None
    match = re.search(r"(?<!\w)" + r"\W{1,5}".join(parts) + r"(?!\w)", sentence, re.IGNORECASE)
    return match.span() if match else None


def _sentence_json(one: ExplainedSentence) -> dict[str, Any]:
    sentence = one.sentence
    return {
        "text": sentence.text,
        "start": sentence.start,
        "end": sentence.end,
        "section": sentence.section,
        "label": sentence.label,
        "reason": sentence.reason,
        "reason_in_words": one.words,
        "prompt": sentence.prompt,
        "kept": one.kept,
        "findings": [
            {
                "finding": m.finding,
                "status": m.status,
                "certainty": m.certainty,
                "side": m.side,
                "zone": m.zone,
                "severity": m.severity,
                "cue": m.cue,
                "start": m.start,
                "end": m.end,
            }
            for m in sentence.findings
        ],
    }

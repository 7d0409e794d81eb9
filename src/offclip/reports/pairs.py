"""From a report to its label and the sentences worth training on.

A report with an abnormal sentence is abnormal and keeps its abnormal sentences alone: its "no pneumothorax"
would teach the model to call an abnormal image normal. A report without is normal and keeps its normal ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from offclip.errors import DataError
from offclip.reports.labels import Label, SentenceLabel, SentenceLabeller
from offclip.reports.prompts import prompt_for
from offclip.reports.rules import default_labeller
from offclip.reports.sections import SectionKind, reading_sections
from offclip.reports.sentences import Sentence, split_sentences

# Reports repeat their sentences; a prompt is as costly as a label.
_CACHE_SIZE = 65_536
_LONGEST_CACHED = 2_000


@dataclass(frozen=True, slots=True)
class LabelledSentence:
    """A sentence of a report with its label.

    Attributes:
        text: The sentence as written.
        label: `"normal"`, `"abnormal"` or `"uncertain"`.
        reason: Why; see docs/labelling.md.
        prompt: The sentence in the shape of a prompt.
        start: Offset of the first character in the report.
        end: One past the last; `report[start:end] == text`.
        section: The section it stands in.
    """

    text: str
    label: Label
    reason: str
    prompt: str
    start: int
    end: int
    section: SectionKind = "findings"


@dataclass(frozen=True, slots=True)
class ReportLabel:
    """A labelled report.

    Attributes:
        label: Label of the pair of image and report.
        sentences: All sentences of findings and impression, in order.
        kept: Those to train on.
    """

    label: Label
    sentences: tuple[LabelledSentence, ...]
    kept: tuple[LabelledSentence, ...]


def pair_label(labels: Iterable[Label]) -> Label:
    """Combine sentence labels: any abnormal makes the pair abnormal, else any normal makes it normal.

    Example:
        >>> pair_label(["normal", "uncertain", "abnormal"])
        'abnormal'
        >>> pair_label([])
        'uncertain'
    """
    seen = set(labels)
    if "abnormal" in seen:
        return "abnormal"
    return "normal" if "normal" in seen else "uncertain"


def pair_sentences(sentences: Iterable[LabelledSentence], label: Label) -> tuple[LabelledSentence, ...]:
    """Keep the sentences that agree with the label of the pair.

    Args:
        sentences: Sentences of a report.
        label: Label of the report.

    Returns:
        The abnormal sentences of an abnormal report, the normal ones of a normal report, the uncertain ones
        of an uncertain report.

    Example:
        >>> report = label_report("No pneumothorax. Small effusion.")
        >>> [s.text for s in pair_sentences(report.sentences, "abnormal")]
        ['Small effusion.']
    """
    return tuple(sentence for sentence in sentences if sentence.label == label)


@lru_cache(maxsize=_CACHE_SIZE)
def _read_by_rule(text: str) -> tuple[SentenceLabel, str]:
    label = default_labeller()(text)
    return label, prompt_for(text, label)


def _labelled(
    sentence: Sentence, section: SectionKind, labeller: SentenceLabeller | None
) -> LabelledSentence:
    text = sentence.text
    if labeller is None and len(text) <= _LONGEST_CACHED:
        label, prompt = _read_by_rule(text)
    else:
        labeller = labeller or default_labeller()
        label = labeller(text)
        prompt = prompt_for(text, label)
    return LabelledSentence(text, label.label, label.reason, prompt, sentence.start, sentence.end, section)


def label_report(
    text: str, *, filter_sentences: bool = True, labeller: SentenceLabeller | None = None
) -> ReportLabel:
    """Label a report and its sentences.

    Args:
        text: The report, with or without section headers.
        filter_sentences: Keep only the sentences that agree with the label of the report; otherwise `kept`
            is all sentences.
        labeller: What labels a sentence; the rules by default.

    Returns:
        The label of the report, all sentences of its findings and impression, and the kept ones.

    Raises:
        DataError: The report is empty.

    Example:
        >>> report = label_report("FINDINGS: No pneumothorax. Small left effusion. IMPRESSION: Effusion.")
        >>> report.label, [s.prompt for s in report.kept]
        ('abnormal', ['There is pleural effusion of left.', 'There is pleural effusion.'])
    """
    if not isinstance(text, str) or not text.strip():
        raise DataError("The report has no text.", "Leave out studies without a report.")
    sentences = tuple(
        _labelled(sentence, section.kind, labeller)
        for section in reading_sections(text)
        for sentence in split_sentences(text, section.start, section.end)
    )
    label = pair_label(sentence.label for sentence in sentences)
    return ReportLabel(label, sentences, pair_sentences(sentences, label) if filter_sentences else sentences)

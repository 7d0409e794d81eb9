"""From a report to its label and the sentences worth training on.

A report with an abnormal sentence is abnormal and keeps its abnormal sentences alone: its "no pneumothorax"
would teach the model to call an abnormal image normal. A report without is normal and keeps its normal ones.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

from offclip.errors import DataError
from offclip.reports.labels import Label, Mention, SentenceLabel, SentenceLabeller
from offclip.reports.prompts import prompt_for
from offclip.reports.reading import sentences_of
from offclip.reports.rules import RuleLabeller
from offclip.reports.sections import SectionKind
from offclip.reports.sentences import Sentence

# Reports repeat their sentences: Open-I's 22,809 are 8,649 different ones.
_REMEMBERED = 65_536
_LONGEST_REMEMBERED = 2_000


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
        findings: The findings it names, with certainty, side, zone and severity.
    """

    text: str
    label: Label
    reason: str
    prompt: str
    start: int
    end: int
    section: SectionKind = "findings"
    findings: tuple[Mention, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportLabel:
    """A labelled report.

    Attributes:
        label: Label of the pair of image and report.
        sentences: All sentences of findings and impression, in order. A sentence for which the labeller wrote
            several statements stands here once for each.
        kept: Those to train on.
    """

    label: Label
    sentences: tuple[LabelledSentence, ...]
    kept: tuple[LabelledSentence, ...]

    @property
    def mentions(self) -> tuple[Mention, ...]:
        """The findings of all sentences, in order."""
        return tuple(chain.from_iterable(sentence.findings for sentence in self.sentences))


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


class ReportLabeller:
    """Labels reports with one labeller, and remembers the sentences it has read.

    Args:
        labeller: What labels a sentence; the rules by default.
        filter_sentences: Keep only the sentences that agree with the label of the report; otherwise `kept`
            is all sentences.
        remember: How many different sentences to remember; 0 for none.

    Example:
        >>> label = ReportLabeller()
        >>> label("No pneumothorax.").label
        'normal'
        >>> [report.label for report in label.many(["Small effusion.", "The lungs are clear."])]
        ['abnormal', 'normal']
    """

    def __init__(
        self,
        labeller: SentenceLabeller | None = None,
        *,
        filter_sentences: bool = True,
        remember: int = _REMEMBERED,
    ) -> None:
        self.labeller = RuleLabeller() if labeller is None else labeller
        self.filter_sentences = filter_sentences
        self.remember = remember
        self._read: dict[str, tuple[_Reading, ...]] = {}

    def __call__(self, text: str) -> ReportLabel:
        """Label one report.

        Raises:
            DataError: The report is empty, or not in English.
        """
        return self._put_together(sentences_of(text))

    def many(self, texts: Sequence[str]) -> list[ReportLabel | DataError]:
        """Label many reports, so that the labeller sees each different sentence once and all together.

        Args:
            texts: The reports.

        Returns:
            For each report its label, or what is wrong with it.
        """
        label_many = getattr(self.labeller, "label_many", None)
        split: list[list[tuple[Sentence, SectionKind]] | DataError] = []
        for text in texts:
            try:
                split.append(sentences_of(text))
            except DataError as error:
                split.append(error)
        if label_many is not None:
            unread = list(dict.fromkeys(_unread(split, self._read)))
            self._make_room(len(unread))
            for text, label in zip(unread, label_many(unread), strict=True):
                self._read[text] = _readings(text, label)
        return [item if isinstance(item, DataError) else self._put_together(item) for item in split]

    def _put_together(self, sentences: Iterable[tuple[Sentence, SectionKind]]) -> ReportLabel:
        known = self._read
        labelled = tuple(
            LabelledSentence(s.text, label, reason, prompt, s.start, s.end, section, findings)
            for s, section in sentences
            for label, reason, prompt, findings in known.get(s.text) or self._reading(s.text)
        )
        label = pair_label([sentence.label for sentence in labelled])
        return ReportLabel(
            label, labelled, pair_sentences(labelled, label) if self.filter_sentences else labelled
        )

    def _reading(self, text: str) -> "tuple[_Reading, ...]":
        readings = _readings(text, self.labeller(text))
        if self.remember and len(text) <= _LONGEST_REMEMBERED:
            self._make_room(1)
            self._read[text] = readings
        return readings

    def _make_room(self, wanted: int) -> None:
        if len(self._read) + wanted > self.remember:
            self._read.clear()  # rare; what comes back often is soon there again


# Label, reason, prompt and findings of a sentence, wherever it stands.
_Reading = tuple[Label, str, str, tuple[Mention, ...]]


def _readings(text: str, label: SentenceLabel) -> tuple[_Reading, ...]:
    if not label.statements:
        return ((label.label, label.reason, prompt_for(text, label), label.mentions),)
    return tuple(
        (statement.label, label.reason, statement.prompt, () if i else label.mentions)
        for i, statement in enumerate(label.statements)
    )


def _unread(
    split: Iterable[list[tuple[Sentence, SectionKind]] | DataError], known: dict[str, tuple[_Reading, ...]]
) -> Iterator[str]:
    for item in split:
        if not isinstance(item, DataError):
            for sentence, _ in item:
                if sentence.text not in known:
                    yield sentence.text


@cache
def _default(filter_sentences: bool) -> ReportLabeller:
    return ReportLabeller(filter_sentences=filter_sentences)


def label_report(
    text: str, *, filter_sentences: bool = True, labeller: SentenceLabeller | None = None
) -> ReportLabel:
    """Label a report and its sentences.

    For many reports with a labeller of your own, `ReportLabeller` remembers the sentences it has read.

    Args:
        text: The report, with or without section headers.
        filter_sentences: Keep only the sentences that agree with the label of the report; otherwise `kept`
            is all sentences.
        labeller: What labels a sentence; the rules by default.

    Returns:
        The label of the report, all sentences of its findings and impression, and the kept ones.

    Raises:
        DataError: The report is empty, or not in English.

    Example:
        >>> report = label_report("FINDINGS: No pneumothorax. Small left effusion. IMPRESSION: Effusion.")
        >>> report.label, [s.prompt for s in report.kept]
        ('abnormal', ['There is pleural effusion of left.', 'There is pleural effusion.'])
    """
    if labeller is None:
        return _default(filter_sentences)(text)
    return ReportLabeller(labeller, filter_sentences=filter_sentences, remember=0)(text)

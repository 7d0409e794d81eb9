"""What a labeller returns, and the one interface that all labellers have: rules, classifier, encoder, LLM."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from offclip.reports.lexicon import SIDES, ZONES, Detail, Group

Label = Literal["normal", "abnormal", "uncertain"]
Status = Literal["asserted", "hedged", "negated", "not_stated", "waived"]
Certainty = Literal["present", "possible", "absent", "unstated"]

_CERTAINTY: dict[Status, Certainty] = {
    "asserted": "present",
    "hedged": "possible",
    "negated": "absent",
    "not_stated": "unstated",
    "waived": "present",
}


@dataclass(frozen=True, slots=True)
class Mention:
    """A finding that a sentence names.

    Attributes:
        finding: Canonical name, such as `"pleural effusion"`.
        status: Asserted, hedged (counted as present), negated, not_stated (named in a question, a
            recommendation or a remark on technique) or waived (present, but a convention says it is normal).
        group: Group of the finding in the lexicon.
        detail: How well the finding can be named in a prompt.
        start: First character of the words in the sentence.
        end: One past the last character.
        cue: The words that gave the status, such as `"cannot exclude"`; empty where the finding is asserted.
        location: Some of side, zone and "lung", such as `"left lower lung"`; empty where none is named.
        severity: `"mild"`, `"moderate"` or `"severe"`; empty where none is named.

    Example:
        >>> from offclip.reports import label_sentence
        >>> mention = label_sentence("Possible small left effusion.").mentions[0]
        >>> mention.finding, mention.certainty, mention.side, mention.severity, mention.cue
        ('pleural effusion', 'possible', 'left', 'mild', 'possible')
    """

    finding: str
    status: Status
    group: Group
    detail: Detail
    start: int
    end: int
    cue: str = ""
    location: str = ""
    severity: str = ""

    @property
    def certainty(self) -> Certainty:
        """Whether the finding is there: present, possible, absent or unstated."""
        return _CERTAINTY[self.status]

    @property
    def side(self) -> str:
        """`"left"`, `"right"`, `"bilateral"` or empty."""
        return next((word for word in self.location.split() if word in SIDES), "")

    @property
    def zone(self) -> str:
        """`"upper"`, `"mid"`, `"lower"` or empty."""
        return next((word for word in self.location.split() if word in ZONES), "")


@dataclass(frozen=True, slots=True)
class Statement:
    """A short sentence that a labeller wrote itself, as a language model does.

    Attributes:
        prompt: `"There is <finding> of <location>."` or `"There is no <finding>."`.
        label: `"normal"`, `"abnormal"` or `"uncertain"`.
    """

    prompt: str
    label: Label


@dataclass(frozen=True, slots=True)
class SentenceLabel:
    """The label of one sentence.

    Attributes:
        label: `"normal"`, `"abnormal"` or `"uncertain"`.
        reason: Why, as `rule` or `rule:what`; see docs/labelling.md.
        mentions: The findings named, in order.
        statements: Prompts that the labeller wrote itself; empty where the prompt is made from the mentions.
    """

    label: Label
    reason: str
    mentions: tuple[Mention, ...] = ()
    statements: tuple[Statement, ...] = ()


class SentenceLabeller(Protocol):
    """What every labeller is: a function of one sentence."""

    def __call__(self, sentence: str, /) -> SentenceLabel:
        """Label one sentence."""
        ...


class BatchLabeller(SentenceLabeller, Protocol):
    """A labeller for which many sentences at a time are cheaper than one after the other."""

    def label_many(self, sentences: Sequence[str], /) -> list[SentenceLabel]:
        """Label sentences that are all different, in order."""
        ...

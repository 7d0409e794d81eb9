"""What a labeller returns, and the conventions it follows. Shared by every kind of labeller."""

from dataclasses import dataclass
from typing import Literal, Protocol

from offclip.reports.lexicon import Detail, Group

Label = Literal["normal", "abnormal", "uncertain"]
Status = Literal["asserted", "hedged", "negated", "not_stated", "waived"]


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
    """

    finding: str
    status: Status
    group: Group
    detail: Detail
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SentenceLabel:
    """The label of one sentence.

    Attributes:
        label: `"normal"`, `"abnormal"` or `"uncertain"`.
        reason: Why, as `rule` or `rule:what`; see docs/labelling.md.
        mentions: The findings named, in order.
    """

    label: Label
    reason: str
    mentions: tuple[Mention, ...] = ()


class SentenceLabeller(Protocol):
    """Anything that labels one sentence."""

    def __call__(self, sentence: str, /) -> SentenceLabel:
        """Label one sentence."""
        ...


@dataclass(frozen=True, slots=True)
class Conventions:
    """What counts as abnormal where readers differ. The defaults follow strict (MeSH-like) coding.

    Attributes:
        devices: Tubes, lines, pacemakers.
        postoperative: Clips, sternotomy, "status post".
        chronic: Benign and old change: granuloma, tortuous aorta, degenerative spine, scars.
        volumes: Low or high lung volumes.
        borderline: "Borderline enlarged".
        hedges: Findings that are possible, probable, or cannot be excluded.
        undecided: The label of a sentence in which no rule finds anything. `"abnormal"` is the
            recall-first policy: what is not recognisably normal is abnormal.

    Example:
        >>> Conventions(devices=False).devices
        False
    """

    devices: bool = True
    postoperative: bool = True
    chronic: bool = True
    volumes: bool = True
    borderline: bool = True
    hedges: bool = True
    undecided: Label = "uncertain"

    def counts(self, group: Group) -> bool:
        """Return whether findings of this group make a sentence abnormal."""
        return {
            "pathology": True,
            "device": self.devices,
            "postoperative": self.postoperative,
            "chronic": self.chronic,
            "volume": self.volumes,
            "borderline": self.borderline,
        }[group]


DEFAULT_CONVENTIONS = Conventions()

"""The conventions of labelling: what counts as abnormal where readers differ."""

from dataclasses import dataclass

from offclip.reports.labels import Label
from offclip.reports.lexicon import Group


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

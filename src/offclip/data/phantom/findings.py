"""The findings of the phantom: what they are, how often they occur, and how one is drawn by lot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Side = Literal["left", "right"]
Zone = Literal["upper", "mid", "lower"]

NORMAL_SHARE = 0.55
_COUNTS = (1, 2, 3)
_COUNT_SHARES = (0.5, 0.35, 0.15)


@dataclass(frozen=True, slots=True)
class FindingKind:
    """What is known of a kind of finding before a patient has it.

    Attributes:
        name: Lower-case name as used in prompts.
        weight: How often it is chosen, relative to the other kinds.
        left_share: Share of left-sided ones; ``None`` if the finding has no side.
        zones: Lung zones it may lie in; empty if the finding has no zone.
        mentioned_absent: How often a report that lacks the finding says so.
    """

    name: str
    weight: float
    left_share: float | None
    zones: tuple[Zone, ...]
    mentioned_absent: float


_ZONES: tuple[Zone, ...] = ("upper", "mid", "lower")

KINDS: tuple[FindingKind, ...] = (
    FindingKind("cardiomegaly", 0.16, None, (), 0.70),
    FindingKind("pleural effusion", 0.22, 0.5, (), 0.75),
    FindingKind("pneumothorax", 0.12, 0.5, (), 0.75),
    FindingKind("consolidation", 0.22, 0.5, _ZONES, 0.60),
    FindingKind("nodule", 0.14, 0.5, _ZONES, 0.15),
    FindingKind("mass", 0.10, 0.5, _ZONES, 0.10),
    FindingKind("edema", 0.14, None, (), 0.35),
    FindingKind("atelectasis", 0.18, 0.5, (), 0.05),
    FindingKind("hiatal hernia", 0.09, None, (), 0.02),
    FindingKind("pacemaker", 0.12, 0.8, (), 0.01),
)

FINDINGS: tuple[str, ...] = tuple(kind.name for kind in KINDS)
"""Names of the findings, in the order of the columns of ``labels.csv``."""

_WEIGHTS = np.array([kind.weight for kind in KINDS]) / sum(kind.weight for kind in KINDS)


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding that a study shows.

    Attributes:
        name: One of :data:`FINDINGS`.
        side: The patient's side (the patient's left is on the right of the film), where there is one.
        zone: Lung zone, where there is one.
        severity: From 0 (just visible) to 1.

    Example:
        >>> Finding("pleural effusion", "left", None, 0.2).size_word
        'small'
    """

    name: str
    side: Side | None
    zone: Zone | None
    severity: float

    @property
    def kind(self) -> FindingKind:
        """The kind of this finding."""
        return KINDS[FINDINGS.index(self.name)]

    @property
    def size_word(self) -> str:
        """``small``, ``moderate`` or ``large``."""
        return ("small", "moderate", "large")[self._third]

    @property
    def degree_word(self) -> str:
        """``mild``, ``moderate`` or ``severe``."""
        return ("mild", "moderate", "severe")[self._third]

    @property
    def _third(self) -> int:
        return min(int(self.severity * 3), 2)


def draw_findings(rng: np.random.Generator) -> tuple[Finding, ...]:
    """Draw the findings of one study: none in 55 % of the studies, else one to three.

    Example:
        >>> found = draw_findings(np.random.default_rng(3))
        >>> all(finding.name in FINDINGS for finding in found)
        True
    """
    if rng.random() < NORMAL_SHARE:
        return ()
    count = int(rng.choice(_COUNTS, p=_COUNT_SHARES))
    chosen = np.sort(rng.choice(len(KINDS), size=count, replace=False, p=_WEIGHTS))
    return tuple(_draw_one(KINDS[number], rng) for number in chosen)


def _draw_one(kind: FindingKind, rng: np.random.Generator) -> Finding:
    """Draw side, zone and severity; three draws for every kind, used or not."""
    side_lot, zone_lot, severity = rng.random(3)
    side: Side | None = None
    if kind.left_share is not None:
        side = "left" if side_lot < kind.left_share else "right"
    zone = kind.zones[int(zone_lot * len(kind.zones))] if kind.zones else None
    return Finding(kind.name, side, zone, float(severity))

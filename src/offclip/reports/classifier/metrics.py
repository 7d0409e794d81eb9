"""How well probabilities agree with labels and can be taken at their word, and the report of a fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offclip.reports.classifier.combine import Thresholds, combine
from offclip.reports.classifier.training_set import CLASSES
from offclip.reports.rules import RuleLabeller

_BINS = 10


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of predicted classes with labels.

    Attributes:
        sentences: How many were compared.
        accuracy: Share on which both agree.
        recall: For each class, the share of its sentences that were found. Classes that do not occur are left
            out.
        calibration_error: Mean distance between confidence and accuracy over ten bins of confidence, weighted
            by their sentences; 0 is perfect.
    """

    sentences: int
    accuracy: float
    recall: dict[str, float]
    calibration_error: float


@dataclass(frozen=True, slots=True)
class HandAgreement:
    """Agreement with hand labels, none of which was taught to the model that judged it.

    Attributes:
        rules: Share that the rules alone get right.
        combined: Share that rules and classifier together get right.
        classifier: The classifier alone.
    """

    rules: float
    combined: float
    classifier: Agreement


@dataclass(frozen=True, slots=True)
class FitReport:
    """What was taught, and how well it went.

    Attributes:
        sentences: Sentences of each class that were taught.
        by_hand: How many of them a person labelled.
        undecided: Sentences left out because no rule finds anything in them.
        validation: Agreement with their labels on held-out sentences; None where none was held out.
        hand: Agreement with hand labels that were not taught; None where there is none.
        steps: What training did, one entry an epoch; empty for the linear classifier.
    """

    sentences: dict[str, int]
    by_hand: int
    undecided: int
    validation: Agreement | None
    hand: HandAgreement | None = None
    steps: tuple[dict[str, float], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the report as the card holds it."""
        return dataclasses.asdict(self)


def agreement(chances: NDArray[np.floating], targets: NDArray[np.int64]) -> Agreement | None:
    """Compare probabilities with labels.

    Args:
        chances: (sentences, 3) probabilities of `CLASSES`.
        targets: (sentences,) indices into `CLASSES`.

    Returns:
        The agreement, or None where there is nothing to compare.

    Example:
        >>> found = agreement(np.array([[1.0, 0, 0], [0, 0.5, 0.5]]), np.array([0, 2]))
        >>> found.accuracy, found.calibration_error
        (0.5, 0.25)
    """
    if not len(targets):
        return None
    right = chances.argmax(axis=1) == targets
    recall = {
        name: rounded(right[targets == i].mean()) for i, name in enumerate(CLASSES) if (targets == i).any()
    }
    confidence = chances.max(axis=1)
    bins = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    gaps = [
        abs(confidence[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    ]
    return Agreement(len(targets), rounded(right.mean()), recall, rounded(sum(gaps)))


def hand_agreement(
    sentences: Sequence[str],
    chances: NDArray[np.floating],
    targets: NDArray[np.int64],
    rules: RuleLabeller,
    thresholds: Thresholds,
) -> HandAgreement | None:
    """Compare rules, classifier and both together with labels by hand.

    Args:
        sentences: What a person labelled.
        chances: (sentences, 3) probabilities by a model that was not taught them.
        targets: (sentences,) what the person said.
        rules: What decides first.
        thresholds: From when on the classifier is believed.
    """
    alone = agreement(chances, targets)
    if alone is None:
        return None
    by_rule = [rules(sentence) for sentence in sentences]
    undecided = rules.conventions.undecided
    both = [combine(rule, row, thresholds, undecided) for rule, row in zip(by_rule, chances, strict=True)]
    shares = [
        np.mean([label.label == CLASSES[target] for label, target in zip(labels, targets, strict=True)])
        for labels in (by_rule, both)
    ]
    return HandAgreement(rounded(shares[0]), rounded(shares[1]), alone)


def rounded(value: float | np.floating) -> float:
    """Round to four places, so that a card does not change with the last bit of a library's sum."""
    return round(float(value), 4)

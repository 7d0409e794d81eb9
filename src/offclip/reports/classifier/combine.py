"""Rules first, the classifier where they find nothing: how two opinions become one label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from offclip.errors import ConfigError
from offclip.reports.classifier.training_set import CLASSES, UNDECIDED, sentence_key
from offclip.reports.labels import Label, SentenceLabel
from offclip.reports.rules import RuleLabeller

_NORMAL, _ABNORMAL = CLASSES.index("normal"), CLASSES.index("abnormal")


class ProbabilityModel(Protocol):
    """What a trained model is: sentences in, probabilities of `CLASSES` out."""

    def probabilities(self, sentences: Sequence[str], /) -> NDArray[np.float32]:
        """Return (sentences, 3) probabilities, rows summing to 1."""
        ...


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which probability on the classifier is believed; docs/classifier.md has the measurements.

    Attributes:
        abnormal_from: An undecided sentence is abnormal from this probability of "abnormal" on.
        normal_from: It is normal from this probability of "normal" on.
        recall_first_from: In place of `abnormal_from` under the recall-first policy.
        non_finding_from: As `abnormal_from`, for what the rules know to state no finding (technique,
            comparison, recommendation); above 1 is never.
        veto_from: A decision of the rules is turned round from this probability of the opposite on.

    Raises:
        ConfigError: A threshold is not above 0.5, or for `recall_first_from` not above 0.

    Example:
        >>> Thresholds().abnormal_from
        0.8
    """

    abnormal_from: float = 0.8
    normal_from: float = 0.95
    recall_first_from: float = 0.3
    non_finding_from: float = 2.0
    veto_from: float = 2.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0.0 if field.name == "recall_first_from" else 0.5
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not least < value < float("inf"):
                raise ConfigError(
                    f"{field.name} is {value!r}.",
                    f"Give a probability above {least:g}; anything above 1 means never.",
                )


def combine(
    rule: SentenceLabel, chances: NDArray[np.floating], thresholds: Thresholds, undecided: Label
) -> SentenceLabel:
    """Combine what the rules and a classifier say of one sentence.

    Args:
        rule: The label by rule.
        chances: (3,) probabilities of `CLASSES`.
        thresholds: From when on the classifier is believed.
        undecided: The convention for undecided sentences; `"abnormal"` is the recall-first policy.

    Returns:
        The rules' label unchanged, or their mentions with a label of reason `classifier:<probability>`.

    Example:
        >>> rule, chances = SentenceLabel("uncertain", "undecided"), np.array([0.01, 0.02, 0.97])
        >>> combine(rule, chances, Thresholds(), "uncertain").reason
        'classifier:0.97'
    """
    normal, abnormal = float(chances[_NORMAL]), float(chances[_ABNORMAL])
    if rule.reason == UNDECIDED:
        recall_first = undecided == "abnormal"
        if abnormal >= (thresholds.recall_first_from if recall_first else thresholds.abnormal_from):
            return _changed(rule, "abnormal", abnormal)
        if normal >= thresholds.normal_from:
            return _changed(rule, "normal", normal)
        # Recall-first calls it abnormal "unless the classifier says otherwise", as it does here.
        return _changed(rule, "uncertain", abnormal) if recall_first else rule
    if rule.label == "uncertain":
        return _changed(rule, "abnormal", abnormal) if abnormal >= thresholds.non_finding_from else rule
    if rule.label == "normal" and abnormal >= thresholds.veto_from:
        return _changed(rule, "abnormal", abnormal)
    if rule.label == "abnormal" and normal >= thresholds.veto_from:
        return _changed(rule, "normal", normal)
    return rule


def _changed(rule: SentenceLabel, label: Label, chance: float) -> SentenceLabel:
    return replace(rule, label=label, reason=f"classifier:{chance:.2f}")


class ClassifierLabeller:
    """The rules, and a trained model for what they leave undecided.

    Args:
        model: Gives the probabilities: a linear classifier or an encoder.
        rules: What decides first.
        thresholds: From when on the model is believed.
        corrections: Labels by hand, by `sentence_key`; they win over everything.

    Example:
        >>> class Sure:
        ...     def probabilities(self, sentences):
        ...         return np.tile(np.float32([0, 0, 1]), (len(sentences), 1))
        >>> labeller = ClassifierLabeller(Sure(), RuleLabeller())
        >>> [label.reason for label in labeller.label_many(["The thymus juts out.", "No effusion."])]
        ['classifier:1.00', 'negated:pleural effusion']
    """

    def __init__(
        self,
        model: ProbabilityModel,
        rules: RuleLabeller,
        thresholds: Thresholds | None = None,
        corrections: Mapping[str, Label] | None = None,
    ) -> None:
        self.model = model
        self.rules = rules
        self.thresholds = thresholds or Thresholds()
        self.corrections = dict(corrections or {})

    def __call__(self, sentence: str, /) -> SentenceLabel:
        """Label one sentence."""
        return self.label_many([sentence])[0]

    def label_many(self, sentences: Sequence[str], /) -> list[SentenceLabel]:
        """Label sentences, in order; only those that the model can change are given to it."""
        labels = [self.rules(sentence) for sentence in sentences]
        asked = [i for i, label in enumerate(labels) if self._asks(label)]
        if asked:
            chances = self.model.probabilities([sentences[i] for i in asked])
            undecided = self.rules.conventions.undecided
            for i, row in zip(asked, chances, strict=True):
                labels[i] = combine(labels[i], row, self.thresholds, undecided)
        if self.corrections:
            for i, sentence in enumerate(sentences):
                label = self.corrections.get(sentence_key(sentence))
                if label is not None and label != labels[i].label:
                    labels[i] = replace(labels[i], label=label, reason="classifier:hand")
        return labels

    def _asks(self, label: SentenceLabel) -> bool:
        if label.reason == UNDECIDED:
            return True
        limit = self.thresholds
        return (limit.non_finding_from if label.label == "uncertain" else limit.veto_from) <= 1

"""From sentences to a training set: labels by rule, corrected by hand, near-duplicates kept together.

A sentence in which no rule finds anything is left out, not taught as "uncertain": it is what the classifier
is for, and teaching it would teach the gaps of the lexicon.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offclip.errors import DataError
from offclip.reports.classifier.features import near_duplicate_key, normalise
from offclip.reports.labels import BatchLabeller, Label, SentenceLabel, SentenceLabeller

# The order of probabilities everywhere. "uncertain" is taught by technique, comparison, recommendation.
CLASSES: tuple[Label, ...] = ("normal", "uncertain", "abnormal")
UNDECIDED = "undecided"
_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class HandLabel:
    """A sentence that a person labelled.

    Attributes:
        sentence: The text.
        label: `"normal"`, `"abnormal"` or `"uncertain"`.
        where: File and row, for messages.
    """

    sentence: str
    label: Label
    where: str = ""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Sentences with what they teach.

    Attributes:
        sentences: All different, sorted, so that the order of the reports does not matter.
        targets: (sentences,) indices into `CLASSES`.
        weights: (sentences,) how much each counts.
        by_hand: (sentences,) whether a person labelled it.
        groups: What near-duplicates share.
        undecided: How many sentences were left out because no rule found anything in them.
    """

    sentences: tuple[str, ...]
    targets: NDArray[np.int64]
    weights: NDArray[np.float64]
    by_hand: NDArray[np.bool_]
    groups: tuple[str, ...]
    undecided: int

    def subset(self, keep: NDArray[np.bool_]) -> TrainingSet:
        """Return the sentences at which `keep` is true."""
        chosen = np.flatnonzero(keep)
        return TrainingSet(
            tuple(self.sentences[i] for i in chosen),
            self.targets[keep],
            self.weights[keep],
            self.by_hand[keep],
            tuple(self.groups[i] for i in chosen),
            self.undecided,
        )

    def counts(self) -> dict[str, int]:
        """Return the number of sentences of each class."""
        return {name: int((self.targets == i).sum()) for i, name in enumerate(CLASSES)}


def sentence_key(sentence: str) -> str:
    """Return a short hash that is the same for sentences that read the same.

    Example:
        >>> sentence_key("No effusion.") == sentence_key("NO  EFFUSION.")
        True
    """
    return _digest(normalise(sentence))[:16]


def share_of(group: str, seed: int) -> float:
    """Return a number from 0 up to 1 that depends on the group and the seed alone.

    Example:
        >>> share_of("small effusion", 0) == share_of("small effusion", 0) != share_of("small effusion", 1)
        True
    """
    return int(_digest(f"{seed}:{group}")[:12], 16) % _BUCKETS / _BUCKETS


def label_all(labeller: SentenceLabeller, sentences: Sequence[str]) -> list[SentenceLabel]:
    """Label sentences that are all different, at once where the labeller can."""
    many = getattr(labeller, "label_many", None)
    return many(sentences) if many else [labeller(sentence) for sentence in sentences]


def check_hand_labels(labels: Iterable[HandLabel]) -> dict[str, HandLabel]:
    """Return hand labels by `sentence_key`.

    Raises:
        DataError: A label is unknown, a sentence is empty, or two rows contradict each other.
    """
    found: dict[str, HandLabel] = {}
    for hand in labels:
        if hand.label not in CLASSES:
            raise DataError(
                f"{hand.where}: unknown label {hand.label!r}.", f"Known labels: {', '.join(CLASSES)}."
            )
        if not hand.sentence.strip():
            raise DataError(f"{hand.where}: there is no sentence.", "Fill it or leave the row out.")
        known = found.setdefault(sentence_key(hand.sentence), hand)
        if known.label != hand.label:
            raise DataError(
                f"{hand.where}: the sentence is {hand.label}, but {known.label} at {known.where}.",
                "Decide for one of them.",
            )
    return found


def make_training_set(
    sentences: Iterable[str],
    labeller: SentenceLabeller | BatchLabeller,
    hand: Iterable[HandLabel] = (),
    hand_weight: float = 5.0,
    limit: int = 100_000,
    seed: int = 0,
) -> TrainingSet:
    """Label sentences by rule and by hand.

    Args:
        sentences: Any sentences; those that read the same count once.
        labeller: The rules.
        hand: Labels by a person, which win over the rules.
        hand_weight: How many sentences labelled by rule one labelled by hand is worth.
        limit: At most so many sentences that nobody labelled, drawn by their hash and the seed.
        seed: For the draw.

    Returns:
        The training set.

    Raises:
        DataError: There is no sentence, only one class, or the hand labels are faulty.

    Example:
        >>> from offclip.reports import RuleLabeller
        >>> data = make_training_set(["No mass.", "A mass.", "The thymus juts out."], RuleLabeller())
        >>> data.sentences, data.undecided
        (('A mass.', 'No mass.'), 1)
    """
    by_hand = check_hand_labels(hand)
    unique: dict[str, str] = {}
    for sentence in sentences:
        if sentence.strip():
            key = sentence_key(sentence)
            if key not in by_hand and (key not in unique or sentence < unique[key]):
                unique[key] = sentence
    if not unique and not by_hand:
        raise DataError("There is no sentence to learn from.", "Check the text column of the reports.")
    drawn = sorted(unique, key=lambda key: (share_of(key, seed), key))[:limit]
    texts = sorted(unique[key] for key in drawn)
    rows: list[tuple[str, int, bool]] = []
    undecided = 0
    for text, label in zip(texts, label_all(labeller, texts), strict=True):
        if label.reason == UNDECIDED:
            undecided += 1
        else:
            rows.append((text, CLASSES.index(label.label), False))
    rows += [(item.sentence, CLASSES.index(item.label), True) for item in by_hand.values()]
    rows.sort()
    data = TrainingSet(
        tuple(row[0] for row in rows),
        np.array([row[1] for row in rows], np.int64),
        np.array([hand_weight if row[2] else 1.0 for row in rows]),
        np.array([row[2] for row in rows], bool),
        tuple(near_duplicate_key(row[0]) for row in rows),
        undecided,
    )
    check_classes(data)
    return data


def check_classes(data: TrainingSet) -> None:
    """Refuse a training set without normal or without abnormal sentences.

    Raises:
        DataError: There is only one class.
    """
    counts = data.counts()
    missing = [name for name in ("normal", "abnormal") if not counts[name]]
    if missing:
        found = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise DataError(
            f"No sentence to learn from is {missing[0]} ({found}; {data.undecided} undecided).",
            "Give more reports, or label some sentences by hand (--labels).",
        )


def split_validation(data: TrainingSet, share: float, seed: int) -> NDArray[np.bool_]:
    """Choose the sentences that are held out; near-duplicates are on the same side.

    Args:
        data: What is split.
        share: How much is held out, about.
        seed: Another seed, other sentences.

    Returns:
        (sentences,) true where held out; all false where a side would lack normal or abnormal sentences.
    """
    held = np.array([share_of(group, seed) < share for group in data.groups], bool)
    needed = {CLASSES.index("normal"), CLASSES.index("abnormal")}
    enough = all(needed <= set(data.targets[side].tolist()) for side in (held, ~held))
    return held if enough else np.zeros_like(held)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()

"""Seeding: one random stream per purpose, and who is whose study.

Every random choice of the phantom comes from ``stream(seed, number, purpose)``. Purposes never share a
stream, so that a new wording cannot move a rib, and studies never share a stream, so that the number of
studies, of worker processes, or the order of the calls cannot change a picture.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum

import numpy as np

FOLLOW_UP_RATE = 0.2
DEFAULT_FRACTIONS = (0.7, 0.1, 0.2)
SPLITS = ("train", "validate", "test")


class Purpose(IntEnum):
    """What a stream is for. The numbers are part of the phantom's definition: never renumber."""

    ANATOMY = 1
    VESSELS = 2
    FINDINGS = 3
    POSE = 4
    EXPOSURE = 5
    EXTRAS = 6
    LESION = 7
    TEXTURE = 8
    GRAIN = 9
    REPORT = 10


def stream(seed: int, number: int, purpose: Purpose, part: int = 0) -> np.random.Generator:
    """The random stream for one purpose of one study or patient.

    Args:
        seed: Seed of the whole phantom.
        number: Index of the study, or the number of the patient for what belongs to the patient.
        purpose: What the stream is for.
        part: A further division, such as the number of the finding that is drawn.

    Example:
        >>> a, b = (stream(0, 5, Purpose.POSE).random() for _ in range(2))
        >>> a == b, a == stream(0, 5, Purpose.REPORT).random()
        (True, False)
    """
    return np.random.default_rng([seed, number, int(purpose), part])


def patient_number(seed: int, index: int) -> int:
    """Number of the patient of a study: the index of the patient's first study.

    A study continues the patient of the study before it with probability 0.2, so that a fifth of the
    patients have more than one study.

    Example:
        >>> numbers = [patient_number(0, index) for index in range(1000)]
        >>> all(number <= index for index, number in enumerate(numbers))
        True
        >>> 700 < len(set(numbers)) < 900
        True
    """
    first = index
    while first > 0 and _hash_fraction("follow-up", seed, first) < FOLLOW_UP_RATE:
        first -= 1
    return first


def split_of(seed: int, patient: int, fractions: tuple[float, float, float] = DEFAULT_FRACTIONS) -> str:
    """The split of a patient: ``train``, ``validate`` or ``test``, from a hash of seed and patient.

    Example:
        >>> split_of(0, 17, (1.0, 0.0, 0.0))
        'train'
    """
    position = _hash_fraction("split", seed, patient)
    if position < fractions[0]:
        return SPLITS[0]
    if position < fractions[0] + fractions[1] or fractions[2] == 0:
        return SPLITS[1] if fractions[1] > 0 else SPLITS[0]
    return SPLITS[2]


def _hash_fraction(word: str, seed: int, number: int) -> float:
    digest = hashlib.blake2b(f"{word}:{seed}:{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64

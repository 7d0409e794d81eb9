"""Patient-level splits that never change when patients are added."""

from __future__ import annotations

import hashlib

from offclip.data.study import SPLITS


def split_of(patient_id: str, fractions: tuple[float, float, float] = (0.7, 0.1, 0.2), seed: int = 0) -> str:
    """The split of a patient, from a hash of the id alone.

    Args:
        patient_id: All studies of the patient get the same split.
        fractions: Shares of train, validate and test.
        seed: Another seed gives another split.

    Example:
        >>> split_of("P00017") == split_of("P00017")
        True
    """
    digest = hashlib.sha256(f"{seed}:{patient_id}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64 * sum(fractions)
    for split, fraction in zip(SPLITS, fractions, strict=True):
        if position < fraction:
            return split
        position -= fraction
    return SPLITS[-1]

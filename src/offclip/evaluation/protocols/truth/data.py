"""What a protocol measures on: images on disk, and what is true of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from offclip.data.files import Skipped
from offclip.data.stream import ImageRef
from offclip.grounding.pointing import Box


@dataclass(frozen=True, slots=True)
class ProtocolData:
    """The images of a protocol.

    Attributes:
        images: N that are on disk, after exclusions.
        study_ids, patient_ids: N each.
        splits: N times `"test"` or `"validate"`. Validation images come from the publisher's validation or
            training part, never from the test part, and share no patient with it.
        truth: (N, C) 1, 0 or NaN in the order of `protocol.classes`, the normal class included.
        normal: (N,) 1, 0 or NaN; the column of the normal class where there is one, else what the set says.
        attributes: From `"view"`, `"age"` (years), `"sex"` to N values, None where unknown; a name is missing
            where the set does not say it of any image.
        boxes: From image id to its boxes, in original pixels; findings are names of classes.
        skipped: What was left out, and why.
        fingerprint: Hash of ids, splits, truth and boxes, the same on every machine.
        notes: What the user should know about the reading as a whole.
    """

    images: tuple[ImageRef, ...]
    study_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    splits: tuple[str, ...]
    truth: np.ndarray
    normal: np.ndarray
    attributes: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    boxes: Mapping[str, list[Box]] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    fingerprint: str = ""
    notes: tuple[str, ...] = ()


def fingerprint_of(
    class_names: Sequence[str],
    rows: Sequence[tuple[str, str, str, str]],
    truth: np.ndarray,
    normal: np.ndarray,
    boxes: Mapping[str, Sequence[Box]],
) -> str:
    """The SHA-256 of what is true of some images, whatever their order and wherever they lie.

    Args:
        class_names: C names.
        rows: N times image, study, patient and split.
        truth: (N, C).
        normal: (N,).
        boxes: By image id.
    """
    digest = hashlib.sha256(f"{tuple(class_names)!r}\n".encode())
    values = np.column_stack((normal, truth))
    codes = np.where(np.isnan(values), ord("-"), np.where(values == 1, ord("1"), ord("0"))).astype(np.uint8)
    for place in sorted(range(len(rows)), key=lambda i: rows[i]):
        drawn = sorted((b.finding, b.x, b.y, b.width, b.height) for b in boxes.get(rows[place][0], ()))
        # repr sets values apart: two texts never look like one with a separator in it.
        digest.update(f"{rows[place]!r} {codes[place].tobytes().decode()} {drawn!r}\n".encode())
    return digest.hexdigest()

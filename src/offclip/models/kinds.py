"""What a model folder may hold: for each architecture, how its card becomes a model again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

from offclip.errors import OffclipError
from offclip.images.preprocess import Preprocess
from offclip.models.adapters.adapted import AdaptedClip, AdaptedConfig
from offclip.models.adapters.families import family, library_versions
from offclip.models.adapters.last_block import LOCAL
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
    """The name under which the architecture of a model stands in its card; empty for none of ours."""
    return next((name for name, kind in KINDS.items() if isinstance(model, kind.model)), "")


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


def _adapted_config(card: Card) -> AdaptedConfig:
    """The configuration, which is JSON from outside; what the family makes of its two parts is its own."""
    config = AdaptedConfig(**card["config"])
    wrong = [
        name
        for name, right in {
            "embed_dim": isinstance(config.embed_dim, int) and config.embed_dim > 0,
            "image": isinstance(config.image, Mapping),
            "text": isinstance(config.text, Mapping),
            "source": isinstance(config.source, str),
            "local": config.local in LOCAL,
            "max_logit_scale": isinstance(config.max_logit_scale, int | float) and config.max_logit_scale > 0,
        }.items()
        if not right
    ]
    if wrong or not isinstance(card["max_tokens"], int) or card["max_tokens"] < 1:
        raise ValueError(f"config: {', '.join(wrong) or 'max_tokens'}")
    return config


def _adapted(card: Card, tokenizer: str | None) -> AdaptedClip:
    if tokenizer is None:
        raise KeyError("tokenizer.json")
    config = _adapted_config(card)
    own = family(config.family)
    preprocess = Preprocess(**card["preprocess"])
    try:
        # These libraries keep tables outside of the weights: they must be made, and not promised on "meta".
        with torch.device("cpu"):
            towers = own.build(config)
            tokens = own.tokenizer(tokenizer, card["max_tokens"])
            model = AdaptedClip(config, *towers, preprocess, tokens, log_scale=0.0)
    except OffclipError:
        raise
    except Exception as error:  # what a library says to a damaged configuration can be anything
        raise ValueError(f"{config.family}: {type(error).__name__}: {error}") from error
    model.licence, model.untrained = str(card.get("licence", "")), str(card.get("untrained", ""))
    return model


def _of_adapted(model: AdaptedClip) -> dict[str, Any]:
    untrained = {"untrained": model.untrained} if model.untrained else {}
    return untrained | {"libraries": library_versions(model.config.family)}


def _text_preset(model: CarZero) -> dict[str, Any]:
    tokenizer = model.tokenizer
    return {"text_preset": str(tokenizer.preset)} if isinstance(tokenizer, CarZeroTokenizer) else {}


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "dual-encoder": Kind(DualEncoder, _dual_encoder),
        "carzero": Kind(CarZero, _carzero, _text_preset),
        "adapted": Kind(AdaptedClip, _adapted, _of_adapted),
    }
)

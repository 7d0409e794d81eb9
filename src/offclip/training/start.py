"""Where a run starts: an architecture that is built anew, or weights that are there already."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from offclip.errors import ConfigError
from offclip.images.preprocess import Preprocess
from offclip.models.adapters.families import LoadOptions
from offclip.models.checkpoint import NO_LICENCE, read_card
from offclip.models.dual_encoder import DualEncoderConfig
from offclip.models.identity import state_hash
from offclip.models.interface import ClipModel
from offclip.models.kinds import kind_of
from offclip.models.names import load_by_name, read_name
from offclip.models.registry import ARCHITECTURES, architecture, build_model
from offclip.models.tokenizer import TextTokenizer
from offclip.training.config import TrainConfig


@dataclass(frozen=True, slots=True)
class Start:
    """A starting point, known before the data are read, because it says how they are read.

    Attributes:
        preprocess: How the model wants its pixels.
        geometry: The architecture, None for loaded weights.
        loaded: The model, None for an architecture.
        fingerprint: Of the weights that were loaded and of how their pixels are made; empty for an
            architecture, whose weights follow from the seed.
        licence: Of the weights that were loaded.
    """

    preprocess: Preprocess
    geometry: DualEncoderConfig | None = None
    loaded: ClipModel | None = None
    fingerprint: str = ""
    licence: str = NO_LICENCE

    def model(self, texts: Sequence[str]) -> ClipModel:
        """The model at the beginning; an architecture learns its tokenizer from the training texts."""
        if self.loaded is not None:
            return self.loaded
        return build_model(self.geometry or DualEncoderConfig(), TextTokenizer.fit(texts))

    def resolve(self, config: TrainConfig) -> TrainConfig:
        """The recipe with what it left to the model."""
        return dataclasses.replace(config, image_size=self.preprocess.size, learning_rate=config.peak_rate)

    def described(self, name: str) -> dict[str, Any]:
        """What the card of the trained model says about where it started."""
        return {"started_from": {"model": name, "sha256": self.fingerprint}} if self.loaded else {}


def starting_point(config: TrainConfig) -> Start:
    """Finds or loads what a recipe names.

    What is random in a loaded model, such as the projections of two towers that never met, is a function of
    the seed.

    Raises:
        ConfigError: The name means nothing, or the model cannot take `image_size` or cannot be saved.
        CheckpointError: The weights cannot be read or trusted.
    """
    if config.model in ARCHITECTURES:
        geometry = architecture(config.model, config.image_size)
        return Start(Preprocess(size=geometry.image_size), geometry)
    torch.manual_seed(config.seed)
    model = load_by_name(config.model, LoadOptions(image_size=config.image_size))
    if not kind_of(model):
        raise ConfigError(
            f"{config.model}: a {type(model).__name__} can be scored with, but not saved as a model folder.",
            "Train it with the loss of offclip.losses in a loop of your own.",
        )
    if config.image_size not in (None, model.preprocess.size):
        raise ConfigError(
            f"{config.model} takes {model.preprocess.size} px, and image_size is {config.image_size}.",
            "Leave image_size out.",
        )
    folder = read_name(config.model).folder
    licence = read_card(folder).get("licence") if folder else model.licence
    return Start(model.preprocess, None, model, _fingerprint(model), licence or NO_LICENCE)


def _fingerprint(model: ClipModel) -> str:
    pixels = json.dumps(dataclasses.asdict(model.preprocess), sort_keys=True)
    return hashlib.sha256(f"{state_hash(model)} {pixels}".encode()).hexdigest()

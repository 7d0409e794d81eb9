"""Architectures by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from offclip.errors import ConfigError
from offclip.models.dual_encoder import DualEncoder, DualEncoderConfig
from offclip.models.tokenizer import TextTokenizer

ARCHITECTURES: Mapping[str, DualEncoderConfig] = MappingProxyType(
    {
        "compact-small": DualEncoderConfig(image_width=16),  # what the demo trains, for speed
        "compact": DualEncoderConfig(),
        "compact-cross-attention": DualEncoderConfig(head="cross-attention"),
        "compact-large": DualEncoderConfig(image_width=32, text_width=256, embed_dim=256),
    }
)


def architecture(name: str, image_size: int | None = None) -> DualEncoderConfig:
    """The geometry of a named architecture, at another input size if given.

    Raises:
        ConfigError: The name is unknown.

    Example:
        >>> architecture("compact", image_size=128).image_size
        128
    """
    if name not in ARCHITECTURES:
        raise ConfigError(f"Unknown model {name!r}.", f"Known: {', '.join(ARCHITECTURES)}.")
    config = ARCHITECTURES[name]
    return config if image_size is None else dataclasses.replace(config, image_size=image_size)


def build_model(config: DualEncoderConfig, tokenizer: TextTokenizer) -> DualEncoder:
    """A model with fresh random weights."""
    return DualEncoder(config, tokenizer)

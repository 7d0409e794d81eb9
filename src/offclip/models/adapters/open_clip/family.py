"""The family `open_clip`: from a name to a model, and from what a folder stores to its towers."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch

from offclip.errors import CheckpointError, ConfigError
from offclip.models.adapters.adapted import AdaptedClip, AdaptedConfig
from offclip.models.adapters.families import Family, LoadOptions
from offclip.models.adapters.hub import licence_of, read_weights
from offclip.models.adapters.library import library
from offclip.models.adapters.open_clip.architecture import (
    adapted_config,
    build_clip,
    cannot_take,
    resize,
    text_encoder,
)
from offclip.models.adapters.open_clip.image_tower import (
    ModifiedResNetTower,
    OpenClipImageTower,
    VisionTransformerTower,
)
from offclip.models.adapters.open_clip.names import CONFIG, resolve
from offclip.models.adapters.open_clip.text_tower import (
    OpenClipTextTower,
    check_vocabulary,
    text_tower,
)
from offclip.models.adapters.open_clip.timm_tower import TimmMapTower, TimmTokenTower, has_tokens
from offclip.models.adapters.open_clip.tokenizer import from_json, tokenizer_of
from offclip.models.adapters.open_clip.weights import load_weights
from offclip.models.adapters.pixels import from_open_clip
from offclip.models.heads import MAX_LOGIT_SCALE
from offclip.models.interface import Tokenizer

# A sigmoid loss has no limit of the scale; training shall not run into one that only we know.
_ROOM = 10.0


def load(name: str, options: LoadOptions = LoadOptions()) -> AdaptedClip:
    """Loads a model of open_clip in evaluation mode.

    Args:
        name: What stands behind `open_clip:`, see `names.resolve`.
        options: How.

    Raises:
        ConfigError: The name means nothing, a library is missing, or the model cannot take the image size.
        CheckpointError: Weights, tokenizer or description cannot be had, read or trusted.
    """
    source = resolve(name, options.allow_pickle)
    text = source.model["text_cfg"]
    tokenizer = tokenizer_of(text, source.folder, source.place)
    encoder = text_encoder(text, source.folder)
    config = adapted_config(
        f"open_clip:{name}", source.model, options.local, options.image_size, encoder, tokenizer.pad_id
    )
    clip = build_clip(config)
    log_scale, bias = load_weights(
        clip,
        read_weights(source.weights, options.allow_pickle),
        source.weights,
        sigmoid=source.model.get("init_logit_bias") is not None,
        decoder="multimodal_cfg" in source.model,
        resized=options.image_size is not None,
    )
    resize(clip, config)
    scale = float(torch.tensor(log_scale).exp())  # in float32, as the head takes it
    limit = max(MAX_LOGIT_SCALE, scale if bias is None else _ROOM * scale)
    config = dataclasses.replace(config, max_logit_scale=limit)
    pixels = _pixels(source.pixels, clip.visual)
    towers = _towers(clip, config)
    check_vocabulary(towers[1], tokenizer.vocabulary_size, source.place)
    _try(config, *towers, tokenizer, side=pixels["size"], chosen=options.image_size is not None)
    preprocess = from_open_clip(pixels, f"{source.place}: preprocess_cfg")
    model = AdaptedClip(config, *towers, preprocess, tokenizer, log_scale, bias or 0.0)
    model.licence = licence_of(source.folder) if (source.folder / CONFIG).is_file() else ""
    return model.eval()


def build(config: AdaptedConfig) -> tuple[OpenClipImageTower, OpenClipTextTower]:
    """The towers of a stored configuration, with random weights."""
    clip = build_clip(config)
    resize(clip, config)
    return _towers(clip, config)


def _towers(clip: Any, config: AdaptedConfig) -> tuple[OpenClipImageTower, OpenClipTextTower]:
    visual, transformer = clip.visual, library("open_clip.transformer", "openclip").VisionTransformer
    if isinstance(visual, transformer):
        kind = VisionTransformerTower
    elif hasattr(visual, "attnpool"):
        kind = ModifiedResNetTower
    else:
        kind = TimmTokenTower if has_tokens(visual) else TimmMapTower
    image = kind(visual, config.local)
    if len(image.blocks) < 2:
        raise ConfigError(
            f"{config.source}: an image tower of {len(image.blocks)} layers.", "It needs two, to have cells."
        )
    return image, text_tower(clip.text, config.text["pad_id"])


def _pixels(said: Any, visual: Any) -> dict[str, Any]:
    """open_clip's own merged description of the pixels."""
    transform = library("open_clip.transform", "openclip")
    merged = transform.merge_preprocess_dict(transform.PreprocessCfg(), dict(said))
    side = visual.image_size
    return merged | {"size": side if isinstance(side, int) else side[0]}


def _try(
    config: AdaptedConfig,
    image: OpenClipImageTower,
    text: OpenClipTextTower,
    tokenizer: Tokenizer,
    *,
    side: int,
    chosen: bool,
) -> None:
    """Runs both towers once, with images of that size and a text of full length: do they return vectors?"""
    image.eval()
    text.eval()
    expected = (1, config.embed_dim)
    longest = tokenizer(["film " * tokenizer.max_tokens])
    try:
        with torch.no_grad():  # not inference mode: some towers keep tables of their first run
            features, found = image(torch.zeros(1, 3, side, side)), text(*longest).pooled
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError) as error:
        if chosen:
            raise cannot_take(config.source, side, error) from error
        problem = f"{type(error).__name__}: {error}"
    else:
        shapes = tuple(features.pooled.shape), tuple(found.shape)
        if shapes == (expected, expected) and features.local.shape[1] == math.prod(features.grid):
            return
        problem = f"they return {shapes[0]} and {shapes[1]}"
    raise CheckpointError(
        f"{config.source}: no CLIP: its towers do not return {expected} for an image and a text, and cells "
        f"on a grid ({problem}).",
        "Use a model that pools: pool_type may not be 'none'.",
    )


FAMILY = Family(load=load, build=build, tokenizer=from_json)

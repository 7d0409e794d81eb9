"""Models of transformers by name: `hf:org/name`, `hf:org/name@revision`, `hf:FOLDER`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from offclip.errors import CheckpointError, ConfigError
from offclip.images.preprocess import Preprocess
from offclip.models.adapters.adapted import AdaptedClip, AdaptedConfig
from offclip.models.adapters.families import Family, LoadOptions
from offclip.models.adapters.hub import fetch, licence_of, read_json, where_from
from offclip.models.adapters.hugging_face.architectures import ARCHITECTURES, TEXT, VISION
from offclip.models.adapters.hugging_face.image_tower import HfImageTower
from offclip.models.adapters.hugging_face.pretrained import (
    build_model,
    complete_config,
    load_weights,
    read_config,
)
from offclip.models.adapters.hugging_face.text_tower import HfTextTower, Padding
from offclip.models.adapters.hugging_face.tokenizer import HfTokenizer, load_tokenizer
from offclip.models.adapters.pixels import from_hugging_face

_PROCESSORS = ("preprocessor_config.json", "processor_config.json")


def load(name: str, options: LoadOptions) -> AdaptedClip:
    """Loads a model in evaluation mode.

    Args:
        name: A folder, or an id on the Hugging Face hub, `org/name` or `org/name@revision`.
        options: How.

    Raises:
        CheckpointError: It is not there, not whole, not a CLIP, or not to be trusted.
        ConfigError: transformers is missing, or the model cannot take the size of the images.
    """
    folder = fetch(name, allow_pickle=options.allow_pickle)
    config = complete_config(read_config(folder), folder / "config.json")
    kind = ARCHITECTURES[config["model_type"]]
    preprocess = _preprocess(folder, config["vision_config"], options.image_size)
    tokenizer = _tokenizer(folder, config["text_config"], kind.fixed_length)
    model = load_weights(folder, config, options.allow_pickle)
    if options.image_size is not None:
        _check_resizable(model.vision_model, preprocess.size, config["vision_config"])
    log_scale = float(model.logit_scale.detach())
    adapted = AdaptedConfig(
        family="hf",
        source=f"hf:{name}",
        embed_dim=_embed_dim(model, config),
        image={
            "config": {key: value for key, value in config.items() if key != "text_config"},
            "size": preprocess.size,
        },
        text={
            "config": config["text_config"],
            "padding": _padding(tokenizer) if kind.fixed_length else None,
            "masked": tokenizer.masked,
        },
        local=options.local,
        max_logit_scale=max(kind.max_logit_scale, float(model.logit_scale.detach().exp())),
    )
    bias = getattr(model, "logit_bias", None)
    clip = AdaptedClip(
        adapted,
        *_towers(adapted, model),
        preprocess,
        tokenizer,
        log_scale=log_scale,
        bias=0.0 if bias is None else float(bias.detach()),
    )
    clip.licence = licence_of(folder)
    return clip.eval()


def build(config: AdaptedConfig) -> tuple[HfImageTower, HfTextTower]:
    """The towers of a stored configuration, with random weights."""
    return _towers(config, build_model({**config.image["config"], "text_config": config.text["config"]}))


def _towers(config: AdaptedConfig, model: Any) -> tuple[HfImageTower, HfTextTower]:
    whole, text, padding = config.image["config"], config.text["config"], config.text["padding"]
    vision, size = whole["vision_config"], config.image["size"]
    return (
        HfImageTower(
            model.vision_model,
            getattr(model, "visual_projection", nn.Identity()),
            VISION[vision["model_type"]],
            image_size=size,
            local=config.local,
            resized=size != vision["image_size"],
        ),
        HfTextTower(
            model.text_model,
            getattr(model, "text_projection", nn.Identity()),
            TEXT[text["model_type"]].head,
            first_token=ARCHITECTURES[whole["model_type"]].first_token,
            padding=None if padding is None else Padding(**padding),
            masked=config.text["masked"],
        ),
    )


def _embed_dim(model: Any, config: Mapping[str, Any]) -> int:
    if hasattr(model, "visual_projection"):
        return model.visual_projection.out_features
    wide, vision = config["text_config"]["projection_size"], config["vision_config"]
    if wide != vision["hidden_size"] or not vision.get("vision_use_head", True):
        raise CheckpointError(
            f"Images of {vision['hidden_size']} numbers, texts of {wide}: the two cannot be compared.",
            "This is one half of a model; take the whole checkpoint.",
        )
    return wide


def _preprocess(folder: Path, vision: Mapping[str, Any], size: int | None) -> Preprocess:
    file = next((folder / name for name in _PROCESSORS if (folder / name).is_file()), None)
    if file is None:
        raise CheckpointError(
            f"{folder}: does not say how images are prepared; looked for {' and '.join(_PROCESSORS)}.",
            where_from(folder),
        )
    preprocess, own = from_hugging_face(read_json(file), str(file)), vision["image_size"]
    if not isinstance(own, int) or not isinstance(vision["patch_size"], int) or vision["num_channels"] != 3:
        raise CheckpointError(
            f"{folder}: takes images of {own} pixels, patches of {vision['patch_size']}, "
            f"{vision['num_channels']} channels.",
            "Supported are square images and patches with three channels.",
        )
    if preprocess.size != own:
        raise CheckpointError(
            f"{file}: makes images of {preprocess.size} pixels, and the model takes {own}.",
            "Download both files again.",
        )
    if size is None or size == own:
        return preprocess
    if size < 1 or size % vision["patch_size"]:
        raise ConfigError(
            f"Images of {size} pixels: the patches of {folder} are {vision['patch_size']} pixels wide.",
            f"Give its own {own}, or a multiple of {vision['patch_size']}.",
        )
    resized = None if preprocess.resized is None else round(preprocess.resized * size / own)
    return dataclasses.replace(preprocess, size=size, resized=resized)


def _check_resizable(vision_model: nn.Module, size: int, vision: Mapping[str, Any]) -> None:
    own = vision["image_size"]
    if size != own and "interpolate_pos_encoding" not in inspect.signature(vision_model.forward).parameters:
        raise ConfigError(
            f"Images of {size} pixels: an image tower of type {vision['model_type']!r} has one size only.",
            f"Leave the size out, or give {own}.",
        )


def _tokenizer(folder: Path, text: Mapping[str, Any], fixed_length: bool) -> HfTokenizer:
    """The tokenizer, once it is known to fit the text tower."""
    layout, pad = TEXT[text["model_type"]], text.get("pad_token_id") or 0
    positions = text["max_position_embeddings"] - (pad + 1 if layout.offset else 0)
    tokenizer = load_tokenizer(folder, positions, fixed_length=fixed_length)
    highest = max(tokenizer.backend.get_vocab(with_added_tokens=True).values())
    ids, pads = tokenizer(["There is no finding."])[0], tokenizer.padding["pad_id"]
    why = ""
    if highest >= text["vocab_size"]:
        why = f"has ids up to {highest}, the text tower knows {text['vocab_size']}"
    elif layout.offset and pads != pad:
        why = f"pads with {pads}, and the positions of the text tower count from the padding id {pad} on"
    elif layout.eos and not _ends(ids, text):
        why = f"does not end a text with the id {text['eos_token_id']}, where the text tower reads its vector"
    if why:
        raise CheckpointError(
            f"{folder}: the tokenizer is not of this model: it {why}.", "Download the whole folder again."
        )
    return tokenizer


def _ends(ids: Any, text: Mapping[str, Any]) -> bool:
    """Whether the text tower finds the end of a text; where CLIP is told 2, it takes the highest id."""
    legacy = text["model_type"] == "clip_text_model" and text["eos_token_id"] == 2
    return legacy or bool((ids == text["eos_token_id"]).any())


def _padding(tokenizer: HfTokenizer) -> dict[str, Any]:
    said = tokenizer.padding
    return {"length": said["length"], "id": said["pad_id"], "side": said["direction"]}


FAMILY = Family(load=load, build=build, tokenizer=HfTokenizer.from_json)

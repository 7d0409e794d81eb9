"""The two towers of open_clip, built from what a model folder stores of them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offclip.errors import CheckpointError, ConfigError
from offclip.models.adapters.adapted import AdaptedConfig
from offclip.models.adapters.hub import fetch, read_json
from offclip.models.adapters.library import library

# Of a text encoder's configuration: programs to fetch, which nothing here shall run.
_PROGRAMS = ("auto_map", "attn_implementation", "_attn_implementation", "quantization_config")
_IGNORED = ("custom_text", "multimodal_cfg")  # towers are always apart; CoCa's decoder is not built
_SCALES = ("init_logit_scale", "init_logit_bias", "nonscalar_logit_scale")  # they come with the weights


def adapted_config(
    source: str,
    model: Mapping[str, Any],
    local: str,
    size: int | None,
    encoder: Mapping[str, Any] | None,
    pad_id: int,
) -> AdaptedConfig:
    """What is stored of an architecture.

    Args:
        source: The name that the model was loaded by.
        model: open_clip's description.
        local: How cells are read off the last block.
        size: Side of the input, if it is to be another one than the architecture's own.
        encoder: Configuration of the Hugging Face text encoder, if it has one.
        pad_id: Of the tokenizer.

    Raises:
        ConfigError: The images are not square, or it cannot take the size.
        CheckpointError: It asks for the hub when it is built.
    """
    vision, text = dict(model["vision_cfg"]), dict(model["text_cfg"])
    vision["patch_dropout"] = 0.0  # all cells are wanted
    vision["timm_model_pretrained"] = text["hf_model_pretrained"] = False
    if ":" in str(vision.get("timm_model_name")):
        raise CheckpointError(
            f"{source}: its image tower is {vision['timm_model_name']}, which is read from elsewhere.",
            "Name an architecture of timm in timm_model_name.",
        )
    own = _side(source, vision.get("image_size", 224))
    if size is not None and size != own:
        vision["image_size"] = _possible(source, vision, own, size)
    options = {
        key: value for key, value in model.items() if key not in ("vision_cfg", "text_cfg", "embed_dim")
    }
    options = {key: value for key, value in options.items() if key not in (*_IGNORED, *_SCALES)}
    resized = size if vision.get("timm_model_name") and size != own else None
    return AdaptedConfig(
        family="open_clip",
        source=source,
        embed_dim=model["embed_dim"],
        image={"vision_cfg": vision, "options": options, "resized": resized},
        text={"text_cfg": text, "encoder": encoder and dict(encoder), "pad_id": pad_id},
        local=local,
    )


def build_clip(config: AdaptedConfig) -> Any:
    """open_clip's model of two towers, with random weights, at the size of the architecture.

    Raises:
        CheckpointError: This open_clip, timm or transformers cannot build it.
    """
    open_clip = library("open_clip", "openclip")
    text = dict(config.text["text_cfg"])
    with tempfile.TemporaryDirectory() as folder:
        if config.text["encoder"] is not None:  # open_clip takes it from a folder or the hub only
            (Path(folder) / "config.json").write_text(json.dumps(config.text["encoder"]), encoding="utf-8")
            text["hf_model_name"] = folder
        try:
            return open_clip.CustomTextCLIP(
                embed_dim=config.embed_dim,
                vision_cfg=dict(config.image["vision_cfg"]),
                text_cfg=text,
                **config.image["options"],
            )
        except (ArithmeticError, AssertionError, AttributeError, LookupError) as error:
            raise _not_built(config, error) from error
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            raise _not_built(config, error) from error


def resize(clip: Any, config: AdaptedConfig) -> None:
    """Fits an image tower of timm to another size, with its weights; open_clip's own are built at it.

    Raises:
        ConfigError: It cannot take that size.
    """
    size = config.image["resized"]
    if size is None:
        return
    try:
        clip.visual.set_input_size(size)
    except (ArithmeticError, AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise cannot_take(config.source, size, error) from error


def cannot_take(source: str, size: int, why: object) -> ConfigError:
    """The error for a size of images that a model has no use for."""
    return ConfigError(
        f"{source} cannot take images of {size} x {size} pixels ({str(why).strip() or 'no reason given'}).",
        "Leave the image size out to take the model's own.",
    )


def text_encoder(text: Mapping[str, Any], folder: Path) -> dict[str, Any] | None:
    """Configuration of the Hugging Face text encoder that an architecture names; None if it has its own.

    It is looked for beside the weights first, then where its name leads to: a folder, or the hub.

    Raises:
        CheckpointError: It is not to be had.
        ConfigError: open_clip has no such text tower.
    """
    name = text.get("hf_model_name")
    if not name:
        return None
    beside = folder / "config.json"
    found = read_json(beside) if beside.is_file() else {}
    if "model_type" not in found:  # none, or one that timm wrote about the image tower
        try:
            found = read_json(fetch(str(name), weights=False) / "config.json")
        except CheckpointError as error:
            raise CheckpointError(
                f"{beside}: the configuration of the text encoder is not here. {error.message}",
                f"{error.remedy} Or put the config.json of {name} beside the weights.",
            ) from error
    known = library("open_clip.hf_configs", "openclip").arch_dict
    if found.get("model_type") not in known:
        raise ConfigError(
            f"{name}: open_clip has no text tower of the kind {found.get('model_type')!r}.",
            f"It has: {', '.join(known)}.",
        )
    return {key: value for key, value in found.items() if key not in _PROGRAMS}


def _side(source: str, size: Any) -> int:
    sides = list(size) if isinstance(size, list | tuple) else [size]
    if len(set(sides)) != 1:
        raise ConfigError(
            f"{source} takes images of {' x '.join(map(str, sides))} pixels.",
            "Choose a model for square images.",
        )
    return sides[0]


def _possible(source: str, vision: Mapping[str, Any], own: int, size: int) -> int:
    """The size, as far as that is known before anything is built; models of timm are made at their own."""
    if size < 1:
        raise cannot_take(source, size, "a size is 1 or more")
    if vision.get("timm_model_name"):
        return own
    if isinstance(vision.get("layers", 12), list | tuple):
        raise cannot_take(source, size, f"its attention pooling was trained for {own}")
    patch = _side(source, vision.get("patch_size", 16))
    if size % patch:
        raise cannot_take(source, size, f"no multiple of its patches of {patch}")
    return size


def _not_built(config: AdaptedConfig, error: Exception) -> CheckpointError:
    version = library("open_clip", "openclip").__version__
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return CheckpointError(
        f"{config.source}: open_clip {version} cannot build it ({reason}).",
        "Check its open_clip_config.json, or install the open_clip that it was made with.",
    )

"""From a name to a model of timm with its weights and preprocessing."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from offclip.errors import CheckpointError, ConfigError
from offclip.images.preprocess import Preprocess
from offclip.models.adapters.hub import fetch, read_json, read_weights, weight_files
from offclip.models.adapters.library import library
from offclip.models.adapters.pixels import from_timm
from offclip.models.adapters.timm.image_tower import Shape, look_at, make_trunk
from offclip.models.adapters.timm.names import ImageName

SAFE = ("model.safetensors", "open_clip_model.safetensors")
PICKLES = ("pytorch_model.bin", "pytorch_model.pth", "model.pth", "open_clip_pytorch_model.bin")
# What a configuration says about the weights and the pixels they expect, and nothing about where they are.
_OF_WEIGHTS = (
    "input_size",
    "fixed_input_size",
    "interpolation",
    "crop_pct",
    "crop_mode",
    "mean",
    "std",
    "num_classes",
    "first_conv",
    "classifier",
    "license",
)
SMALLEST = 32


@dataclass(frozen=True, slots=True)
class ImageSource:
    """An image tower that was read.

    Attributes:
        trunk: Without its classifier, in evaluation mode.
        architecture, arguments: What makes it again.
        shape: What it returns.
        preprocess: Its own.
        licence: Of the weights, as timm says; empty where it says nothing.
    """

    trunk: nn.Module
    architecture: str
    arguments: Mapping[str, Any]
    shape: Shape
    preprocess: Preprocess
    licence: str


@dataclass(frozen=True, slots=True)
class _Found:
    architecture: str
    config: Mapping[str, Any]
    arguments: Mapping[str, Any]
    weights: Path | None


def read_image(name: ImageName, image_size: int | None, allow_pickle: bool) -> ImageSource:
    """Reads a model of timm.

    Raises:
        CheckpointError: Files are missing, damaged, or not of this model.
        ConfigError: timm does not know it, it cannot take the size, or it has no features on a grid.
    """
    found = _find(name, allow_pickle)
    channels, height, width = found.config["input_size"]
    if channels not in (1, 3):
        raise ConfigError(
            f"{found.architecture}: takes {channels} channels.", "Films give one, or three equal."
        )
    if image_size is None and height != width:
        raise ConfigError(
            f"{found.architecture}: takes {height} x {width} pixels.",
            "Give an image size: the input is square.",
        )
    size = height if image_size is None else image_size
    arguments: dict[str, Any] = {**found.arguments, "in_chans": channels}
    arguments.pop("num_classes", None)
    if found.config.get("fixed_input_size"):
        arguments["img_size"] = size
    elif size != height and (size < SMALLEST or size % SMALLEST):
        raise ConfigError(f"image_size is {size}.", f"{found.architecture} takes multiples of {SMALLEST}.")
    trunk = make_trunk(found.architecture, arguments)
    shape = look_at(trunk, channels, size)
    if found.weights is not None:
        _load(trunk, found, arguments, read_weights(found.weights, allow_pickle))
    preprocess = from_timm({**found.config, "input_size": (channels, size, size)})
    licence = str(found.config.get("license") or "")
    return ImageSource(trunk, found.architecture, arguments, shape, preprocess, licence)


def _find(name: ImageName, allow_pickle: bool) -> _Found:
    if name.folder:
        folder = fetch(name.folder, allow_pickle=allow_pickle)
        content = read_json(folder / "config.json")
        if "architecture" not in content:
            raise CheckpointError(
                f"{folder / 'config.json'}: names no architecture of timm.",
                "Give a folder that timm saved, or another name: hf:, open_clip:.",
            )
        architecture = _known(str(content["architecture"]))
        own = content.get("pretrained_cfg", content)
        config = _of_weights(architecture, own if isinstance(own, dict) else {})
        weights = weight_files(folder, SAFE, PICKLES, allow_pickle)[0]
        return _Found(architecture, config, content.get("model_args") or {}, weights)
    if name.architecture:
        architecture = _known(name.architecture)
        return _Found(architecture.partition(".")[0], _of_weights(architecture, {}), {}, name.file)
    architecture = _known(name.tag)
    config = library("timm", "timm").get_pretrained_cfg(architecture)
    if config is None or not config.hf_hub_id:
        raise ConfigError(
            f"timm publishes no weights of {name.tag} on the hub.",
            f"Give a file, {name.tag}@FILE, or train from random weights, {name.tag}@random.",
        )
    folder = fetch(config.hf_hub_id, allow_pickle=allow_pickle)
    weights = weight_files(folder, SAFE, PICKLES, allow_pickle)[0]
    return _Found(architecture.partition(".")[0], _of_weights(architecture, {}), {}, weights)


def _known(name: str) -> str:
    """The name, once it is known that timm has it; the tag is looked at as well.

    Raises:
        ConfigError: timm has no such model.
    """
    timm = library("timm", "timm")
    architecture, _, tag = name.partition(".")
    known = timm.list_pretrained(f"{architecture}.*") if timm.is_model(architecture) else timm.list_models()
    if timm.is_model(architecture) and (not tag or name in known):
        return name
    close = difflib.get_close_matches(name, known, 3, 0.5)
    raise ConfigError(
        f"timm {timm.__version__} has no model {name!r}.",
        f"Did you mean {', '.join(close)}?" if close else "timm.list_models() lists them.",
    )


def _of_weights(name: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the weights: what stands beside them, else what timm says about the name."""
    given = library("timm", "timm").get_pretrained_cfg(name)
    config = {**(given.to_dict() if given else {}), **{k: v for k, v in own.items() if v is not None}}
    config = {key: config[key] for key in _OF_WEIGHTS if key in config}
    return {"input_size": (3, 224, 224), "num_classes": 0, **config}


def _load(trunk: nn.Module, found: _Found, arguments: Mapping[str, Any], state: dict[str, Tensor]) -> None:
    """Loads weights as timm does, which renames old ones and resizes the positions of a transformer.

    timm looks at every name only if the classifier is there as well, so the model is made once more with it.
    """
    timm = library("timm", "timm")
    classifier = found.config.get("classifier")
    first = classifier if isinstance(classifier, str) or not classifier else classifier[0]
    head = state.get(f"{first}.weight")
    reasons = []
    for classes in dict.fromkeys((0 if head is None else len(head), int(found.config["num_classes"]))):
        overlay = {k: v for k, v in found.config.items() if k in ("input_size", "first_conv", "classifier")}
        overlay |= {"state_dict": dict(state), "num_classes": classes, "label_offset": 0}
        try:
            whole = timm.create_model(
                found.architecture,
                pretrained=True,
                pretrained_cfg_overlay=overlay,
                num_classes=classes,
                **arguments,
            ).state_dict()
            trunk.load_state_dict({name: whole[name] for name in trunk.state_dict()})
        except (RuntimeError, KeyError, AttributeError, TypeError, ValueError) as error:
            reasons.append(" ".join(str(error).split())[:200])
        else:
            return
    raise CheckpointError(
        f"{found.weights}: not the weights of timm's {found.architecture} ({reasons[0]}).",
        "Give the architecture that they belong to.",
    )

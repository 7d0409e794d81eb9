"""`open_clip:...`: which architecture, which weights and which pixels a name means."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offclip.errors import CheckpointError, ConfigError
from offclip.models.adapters.hub import HOW_TO_CONSENT, fetch, read_json, weight_files
from offclip.models.adapters.library import library

logger = logging.getLogger(__name__)

CONFIG = "open_clip_config.json"
HUB, FOLDER, JSON = "hf-hub:", "local-dir:", ".json"
SAFE = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
PICKLES = ("open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth")
_NEEDED = {"embed_dim": int, "vision_cfg": Mapping, "text_cfg": Mapping}
_FORMS = "ARCHITECTURE@FILE, ARCHITECTURE@TAG, hf-hub:org/name, or a folder with " + CONFIG


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model comes from.

    Attributes:
        place: What a message calls it.
        model: open_clip's description of the architecture.
        pixels: What is said about the pixels beside open_clip's own defaults.
        weights: The file with the weights.
    """

    place: str
    model: Mapping[str, Any]
    pixels: Mapping[str, Any]
    weights: Path

    @property
    def folder(self) -> Path:
        """Where the tokenizer may be, beside the weights."""
        return self.weights.parent


def resolve(name: str, allow_pickle: bool = False) -> Source:
    """Finds what a name means; downloads from the hub what is missing, if that may be.

    Args:
        name: What stands behind `open_clip:`.
        allow_pickle: Weights may be a pickle file.

    Raises:
        ConfigError: The architecture or the tag is unknown, or weights are not named.
        CheckpointError: There is no such folder or file, or it is incomplete or no CLIP.
    """
    if name.startswith(HUB):
        return _from_hub(name.removeprefix(HUB), allow_pickle)
    path = Path(name.removeprefix(FOLDER)).expanduser()
    if path.is_dir():
        return _from_folder(path, allow_pickle)
    architecture, at, weights = _split(name)
    if name.startswith(FOLDER) or (not at and _is_path(name) and not name.endswith(JSON)):
        raise CheckpointError(f"open_clip:{name}: no such folder.", f"Known forms: {_FORMS}.")
    model = _architecture(architecture)
    if not weights:
        raise ConfigError(f"open_clip:{name}: names no weights.", _how_to_name(architecture))
    return _with_weights(architecture, model, weights, allow_pickle)


def _split(name: str) -> tuple[str, str, str]:
    """Architecture, "@", weights; the path of an architecture's file may hold an "@" itself."""
    file, json, weights = name.partition(JSON + "@")
    return (file + JSON, "@", weights) if json else name.partition("@")


def _architecture(name: str) -> Mapping[str, Any]:
    if name.endswith(JSON):
        file = Path(name).expanduser()
        return _checked(read_json(file), file)
    open_clip = library("open_clip", "openclip")
    found = open_clip.get_model_config(name.replace("/", "-"))  # ViT-B/16, as the paper wrote it
    if found is None:
        known = open_clip.list_models()
        lower = {model.lower(): model for model in known}
        near = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
        closest = f"Closest: {', '.join(lower[model] for model in near)}. " if near else ""
        hub = f"On the hub: open_clip:{HUB}{name}. " if name.count("/") == 1 else ""
        raise ConfigError(
            f"open_clip knows no architecture {name!r}.",
            f"{closest}{hub}All {len(known)}: python -c 'import open_clip; print(open_clip.list_models())'.",
        )
    return found


def _with_weights(name: str, model: Mapping[str, Any], weights: str, allow_pickle: bool) -> Source:
    path = Path(weights).expanduser()
    place = f"open_clip:{name}@{weights}"
    if path.is_file():
        _warn_of_other_pixels(name, place)
        return Source(place, model, {}, path)
    if path.is_dir():
        said = read_json(path / CONFIG) if (path / CONFIG).is_file() else {}
        return Source(place, model, _pixels(said, path), _weights_in(path, allow_pickle))
    tag = library("open_clip", "openclip").get_pretrained_cfg(name.replace("/", "-"), weights)
    if not tag:
        if _is_path(weights):
            raise CheckpointError(f"{path}: no such file.", "Check the path.")
        raise ConfigError(
            f"open_clip:{name}@{weights}: {weights!r} is no file, and no tag of this architecture.",
            _how_to_name(name),
        )
    hub_id, file = os.path.split(tag.get("hf_hub", ""))
    if not hub_id:
        raise CheckpointError(
            f"{place}: these weights are not on the hub, only at {tag.get('url') or 'a place of their own'}.",
            f"Download that file, and load it as open_clip:{name}@FILE.",
        )
    if tag.get("quick_gelu") and not model.get("quick_gelu"):
        logger.info("%s: trained with QuickGELU, and so it is built, though %s says nothing.", place, name)
        model = {**model, "quick_gelu": True}
    names = ((Path(file).stem + ".safetensors",), (file,)) if file else (SAFE, PICKLES)
    return Source(place, model, tag, _weights_of_hub(hub_id, allow_pickle, *names))


def _from_hub(hub_id: str, allow_pickle: bool) -> Source:
    weights = _weights_of_hub(hub_id, allow_pickle, SAFE, PICKLES)
    return Source(f"open_clip:{HUB}{hub_id}", *_described(weights.parent), weights)


def _from_folder(folder: Path, allow_pickle: bool) -> Source:
    if not (folder / CONFIG).is_file():
        for other, scheme in (("card.json", "offclip"), ("config.json", "hf")):
            if (folder / other).is_file():
                raise CheckpointError(
                    f"{folder}: no folder of open_clip ({CONFIG} is missing).",
                    f"It holds {other}; try {scheme}:{folder}.",
                )
    model, pixels = _described(folder)  # before the weights: a folder without it is of another kind
    return Source(f"open_clip:{folder}", model, pixels, _weights_in(folder, allow_pickle))


def _described(folder: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Architecture and pixels."""
    said = read_json(folder / CONFIG)
    return _checked(said, folder / CONFIG), _pixels(said, folder)


def _pixels(said: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    pixels = said.get("preprocess_cfg") or {}
    if not isinstance(pixels, Mapping):
        raise CheckpointError(f"{folder / CONFIG}: preprocess_cfg is no object.", "Download it again.")
    return pixels


def _weights_of_hub(hub_id: str, allow_pickle: bool, safe: tuple[str, ...], pickles: tuple[str, ...]) -> Path:
    folder = fetch(hub_id, allow_pickle=allow_pickle)
    if not allow_pickle and not any((folder / name).is_file() for name in (*safe, *pickles)):
        raise CheckpointError(
            f"{hub_id}: no {' or '.join(safe)}; weights that are a pickle are not fetched without consent.",
            HOW_TO_CONSENT,
        )
    return weight_files(folder, safe, pickles, allow_pickle)[0]  # none of the names lists several


def _weights_in(folder: Path, allow_pickle: bool) -> Path:
    if not any((folder / name).is_file() for name in (*SAFE, *PICKLES)):
        files = sorted(folder.glob("*.safetensors"))
        if len(files) == 1:
            return files[0]
    return weight_files(folder, SAFE, PICKLES, allow_pickle)[0]


def _checked(said: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    model = said.get("model_cfg", said)
    wrong = [
        key
        for key, kind in _NEEDED.items()
        if not isinstance(model, Mapping) or not isinstance(model.get(key), kind)
    ]
    if wrong:
        raise CheckpointError(
            f"{file}: describes no CLIP of open_clip ({', '.join(wrong)} missing or of another kind).",
            "It must say embed_dim, vision_cfg and text_cfg, as open_clip writes it.",
        )
    return model


def _how_to_name(architecture: str) -> str:
    tags = library("open_clip", "openclip").list_pretrained_tags_by_model(architecture.replace("/", "-"))
    shown = f"{', '.join(tags[:6])}{' and more' if len(tags) > 6 else ''}" if tags else "it has none"
    return f"Write open_clip:{architecture}@FILE, or @ and a tag of open_clip ({shown})."


def _warn_of_other_pixels(name: str, place: str) -> None:
    """For a file open_clip takes the pixels of CLIP, whatever its own tags were trained with."""
    open_clip = library("open_clip", "openclip")
    known = name.replace("/", "-")
    own = [open_clip.get_pretrained_cfg(known, tag) for tag in open_clip.list_pretrained_tags_by_model(known)]
    if own and all(tuple(tag["mean"]) != tuple(open_clip.OPENAI_DATASET_MEAN) for tag in own):
        logger.warning(
            "%s: pixels are normalised as CLIP's, as open_clip does for a file; published weights of %s "
            "were not. A folder with %s can say how.",
            place,
            name,
            CONFIG,
        )


def _is_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or bool(
        Path(text).suffix in (".pt", ".pth", ".bin", ".safetensors")
    )

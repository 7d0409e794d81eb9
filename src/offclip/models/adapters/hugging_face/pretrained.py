"""A CLIP of transformers, read from a folder: its configuration, its weights."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from offclip.errors import CheckpointError
from offclip.models.adapters.hub import first_line, read_json, read_weights, weight_files, where_from
from offclip.models.adapters.hugging_face.architectures import ARCHITECTURES, TEXT, VISION
from offclip.models.adapters.hugging_face.quiet import quiet
from offclip.models.adapters.library import library

SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")

# Says nothing about the model: how it was stored, by whom, and for what.
_LEFT_OUT = frozenset(
    {"dtype", "torch_dtype", "transformers_version", "_name_or_path", "_commit_hash", "architectures"}
    | {"id2label", "label2id", "_attn_implementation", "attn_implementation"}
)
_OPEN_CLIP = "open_clip_config.json"
_NAFLEX = (
    "The fixed-size checkpoints of SigLIP 2 work, whose config.json says siglip and SiglipModel, such as "
    "google/siglip2-base-patch16-224."
)


def read_config(folder: Path) -> dict[str, Any]:
    """What `config.json` says, once it is known to describe a CLIP that can be built.

    Raises:
        CheckpointError: It is missing, describes something else, or asks for a program of its own.
    """
    file = folder / "config.json"
    if not file.is_file() and (folder / _OPEN_CLIP).is_file():
        raise CheckpointError(
            f"{folder}: a model of open_clip ({_OPEN_CLIP}).", f"Load it as open_clip:{folder}."
        )
    if not file.is_file():
        raise CheckpointError(f"{file}: missing.", where_from(folder))
    config = read_json(file)
    kind = config.get("model_type")
    parts = {part: config.get(f"{part}_config") or {} for part in ("vision", "text")}
    if any("auto_map" in part for part in (config, *parts.values()) if isinstance(part, dict)):
        raise CheckpointError(
            f"{file}: the model is a program of its own (auto_map), which is not run.",
            "Take a checkpoint of a class that transformers itself has.",
        )
    if kind == "siglip2":
        raise CheckpointError(
            f"{file}: SigLIP 2 with images of any shape (NaFlex), which the square images here cannot be.",
            _NAFLEX,
        )
    if kind not in ARCHITECTURES:
        raise CheckpointError(
            f"{file}: holds a model of type {kind!r}, which does not compare images with texts.",
            f"Taken are: {', '.join(ARCHITECTURES)}. Two single towers are joined by timm:NAME+hf:NAME.",
        )
    if "quantization_config" in config:
        raise CheckpointError(f"{file}: the weights are quantised.", "Take the checkpoint in full precision.")
    return config


def complete_config(config: Mapping[str, Any], where: Path) -> dict[str, Any]:
    """The configuration with all that transformers adds to it, as plain JSON.

    Raises:
        CheckpointError: It makes no model.
    """
    try:
        with quiet():
            made = _config(_stripped(config))
        full = _stripped(json.loads(made.to_json_string(use_diff=False)))
        for part, known in (("vision", VISION), ("text", TEXT)):
            kind = getattr(made, f"{part}_config").model_type
            full[f"{part}_config"]["model_type"] = kind  # older versions leave it out
            if kind not in known:
                raise CheckpointError(
                    f"{where}: its {part} tower is of type {kind!r}.", f"Taken are: {', '.join(known)}."
                )
    except CheckpointError:
        raise
    except Exception as error:  # the library raises all kinds
        raise CheckpointError(
            f"{where}: describes no model ({first_line(error)}).", "Download it again."
        ) from error
    return full


def build_model(config: Mapping[str, Any]) -> Any:
    """The model of a complete configuration with random weights.

    Raises:
        CheckpointError: The configuration makes no model.
    """
    transformers = library("transformers", "hf")
    try:
        with quiet():
            return transformers.AutoModel.from_config(_config(config)).float()
    except Exception as error:  # the library raises all kinds
        raise CheckpointError(
            f"The configuration of a {config.get('model_type')!r} makes no model ({first_line(error)}).",
            "Copy the folder again.",
        ) from error


def load_weights(folder: Path, config: Mapping[str, Any], allow_pickle: bool) -> Any:
    """The model of a complete configuration with the weights of a folder, in float32.

    The library renames what was stored by its older versions; after that every tensor has to fit.

    Raises:
        CheckpointError: Weights are missing, damaged, a pickle without consent, or of another model.
    """
    files = weight_files(folder, SAFE, PICKLES, allow_pickle)
    state = {name: tensor for file in files for name, tensor in read_weights(file, allow_pickle).items()}
    kind = getattr(library("transformers", "hf"), ARCHITECTURES[config["model_type"]].name)
    try:
        with quiet():
            model, found = kind.from_pretrained(
                None,
                config=_config(config),
                state_dict=state,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                dtype=torch.float32,
            )
    except Exception as error:  # the library raises all kinds
        raise CheckpointError(
            f"{folder}: its weights do not make the model of config.json ({first_line(error)}).",
            "Download both again.",
        ) from error
    for what in ("missing", "unexpected", "mismatched"):
        names = sorted(name if isinstance(name, str) else name[0] for name in found[f"{what}_keys"])
        if names:
            raise CheckpointError(
                f"{folder}: {len(names)} tensors are {what} in {files[0].name}, such as {names[0]}.",
                "config.json and the weights are not of the same model; download both again.",
            )
    return model.eval()


def _config(config: Mapping[str, Any]) -> Any:
    fields = copy.deepcopy(dict(config))  # some of the classes take out of it what they have read
    return library("transformers", "hf").AutoConfig.for_model(fields.pop("model_type"), **fields)


def _stripped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _stripped(part) for key, part in value.items() if key not in _LEFT_OUT}
    return value

"""From a model of another library to a folder of ours, which needs neither its hub nor its files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from offclip.errors import ConfigError
from offclip.models.adapters.adapted import AdaptedClip
from offclip.models.adapters.families import LoadOptions
from offclip.models.checkpoint import save_model
from offclip.models.identity import UNKNOWN_LICENCE, state_hash
from offclip.models.interface import ClipModel
from offclip.models.names import load_by_name, read_name


@dataclasses.dataclass(frozen=True, slots=True)
class Converted:
    """What was converted.

    Attributes:
        model: As it was loaded.
        card: Of the folder.
    """

    model: ClipModel
    card: dict[str, Any]


def convert_by_name(name: str, folder: str | Path, options: LoadOptions = LoadOptions()) -> Converted:
    """Loads a model by its name and saves it as safetensors, with its tokenizer and its preprocessing.

    Args:
        name: Of a model of another library, see `offclip.load`.
        folder: The model folder to write.
        options: How it is loaded; a pickle is read only where they allow it.

    Raises:
        ConfigError: The name means nothing or is a folder of ours, or a library is missing.
        CheckpointError: The model cannot be loaded, or the folder not written.
    """
    if read_name(name).folder is not None:
        raise ConfigError(f"{name} is a folder of offclip: there is nothing to convert.", "Copy the folder.")
    model = load_by_name(name, options)
    source = {
        "name": name,
        "loaded": model.config.source if isinstance(model, AdaptedClip) else name,
        "tensors_sha256": state_hash(model),
        "pickle_allowed": options.allow_pickle,
    }
    return Converted(
        model, save_model(model, folder, licence=model.licence or UNKNOWN_LICENCE, source=source)
    )

"""From a published checkpoint to a model folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from offclip.errors import CheckpointError, ConfigError
from offclip.models.carzero.archive import MOST_BYTES, plain_items, read_archive
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.state import check_state, config_of, own_state
from offclip.models.carzero.text import TextPreset
from offclip.models.carzero.tokenizer import CarZeroTokenizer
from offclip.models.checkpoint import save_model

NAMES = ("carzero", "offclip")
_LICENCE = "that of the published weights; see where they were published"
# Where the tensors stand in the file, and whose layout that is.
_LAYOUTS = {"state_dict": "carzero", "model_state_dict": "offclip"}


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was converted.

    Attributes:
        folder: The model folder.
        name: Whose weights they are, as far as the file or the caller says.
        layout: Where the tensors stood: `state_dict`, `model_state_dict`, or `tensors` at the top.
        sha256: Of the file.
        dtypes: Types of the tensors in the file; the model folder holds float32.
        tensors: How many were in the file.
        unused: How many of them the model never reads, and a second name of the same tensor.
        vocabulary_size: Rows of the word embedding.
        has_tokenizer: Whether the model takes text.
    """

    folder: Path
    name: str
    layout: str
    sha256: str
    dtypes: tuple[str, ...]
    tensors: int
    unused: int
    vocabulary_size: int
    has_tokenizer: bool


def convert_checkpoint(
    checkpoint: str | Path,
    folder: str | Path,
    tokenizer: str | Path | None = None,
    *,
    name: str | None = None,
    preset: TextPreset = TextPreset.CARZERO,
    config: CarZeroConfig | None = None,
    most_bytes: int = MOST_BYTES,
) -> Conversion:
    """Converts published weights of CARZero or OFF-CLIP.

    Nothing that stands in the file is executed, and nothing is guessed: a tensor that is missing, unknown or
    of another shape is an error.

    Args:
        checkpoint: A file of `torch.save`, or safetensors.
        folder: The model folder to write.
        tokenizer: A folder, file or Hugging Face hub id; without one the model takes ids, but no text.
        name: `carzero` or `offclip`; by default as the layout of the file says.
        preset: How prompts are cleaned.
        config: The geometry; the published one, with the vocabulary of the file, by default.
        most_bytes: A larger file is refused.

    Returns:
        What was found.

    Raises:
        CheckpointError: The file cannot be read safely or is not of the model, the tokenizer does not fit it,
            or the folder cannot be written.
        ConfigError: The name is unknown.
    """
    if name is not None and name not in NAMES:
        raise ConfigError(f"Unknown name {name!r}.", f"Choose one of: {', '.join(NAMES)}.")
    checkpoint = Path(checkpoint)
    layout, found = tensors_of(read_archive(checkpoint, most_bytes), checkpoint)
    own = own_state(found)
    config = config or config_of(own)
    with torch.device("meta"):
        model = CarZero(config)
    check_state(model.state_dict(), own)
    if tokenizer is not None:
        model.tokenizer = _tokenizer(tokenizer, config, preset)
    model.load_state_dict({key: tensor.detach().float() for key, tensor in own.items()}, assign=True)
    dtypes = tuple(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in own.values()}))
    with checkpoint.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    conversion = Conversion(
        folder=Path(folder),
        name=name or _LAYOUTS.get(layout, "unknown"),
        layout=layout,
        sha256=digest,
        dtypes=dtypes,
        tensors=len(found),
        unused=len(found) - len(own),
        vocabulary_size=config.vocabulary_size,
        has_tokenizer=tokenizer is not None,
    )
    source = {
        "name": conversion.name,
        "file": checkpoint.name,
        "sha256": digest,
        "layout": layout,
        "tensors": conversion.tensors,
        "unused_tensors": conversion.unused,
        "dtypes": list(dtypes),
    }
    save_model(model, folder, licence=_LICENCE, source=source)
    return conversion


def tensors_of(content: Mapping[str, Any], path: Path) -> tuple[str, dict[str, Tensor]]:
    """The tensors of a loaded checkpoint, and where they stood.

    Raises:
        CheckpointError: There are none where they should be.

    Example:
        >>> tensors_of({"epoch": 3, "model_state_dict": {"a": torch.zeros(2)}}, Path("x.pt"))
        ('model_state_dict', {'a': tensor([0., 0.])})
    """
    places = [place for place in _LAYOUTS if isinstance(content.get(place), dict)]
    if len(places) > 1:
        raise CheckpointError(
            f"{path}: holds both {' and '.join(places)}.", "Keep the one that is meant, and save it again."
        )
    if places:
        return places[0], plain_items(content[places[0]])
    if content and all(isinstance(value, Tensor) for value in content.values()):
        return "tensors", dict(content)
    shown = ", ".join(name[:40] for name in list(content)[:8]) or "nothing"
    raise CheckpointError(
        f"{path}: neither {' nor '.join(_LAYOUTS)} is in it, but {shown}.",
        "Use the published file of CARZero or OFF-CLIP.",
    )


def _tokenizer(source: str | Path, config: CarZeroConfig, preset: TextPreset) -> CarZeroTokenizer:
    tokenizer = CarZeroTokenizer.from_source(source, config.slots, preset)
    if tokenizer.vocabulary_size != config.vocabulary_size:
        raise CheckpointError(
            f"{source}: {tokenizer.vocabulary_size} word pieces; "
            f"the weights are for {config.vocabulary_size}.",
            "Use the vocabulary that the weights were trained with.",
        )
    return tokenizer

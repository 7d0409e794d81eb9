"""A model on disk: weights.safetensors, tokenizer.json, and card.json, which binds them by their hashes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as dump_safetensors
from torch import Tensor

from offclip.data.files import atomic_path
from offclip.errors import CheckpointError, ConfigError, InputError
from offclip.images.preprocess import Preprocess
from offclip.models.carzero.tokenizer import NoTokenizer
from offclip.models.interface import ClipModel
from offclip.models.kinds import KINDS, kind_of
from offclip.version import __version__

FORMAT = 1
INTENDED_USE = "Research only. Not a medical device; not validated for clinical use."
NO_LICENCE = "not stated by the person who trained it"
WEIGHTS, TOKENIZER, CARD = "weights.safetensors", "tokenizer.json", "card.json"


def save_model(
    model: ClipModel,
    folder: str | Path,
    training: dict[str, Any] | None = None,
    *,
    licence: str | None = None,
    source: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes a model folder; the card is written last, so a folder without one is no model.

    Args:
        model: The model.
        folder: Where to; made if missing.
        training: What the card says about the training: recipe, data, results.
        licence: What the card says about the licence of the weights; None for what the model itself says.
        source: Where converted weights come from.

    Returns:
        The card.

    Raises:
        CheckpointError: The disk is full or the folder not writable, or the model is of no kind that a folder
            can hold.
    """
    folder = Path(folder)
    kind = kind_of(model)
    if not kind:
        raise CheckpointError(
            f"{type(model).__name__} is a model of another package, which no folder of ours can hold.",
            "Save it with that package.",
        )
    content = {}
    content[WEIGHTS], shared = _weights(model)
    if not isinstance(model.tokenizer, NoTokenizer):
        content[TOKENIZER] = model.tokenizer.to_json().encode()
    card = {
        "format": FORMAT,
        "offclip_version": __version__,
        "architecture": kind,
        "config": dataclasses.asdict(model.config),  # type: ignore[call-overload]
        "preprocess": dataclasses.asdict(model.preprocess),
        "max_tokens": model.tokenizer.max_tokens,
        **KINDS[kind].fields(model),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "licence": licence or model.licence or NO_LICENCE,
        "intended_use": INTENDED_USE,
        "training": training or {},
        **({"source": source} if source else {}),
        **({"shared": shared} if shared else {}),
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in content.items()},
    }
    content[CARD] = (json.dumps(card, indent=2) + "\n").encode()
    for name, data in content.items():
        with atomic_path(folder / name, CheckpointError) as temporary:
            temporary.write_bytes(data)
    if TOKENIZER not in content:
        with suppress(OSError):
            (folder / TOKENIZER).unlink()  # of an earlier model; this card does not know it
    return card


def model_folder(path: str | Path) -> Path:
    """The folder that holds the card: the given one, or `model/` in a run folder.

    Raises:
        CheckpointError: Neither holds a model.
    """
    path = Path(path)
    for folder in (path, path / "model"):
        if (folder / CARD).is_file():
            return folder
    unfinished = (path / "config.json").is_file()
    raise CheckpointError(
        f"{path}: {'the run is not finished' if unfinished else 'no model here (card.json is missing)'}.",
        "Run the same 'offclip train' command to finish it." if unfinished else "Give a run or model folder.",
    )


def read_card(path: str | Path) -> dict[str, Any]:
    """Reads the card of a run or model folder.

    Raises:
        CheckpointError: There is none, or it is not readable.
    """
    file = model_folder(path) / CARD
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: not readable JSON ({error}).", "Copy the folder again.") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise CheckpointError(f"{file}: unknown format.", f"offclip {__version__} reads format {FORMAT}.")
    return card


def load_model(path: str | Path) -> ClipModel:
    """Loads a model in evaluation mode, after its hashes and keys were checked.

    The weights are mapped from the file: they take memory as they are used, once, and the file must stay as
    it is. A write into them stays in memory.

    Args:
        path: A model folder, or a run folder.

    Raises:
        CheckpointError: A file is missing, changed, cut off, or does not fit the card.
    """
    folder, card = model_folder(path), read_card(path)
    kind = KINDS.get(str(card.get("architecture")))
    if kind is None:
        raise CheckpointError(
            f"{folder}: unknown architecture {card.get('architecture')!r}.",
            f"offclip {__version__} knows: {', '.join(KINDS)}.",
        )
    try:
        hashes = dict(card["sha256"])
        if WEIGHTS not in hashes or not hashes.keys() <= {WEIGHTS, TOKENIZER}:
            raise KeyError(f"sha256 of {', '.join(map(str, hashes)) or 'nothing'}")
        for name, digest in hashes.items():
            _verify(folder / name, digest)
        tokenizer = (folder / TOKENIZER).read_text(encoding="utf-8") if TOKENIZER in hashes else None
        with torch.device("meta"):  # no memory and no random numbers for weights that are loaded next
            model = kind.build(card, tokenizer)
        if "preprocess" in card:  # the first cards had none
            model.preprocess = _preprocess(card["preprocess"], model.preprocess)
        state = load_file(folder / WEIGHTS)
        shared = {name: str(first) for name, first in dict(card.get("shared", {})).items()}
        state |= {name: state[first] for name, first in shared.items()}
    except ConfigError as error:
        if isinstance(error.__cause__, ImportError | OSError | RuntimeError):
            raise  # the model is sound, and a library that it needs is not installed
        raise _no_model(folder, error) from error
    except (
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        SafetensorError,
        InputError,
        RuntimeError,  # torch's word for sizes that no tensor can have
    ) as error:
        raise _no_model(folder, error) from error
    if isinstance(model.tokenizer, NoTokenizer):
        model.tokenizer.place = f"{folder}: this model"
    expected = model.state_dict()
    wrong = sorted(set(expected) ^ set(state)) or [n for n in expected if expected[n].shape != state[n].shape]
    if wrong:
        raise CheckpointError(
            f"{folder}: {len(wrong)} tensors do not fit the card, such as {wrong[0]}.",
            "Use the card of these weights." + _made_with(card),
        )
    model.load_state_dict({n: _laid_out(state[n], expected[n]) for n in expected}, assign=True)
    _tie(model, shared)
    return model.eval()


def _no_model(folder: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{folder}: the card does not describe a model ({error}).", "Copy it again.")


def _made_with(card: Mapping[str, Any]) -> str:
    libraries = card.get("libraries")
    if not isinstance(libraries, dict) or not libraries:
        return ""
    made = ", ".join(f"{name} {number}" for name, number in libraries.items())
    return f" They were saved beside {made}: another version may name its tensors otherwise."


def _weights(model: ClipModel) -> tuple[bytes, dict[str, str]]:
    """The file; and for each tensor that is another one under a second name, that one's name."""
    tensors: dict[str, Tensor] = {}
    at: dict[object, str] = {}
    shared: dict[str, str] = {}
    for name, tensor in model.state_dict().items():
        place = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()) if tensor.numel() else name
        first = at.setdefault(place, name)
        if first == name:
            tensors[name] = tensor.detach().cpu().contiguous()
        else:
            shared[name] = first
    return dump_safetensors(tensors), shared


def _tie(model: ClipModel, shared: Mapping[str, str]) -> None:
    """Makes parameters one again that were one when the model was saved: they learn together."""
    own = dict(model.named_parameters(remove_duplicate=False))
    for name, first in shared.items():
        if name in own and first in own:
            module, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(module), attribute, own[first])


def _preprocess(fields: dict[str, Any], own: Preprocess) -> Preprocess:
    stored = dataclasses.replace(own, **fields)
    if stored.size != own.size:
        raise ValueError(f"preprocess {fields}")
    return stored


def _laid_out(tensor: Tensor, like: Tensor) -> Tensor:
    """The tensor in the type and memory order of another one; the file has one order only."""
    tensor = tensor.to(like.dtype)
    if tensor.stride() == like.stride():
        return tensor
    return torch.empty_strided(like.shape, like.stride(), dtype=tensor.dtype).copy_(tensor)


def _verify(file: Path, digest: str) -> None:
    if not file.is_file():
        raise CheckpointError(f"{file}: missing.", "Copy the whole folder.")
    try:
        with file.open("rb") as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({error}).", "Check its permissions.") from error
    if found != digest:
        raise CheckpointError(f"{file}: its SHA-256 is not the one on the card.", "Copy the folder again.")

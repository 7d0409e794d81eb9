"""A model on disk: weights.safetensors, tokenizer.json, and card.json, which binds them by their hashes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as dump_safetensors

from offclip.data.files import atomic_path
from offclip.errors import CheckpointError, ConfigError
from offclip.models.dual_encoder import DualEncoder, DualEncoderConfig
from offclip.models.tokenizer import TextTokenizer
from offclip.version import __version__

FORMAT = 1
INTENDED_USE = "Research only. Not a medical device; not validated for clinical use."


def save_model(
    model: DualEncoder, folder: str | Path, training: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Writes a model folder; the card is written last, so a folder without one is no model.

    Args:
        model: The model.
        folder: Where to; made if missing.
        training: What the card says about the training: recipe, data, results.

    Returns:
        The card.

    Raises:
        CheckpointError: The disk is full or the folder not writable.
    """
    folder = Path(folder)
    weights = dump_safetensors(
        {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    )
    tokenizer = model.tokenizer.to_json().encode()
    card = {
        "format": FORMAT,
        "offclip_version": __version__,
        "architecture": "dual-encoder",
        "config": dataclasses.asdict(model.config),
        "preprocess": dataclasses.asdict(model.preprocess),
        "max_tokens": model.tokenizer.max_tokens,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "licence": "not stated by the person who trained it",
        "intended_use": INTENDED_USE,
        "training": training or {},
        "sha256": {
            "weights.safetensors": hashlib.sha256(weights).hexdigest(),
            "tokenizer.json": hashlib.sha256(tokenizer).hexdigest(),
        },
    }
    card_bytes = (json.dumps(card, indent=2) + "\n").encode()
    for name, content in (
        ("weights.safetensors", weights),
        ("tokenizer.json", tokenizer),
        ("card.json", card_bytes),
    ):
        with atomic_path(folder / name, CheckpointError) as temporary:
            temporary.write_bytes(content)
    return card


def model_folder(path: str | Path) -> Path:
    """The folder that holds the card: the given one, or `model/` in a run folder.

    Raises:
        CheckpointError: Neither holds a model.
    """
    path = Path(path)
    for folder in (path, path / "model"):
        if (folder / "card.json").is_file():
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
    file = model_folder(path) / "card.json"
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: not readable JSON ({error}).", "Copy the folder again.") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise CheckpointError(f"{file}: unknown format.", f"offclip {__version__} reads format {FORMAT}.")
    return card


def load_model(path: str | Path) -> DualEncoder:
    """Loads a model in evaluation mode, after its hashes and keys were checked.

    Args:
        path: A model folder, or a run folder.

    Raises:
        CheckpointError: A file is missing, changed, cut off, or does not fit the card.
    """
    folder, card = model_folder(path), read_card(path)
    try:
        content = {name: _read_verified(folder / name, digest) for name, digest in card["sha256"].items()}
        tokenizer = TextTokenizer.from_json(content["tokenizer.json"].decode(), card["max_tokens"])
        model = DualEncoder(DualEncoderConfig(**card["config"]), tokenizer)
        state = load_safetensors(content["weights.safetensors"])
    except (KeyError, TypeError, AttributeError, ValueError, SafetensorError, ConfigError) as error:
        raise CheckpointError(
            f"{folder}: the card does not describe a model ({error}).", "Copy it again."
        ) from error
    expected = model.state_dict()
    wrong = sorted(set(expected) ^ set(state)) or [n for n in expected if expected[n].shape != state[n].shape]
    if wrong:
        raise CheckpointError(
            f"{folder}: {len(wrong)} tensors do not fit the card, such as {wrong[0]}.",
            "Use the card of these weights.",
        )
    model.load_state_dict(state)
    return model.eval()


def _read_verified(file: Path, digest: str) -> bytes:
    if not file.is_file():
        raise CheckpointError(f"{file}: missing.", "Copy the whole folder.")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({error}).", "Check its permissions.") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise CheckpointError(f"{file}: its SHA-256 is not the one on the card.", "Copy the folder again.")
    return content

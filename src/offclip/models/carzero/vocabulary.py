"""Where the word pieces come from: a folder, a file, or the Hugging Face hub."""

from __future__ import annotations

import json
import re
from pathlib import Path

from offclip.errors import CheckpointError

HUB_ID = "Laihaoran/BioClinicalMPBERT"
_FILES = ("vocab.txt", "tokenizer.json")
_LARGEST_FILE = 64 * 2**20
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
HOW_TO_GET_IT = (
    f"Download vocab.txt of {HUB_ID} (the authors' text encoder) from the Hugging Face hub, and give "
    "its folder with --tokenizer."
)


def read_vocabulary(source: str | Path) -> list[str]:
    """The word pieces in the order of their ids.

    Args:
        source: A folder with `vocab.txt` or `tokenizer.json`, one of these files, or an id on the Hugging
            Face hub. A path that exists is never taken for an id.

    Raises:
        CheckpointError: There is no such file, it is no WordPiece vocabulary, or the hub cannot be reached.
    """
    path = Path(source)
    if path.is_file():
        return _read(path)
    if path.is_dir():
        found = [path / name for name in _FILES if (path / name).is_file()]
        if not found:
            raise CheckpointError(f"{path}: neither {' nor '.join(_FILES)} is in this folder.", HOW_TO_GET_IT)
        return _read(found[0])
    if not _HUB_ID.fullmatch(str(source)):
        raise CheckpointError(f"{source}: no such file or folder, and no hub id.", HOW_TO_GET_IT)
    return _read(_from_hub(str(source)))


def _from_hub(hub_id: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError
    except ImportError as error:
        raise CheckpointError(
            f"{hub_id}: no such folder here, and the package huggingface_hub is not installed.",
            f"{HOW_TO_GET_IT} Or: pip install 'offclip[hf]'.",
        ) from error
    reasons = []
    for name in _FILES:
        try:
            return Path(hf_hub_download(hub_id, name))
        except (EntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
            reasons.append(f"{name}: {type(error).__name__}")
    raise CheckpointError(
        f"{hub_id}: no such folder here, and no vocabulary from the hub or its cache ({', '.join(reasons)}).",
        HOW_TO_GET_IT,
    )


def _read(path: Path) -> list[str]:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ValueError("too large for a vocabulary")
        text = path.read_text(encoding="utf-8")
        return _of_json(text) if path.suffix == ".json" else _of_lines(text)
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a WordPiece vocabulary ({error}).", HOW_TO_GET_IT) from error


def _of_lines(text: str) -> list[str]:
    pieces = [line.rstrip("\r") for line in text.split("\n")]
    while pieces and not pieces[-1]:
        pieces.pop()
    return pieces


def _of_json(text: str) -> list[str]:
    content = json.loads(text)
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict) or model.get("type", "WordPiece") != "WordPiece":
        raise ValueError("it holds no WordPiece model")
    numbered = model.get("vocab")
    if not isinstance(numbered, dict) or set(numbered.values()) != set(range(len(numbered))):
        raise ValueError("its ids have gaps")
    if model.get("continuing_subword_prefix", "##") != "##":
        raise ValueError("its pieces do not go on with ##")
    return sorted(numbered, key=numbered.__getitem__)

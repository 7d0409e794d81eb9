"""Where the files of a model are: a folder, or the cache of the Hugging Face hub, filled if it may be."""

from __future__ import annotations

import json
import logging
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from offclip.errors import CheckpointError
from offclip.models.adapters.library import library

logger = logging.getLogger(__name__)

SMALL = ("*.json", "*.txt", "*.model", "README.md")  # configurations, vocabularies, the card
SAFE = ("*.safetensors",)
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
HOW_TO_CONSENT = (
    "Convert it once, if you trust its source: offclip convert NAME --allow-pickle --out FOLDER; "
    "or ask its authors for safetensors."
)


def fetch(source: str, *, allow_pickle: bool = False, weights: bool = True) -> Path:
    """The folder with the files of a model: the given one, or that of a hub id in the hub's cache.

    What is missing in the cache is downloaded, unless `HF_HUB_OFFLINE` is set.

    Args:
        source: A folder, or an id on the hub, `org/name` or `org/name@revision`.
        allow_pickle: Download pickle files where there is nothing else.
        weights: Whether weights are wanted, or only what describes them.

    Raises:
        CheckpointError: There is no such folder or id, or it is not to be had here.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise CheckpointError(f"{source}: a file.", "Give the folder that it is in, or an id on the hub.")
    name, _, revision = source.partition("@")
    if not _ID.fullmatch(name):
        raise CheckpointError(f"{source}: no such folder.", "Give a folder, or an id on the hub: org/name.")
    folder = _download(source, name, revision, [*SMALL, *(SAFE if weights else ())])
    if weights and allow_pickle and not any(folder.rglob(SAFE[0])):
        folder = _download(source, name, revision, [*SMALL, *PICKLES])
    return folder


def _download(source: str, name: str, revision: str, patterns: Sequence[str]) -> Path:
    hub, errors, constants, utils = (
        library(f"huggingface_hub{part}", "hf") for part in ("", ".errors", ".constants", ".utils")
    )
    bars = not utils.are_progress_bars_disabled()
    logger.info("%s: looked up on the hub and in its cache %s", source, constants.HF_HUB_CACHE)
    utils.disable_progress_bars()
    try:
        return Path(hub.snapshot_download(name, revision=revision or None, allow_patterns=list(patterns)))
    except errors.LocalEntryNotFoundError as error:
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"
        command = f"hf download {name}" + (f" --revision {revision}" if revision else "")
        raise CheckpointError(
            f"{source}: not a folder, and not in the hub's cache {constants.HF_HUB_CACHE}; {why}.",
            f"On a machine with a connection: {command}; then copy that cache, or set HF_HOME.",
        ) from error
    except errors.GatedRepoError as error:
        raise CheckpointError(
            f"{source}: its owners ask for consent first.",
            "Accept the terms on its page, then: hf auth login.",
        ) from error
    except Exception as error:  # of the hub, of its HTTP client, and of the disk
        raise CheckpointError(
            f"{source}: cannot be had from the hub ({first_line(error)}).",
            "Check the id, the connection and the disk; for a private one: hf auth login.",
        ) from error
    finally:
        if bars:
            utils.enable_progress_bars()


def where_from(folder: Path) -> str:
    """How to get what is missing in a folder of a model: a sentence for an error."""
    cache = folder.parent.parent  # .../models--org--name/snapshots/REVISION
    kind, _, name = cache.name.partition("--")
    if folder.parent.name != "snapshots" or kind != "models":
        return "Copy or download the whole folder."
    source = name.replace("--", "/", 1)
    return f"The download was cut off, or the model has no such file. Try again: hf download {source}."


def licence_of(folder: Path) -> str:
    """The licence that the card of a model on the hub names, empty if it names none."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    head = card.split("---")[1] if card.startswith("---") else ""
    said = {
        key: value.strip(" \"'") for key, value in re.findall(r"^(license(?:_name)?):[ ]*(\S.*)$", head, re.M)
    }
    return said.get("license_name") or said.get("license", "")


def first_line(error: Exception) -> str:
    """The first line of what a library says was wrong, or the kind of the error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        CheckpointError: The file is missing, or holds none.
    """
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{file}: missing.", where_from(file.parent)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: not readable JSON ({error}).", "Download it again.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{file}: no JSON object.", "Download it again.")
    return value


def weight_files(folder: Path, safe: Sequence[str], pickles: Sequence[str], allow_pickle: bool) -> list[Path]:
    """The files that hold the weights: the first name of `safe` that is there, else of `pickles`.

    A name that ends in `.index.json` stands for the shards that it lists.

    Raises:
        CheckpointError: There are none, a shard is missing, or there are only pickles without consent.
    """
    for name in (*safe, *pickles):
        file = folder / name
        if not file.is_file():
            continue
        if name in pickles and not allow_pickle:
            raise CheckpointError(
                f"{folder}: its weights are a pickle only ({name}), which can hold a program.", HOW_TO_CONSENT
            )
        if not name.endswith(".index.json"):
            return [file]
        return _shards(file)
    if not allow_pickle and folder.parent.name == "snapshots" and not any(folder.glob(SAFE[0])):
        raise CheckpointError(
            f"{folder}: no weights as safetensors; looked for {', '.join(safe)}.",
            f"Either the download was cut off ({where_from(folder).rstrip('.')}), or they are published as "
            f"a pickle only, which can hold a program. {HOW_TO_CONSENT}",
        )
    partial = any(folder.rglob("*.incomplete")) or any((folder.parent.parent / "blobs").glob("*.incomplete"))
    raise CheckpointError(
        f"{folder}: no weights; looked for {', '.join((*safe, *pickles))}.",
        "The download was cut off; download it again." if partial else where_from(folder),
    )


def _shards(index: Path) -> list[Path]:
    table = read_json(index).get("weight_map")
    names = sorted({str(name) for name in table.values()}) if isinstance(table, dict) else []
    if not names or any(Path(name).name != name for name in names):
        raise CheckpointError(f"{index}: names no files beside it.", "Download it again.")
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{index.parent}: {len(missing)} of {len(names)} files with weights are missing, such as "
            f"{missing[0]}.",
            f"The download was cut off. {where_from(index.parent)}",
        )
    return [index.parent / name for name in names]


def read_weights(file: Path, allow_pickle: bool) -> dict[str, Tensor]:
    """The tensors of a file: safetensors, or with consent a pickle, of which only tensors are taken.

    Raises:
        CheckpointError: The file is missing or damaged, or a pickle without consent.
    """
    if not file.is_file():
        raise CheckpointError(f"{file}: no such file.", "Check the path.")
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        if not allow_pickle:
            raise CheckpointError(f"{file}: a pickle, which can hold a program.", HOW_TO_CONSENT)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it asks for {refused[1]}" if refused else first_line(error)
        raise CheckpointError(f"{file}: refused ({reason}).", "It holds more than tensors.") from error
    except CheckpointError:
        raise
    except Exception as error:  # both readers raise all kinds for a damaged file
        raise CheckpointError(f"{file}: not readable ({first_line(error)}).", "Download it again.") from error
    state = content.get("state_dict", content.get("model", content)) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{file}: holds no table of tensors.", "Give the file with the weights.")
    return {str(name): tensor for name, tensor in state.items()}

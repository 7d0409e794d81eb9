"""Where the files of a model are: a folder, or the cache of the Hugging Face hub, filled if it may be."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from offclip.errors import CheckpointError
from offclip.models.adapters.library import library

SMALL = ("*.json", "*.txt", "*.model", "README.md")  # configurations, vocabularies, the card
SAFE = ("*.safetensors",)
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
HOW_TO_CONSENT = (
    "Convert it once, if you trust its source: offclip convert NAME --allow-pickle --out FOLDER; "
    "or ask its authors for safetensors."
)


def fetch(source: str, *, allow_pickle: bool = False) -> Path:
    """The folder with the files of a model: the given one, or that of a hub id in the hub's cache.

    What is missing in the cache is downloaded, unless `HF_HUB_OFFLINE` is set.

    Args:
        source: A folder, or an id on the hub, `org/name` or `org/name@revision`.
        allow_pickle: Download pickle files where there is nothing else.

    Raises:
        CheckpointError: There is no such folder or id, it is not to be had here, or it was downloaded in part.
    """
    if Path(source).expanduser().exists():
        return Path(source).expanduser()
    name, _, revision = source.partition("@")
    if name.count("/") != 1 or source.startswith((".", "/", "~")):
        raise CheckpointError(f"{source}: no such folder.", "Give a folder, or an id on the hub: org/name.")
    hub = library("huggingface_hub", "hf")
    patterns = [*SMALL, *SAFE, *(PICKLES if allow_pickle else ())]
    place = hub.constants.HF_HUB_CACHE
    try:
        return Path(hub.snapshot_download(name, revision=revision or None, allow_patterns=patterns))
    except hub.errors.LocalEntryNotFoundError as error:
        why = "HF_HUB_OFFLINE is set" if hub.constants.HF_HUB_OFFLINE else "the hub cannot be reached"
        raise CheckpointError(
            f"{source}: not a folder, and not in the hub's cache {place}; {why}.",
            f"On a machine with a connection: hf download {name}; then copy that cache, or set HF_HOME.",
        ) from error
    except hub.errors.GatedRepoError as error:
        raise CheckpointError(
            f"{source}: its owners ask for consent first.", f"Accept the terms on its page, then: hf auth login."
        ) from error
    except (hub.errors.HfHubHTTPError, hub.errors.HFValidationError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"{source}: cannot be had from the hub ({reason}).", "Check the id.") from error


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        CheckpointError: The file is missing, or holds none.
    """
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{file}: missing.", "Copy or download the whole folder; half of it is no model."
        ) from error
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
        shards = sorted(set(read_json(file).get("weight_map", {}).values()))
        missing = [shard for shard in shards if not (folder / shard).is_file()]
        if missing or not shards:
            raise CheckpointError(
                f"{folder}: {len(missing)} of {len(shards)} files with weights are missing, such as "
                f"{missing[0] if missing else 'all'}.",
                "The download was cut off; download it again.",
            )
        return [folder / shard for shard in shards]
    partial = sorted(folder.rglob("*.incomplete"))
    raise CheckpointError(
        f"{folder}: no weights; looked for {', '.join((*safe, *pickles))}.",
        "The download was cut off; download it again." if partial else "Copy or download the whole folder.",
    )


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
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"{file}: refused ({reason}).", "It holds more than tensors.") from error
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"{file}: not readable ({reason}).", "Download it again.") from error
    state = content.get("state_dict", content.get("model", content)) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{file}: holds no table of tensors.", "Give the file with the weights.")
    return {str(name): tensor for name, tensor in state.items()}

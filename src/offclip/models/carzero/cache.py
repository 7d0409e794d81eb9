"""Encoded sentences on disk, from one run to the next.

A file holds what the text tower made of one list of sentences. Its name is a hash of all that this depends
on: the weights of the text tower, the sentences, how they were cleaned and cut into tokens, and the format.
So a file of another model is never found; one that is damaged or was exchanged is noticed, and made anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as dump_safetensors
from torch import Tensor

from offclip.data.files import atomic_path
from offclip.errors import OffclipError
from offclip.models.carzero.encoding import encode_tokens
from offclip.models.interface import TextFeatures

if TYPE_CHECKING:
    from offclip.models.carzero.model import CarZero

FORMAT = 1
_MARK = "offclip"
_NAME = re.compile(r"prompts-[0-9a-f]{64}\.safetensors")

log = logging.getLogger(__name__)


def embed_prompts(
    model: CarZero, prompts: Sequence[str], folder: Path | None = None, limit: int = 2**30
) -> TextFeatures:
    """Tokenises and encodes T sentences, or reads what an earlier run has made of them.

    Args:
        model: With a tokenizer, in evaluation mode.
        prompts: The sentences.
        folder: The cache; none by default. When it cannot be written the sentences are encoded all the same.
        limit: Bytes that the files of the folder may take in all.
    """
    tokenizer: Any = model.tokenizer
    ids, attention_mask = tokenizer(prompts)
    continues = tokenizer.is_continuation(ids)
    tokens = ids.to(model.device), attention_mask.to(model.device), continues.to(model.device)
    if folder is None:
        return encode_tokens(model, *tokens)
    preset = str(getattr(tokenizer, "preset", ""))
    key = prompts_key(weights_hash(model), prompts, preset, tokens)
    file = folder / f"prompts-{key}.safetensors"
    found = read_features(file, key)
    if found is None:
        found = encode_tokens(model, *tokens)
        _store(found, file, key, limit)
    return TextFeatures(*(part.to(model.device) for part in (found.pooled, found.tokens, found.mask)))


def weights_hash(model: CarZero) -> str:
    """SHA-256 of the weights that the features of a text depend on, and of their names."""
    digest = hashlib.sha256()
    for name, tensor in model.text_tower.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def prompts_key(weights: str, prompts: Sequence[str], preset: str, tokens: Sequence[Tensor]) -> str:
    """The name under which features are kept.

    Args:
        weights: From `weights_hash`.
        prompts: The sentences.
        preset: How they are cleaned.
        tokens: Their ids, attention mask and marks of continuation: what the tokenizer made of them.
    """
    digest = hashlib.sha256(json.dumps([FORMAT, weights, preset, list(prompts)]).encode())
    for tensor in tokens:
        digest.update(f"{tuple(tensor.shape)}".encode())
        digest.update(_bytes(tensor.to(torch.int64)))
    return digest.hexdigest()


def write_features(features: TextFeatures, file: Path, key: str) -> None:
    """Writes a file, whole or not at all.

    Raises:
        DataError: The disk is full, or the folder cannot be written.
    """
    tensors = {
        name: getattr(features, name).detach().cpu().contiguous() for name in ("pooled", "tokens", "mask")
    }
    content = dump_safetensors(tensors, {_MARK: _mark(key, tensors)})
    with atomic_path(file) as temporary:
        temporary.write_bytes(content)


def read_features(file: Path, key: str) -> TextFeatures | None:
    """Reads a file; None where there is none, or where it is damaged or belongs to something else."""
    if not file.is_file():
        return None
    try:
        with safe_open(file, "pt") as opened:
            said = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in ("pooled", "tokens", "mask")}
        os.utime(file)  # was used: goes last
    except (OSError, SafetensorError) as error:
        log.warning("%s cannot be read (%s); the prompts are encoded again.", file, error)
        return None
    if said.get(_MARK) != _mark(key, tensors):
        log.warning("%s is damaged or belongs to something else; the prompts are encoded again.", file)
        return None
    return TextFeatures(**tensors)


def make_room(folder: Path, limit: int) -> None:
    """Removes what was used least recently until the files of the cache take at most `limit` bytes."""
    files = [(file, file.stat()) for file in folder.iterdir() if _NAME.fullmatch(file.name)]
    total = sum(about.st_size for _, about in files)
    for file, about in sorted(files, key=lambda entry: entry[1].st_mtime):
        if total <= limit:
            break
        file.unlink(missing_ok=True)
        total -= about.st_size


def _store(features: TextFeatures, file: Path, key: str, limit: int) -> None:
    try:
        write_features(features, file, key)
        make_room(file.parent, limit)
    except (OffclipError, OSError) as error:
        log.warning("The prompts are not kept: %s", error)


def _mark(key: str, tensors: dict[str, Tensor]) -> str:
    """What a file says of itself: format, key, and a hash of its content."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}\n".encode())
        digest.update(_bytes(tensors[name]))
    return json.dumps({"format": FORMAT, "key": key, "sha256": digest.hexdigest()})


def _bytes(tensor: Tensor) -> bytes | memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data

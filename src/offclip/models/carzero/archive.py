"""Reads the tensors of a foreign checkpoint: safetensors, or PyTorch's archive with a pickle in it."""

from __future__ import annotations

import os
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from offclip.errors import CheckpointError
from offclip.models.carzero.pickles import INERT, MAPPINGS, check_pickle

#: Before 2.10, PyTorch's own safe reader had holes (CVE-2025-32434, CVE-2026-24747).
_SAFE_TORCH = (2, 10)
MOST_BYTES = 4 * 2**30
_AGAIN = "Download the file again, and compare its size with the published one."


def read_archive(path: Path, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """Reads a checkpoint without running anything that stands in it.

    The tensors are mapped from the file, not read; it must stay where it is while they are in use.

    Args:
        path: A file of `torch.save` in the form of PyTorch 1.6 and later, or a safetensors file.
        most_bytes: A larger file is refused before it is opened.

    Returns:
        What stood at the top: names and tensors, or names and what a training framework put there. Objects of
        OmegaConf and Lightning are stand-ins without content.

    Raises:
        CheckpointError: There is no such file; it is cut off, too large or of another form; or its pickle
            asks for more than tensors.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror}).", "Check the path and its permissions."
        ) from error
    if size > most_bytes:
        raise CheckpointError(
            f"{path}: {size / 2**30:.1f} GiB; at most {most_bytes / 2**30:.1f} GiB are read.",
            "The published files are below 3 GiB; give --max-gib if yours is meant to be larger.",
        )
    if start[8:9] == b"{":
        return _read_safetensors(path)
    if start.startswith(b"PK\x03\x04"):
        return _read_zip(path, size)
    if start.startswith((b"\x80", b"c", b"(")):
        raise CheckpointError(
            f"{path}: a bare pickle, or the form that PyTorch wrote before 1.6; neither is read.",
            "Save it in today's form where it was made, or ask for weights in safetensors.",
        )
    raise CheckpointError(f"{path}: neither a PyTorch archive nor safetensors.", _AGAIN)


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged safetensors ({str(error)[:100]}).", _AGAIN) from error


def _read_zip(path: Path, size: int) -> dict[str, Any]:
    if _version(torch.__version__) < _SAFE_TORCH:
        raise CheckpointError(
            f"{path}: PyTorch {torch.__version__} cannot read a foreign pickle safely.",
            "Update PyTorch to 2.10 or later, or convert a safetensors file.",
        )
    content, records = _contents(path, size)
    check_pickle(content, records, str(path))
    stand_ins: list[Any] = [(_stand_in(), name) for name in sorted(INERT)]
    stand_ins += [(OrderedDict, name) for name in sorted(MAPPINGS - {"collections.defaultdict"})]
    stand_ins.append((_empty_mapping, "collections.defaultdict"))
    try:
        with torch.serialization.safe_globals(stand_ins):
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # the reader raises whatever its stack machine runs into
        raise CheckpointError(
            f"{path}: PyTorch refuses it ({str(error).partition(chr(10))[0][:200]}).", _AGAIN
        ) from error
    if not isinstance(loaded, dict):
        raise CheckpointError(f"{path}: holds a {type(loaded).__name__}, no dictionary.", _AGAIN)
    return plain_items(loaded)


def plain_items(mapping: dict[Any, Any]) -> dict[str, Any]:
    """The items of a foreign mapping; what the file may have put over its methods is not asked."""
    return {str(key): value for key, value in dict.items(mapping)}


def _contents(path: Path, size: int) -> tuple[bytes, dict[str, int]]:
    """The pickle, and the bytes of every storage, after both readers of the archive agreed on them."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(path, entries, size)
            pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise CheckpointError(f"{path}: a zip file with {len(pickles)} pickles.", _AGAIN)
            root = pickles[0].filename.removesuffix("data.pkl")
            content = archive.read(pickles[0])
            order = f"{root}byteorder"
            if order in archive.namelist() and archive.read(order) != b"little":
                raise CheckpointError(f"{path}: written on a big-endian machine.", "Use the published file.")
        # A zip file may show two readers two contents; what is checked must be what PyTorch will load.
        if torch._C.PyTorchFileReader(os.fspath(path)).get_record("data.pkl") != content:
            raise CheckpointError(f"{path}: the archive is ambiguous.", "Do not use it.")
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, ValueError, EOFError) as error:
        reason = str(error).partition("\n")[0][:100]
        raise CheckpointError(f"{path}: damaged or cut off ({reason}).", _AGAIN) from error
    storages = f"{root}data/"
    return content, {
        entry.filename.removeprefix(storages): entry.file_size
        for entry in entries
        if entry.filename.startswith(storages)
    }


def _check_entries(path: Path, entries: list[zipfile.ZipInfo], size: int) -> None:
    names = {entry.filename for entry in entries}
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    lying = any(entry.file_size != entry.compress_size for entry in entries)
    if packed or lying or sum(entry.file_size for entry in entries) > size or len(names) != len(entries):
        raise CheckpointError(
            f"{path}: its entries are compressed, overlap or are there twice, as PyTorch never writes them.",
            "Do not use it; it may be a trap that unpacks to more than the machine holds.",
        )


def _stand_in() -> type:
    """A class whose objects take whatever they are given and keep nothing."""

    class Inert:
        __slots__ = ()

        def __new__(cls, *_: object) -> Inert:
            return object.__new__(cls)

        def __init__(self, *_: object) -> None: ...

        def __setstate__(self, _: object) -> None: ...

    return Inert


def _empty_mapping(*_: object) -> OrderedDict[str, Tensor]:
    return OrderedDict()


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")[:2]
    return int(major), int(minor)

"""Finding the tables and the images of a set below the folder that the user names."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from offclip.errors import DataError

_LARGEST = 64 * 2**20  # of a list or a JSON file; the largest of the public sets has 1 MB


def find_table(root: Path, *names: str) -> Path | None:
    """The first of some tables that lies below the root, packed with gzip or not.

    Args:
        root: Folder of the set.
        names: Paths below it, the wanted one first.
    """
    places = (root / f"{name}{ending}" for name in names for ending in ("", ".gz"))
    return next((place for place in places if place.is_file()), None)


def need_table(root: Path, *names: str) -> Path:
    """The same, where nothing works without it.

    Raises:
        DataError: None of them is there.
    """
    found = find_table(root, *names)
    if found is None:
        other = f" (nor {', '.join(names[1:])})" if names[1:] else ""
        raise DataError(
            f"{root / names[0]}: no such file{other}.",
            "Give the folder of the publishers' tree with --root; 'offclip data list' shows the layout.",
        )
    return found


def base_folder(root: Path, marker: str, inside: Sequence[str]) -> Path:
    """The folder that holds `marker`: the root or one of some folders inside it; else the root."""
    return next((root / part for part in ("", *inside) if (root / part / marker).exists()), root)


def read_lines(path: Path) -> list[str]:
    """The lines of a short list, stripped, the empty ones too, so that the place is the number of the line.

    Args:
        path: A text file, packed with gzip where its name says so.

    Raises:
        DataError: The file cannot be read or is no text.
    """
    try:
        return [line.strip() for line in _bytes_of(path).decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file.", "Download the list again.") from error


def read_json(path: Path) -> object:
    """What a JSON file holds.

    Raises:
        DataError: The file cannot be read or is no JSON.
    """
    try:
        return json.loads(_bytes_of(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not readable JSON ({error}).", "Download the file again.") from error


def _bytes_of(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            raise _too_large(path)
        if path.suffix != ".gz":
            return path.read_bytes()
        with gzip.open(path) as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise _too_large(path)
        return data
    except (OSError, EOFError, zlib.error) as error:
        what = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({what}).", "Check the path and the file.") from error


def _too_large(path: Path) -> DataError:
    return DataError(
        f"{path}: larger than {_LARGEST // 2**20} MB, which this file never is.", "Check the path."
    )


def is_file_name(text: str) -> bool:
    """Whether a cell is the name of a file in a folder, and leads nowhere else.

    Example:
        >>> is_file_name("00000001_000.png"), is_file_name("../x.png"), is_file_name("")
        (True, False, False)
    """
    return bool(text) and not text.startswith(".") and not {"/", "\\", "\0"}.intersection(text)


class ImageFiles:
    """Where the images of a set lie. Each folder is listed once, which is faster than asking for each image.

    Args:
        folders: Where to look; those that are not there are passed over. The first that holds a name wins.

    Raises:
        DataError: A folder cannot be entered.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders: dict[str, Path] = {}
        for folder in folders:
            if not folder.is_dir():
                continue
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.is_file():
                            self._folders.setdefault(entry.name, folder)
            except OSError as error:
                raise DataError(
                    f"{folder}: cannot be entered ({error.strerror or error}).", "Check its permissions."
                ) from error

    def path(self, name: str, default: Path) -> Path:
        """The absolute path of an image: where it was found, or in the `default` folder."""
        return self._folders.get(name, default).absolute() / name

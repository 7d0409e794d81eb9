"""Which of the listed files are there: one listing a folder, as asking for each is slow on a network disk."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from offclip.errors import DataError

# About 130 MB at most. Rows may jump among all folders of a set, and listing one again and again is slow.
_REMEMBERED_NAMES = 1_000_000
_NAMES_A_FOLDER = 4  # what an empty folder weighs


class FolderListings:
    """Answers whether files are there, from listings of their folders; the latest folders are remembered.

    Args:
        most: Names to remember, in all folders together; the folder asked for last always stays.

    Example:
        >>> FolderListings().has(Path(__file__).absolute())
        True
    """

    def __init__(self, most: int = _REMEMBERED_NAMES) -> None:
        self._most = most
        self._known: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._names = 0

    def has(self, path: str | Path) -> bool:
        """Whether there is a file of exactly this name.

        Raises:
            DataError: The folder cannot be listed.
        """
        folder, name = os.path.split(path)
        names = self._known.get(folder)
        if names is None:
            names = self._known[folder] = frozenset(file.name for file in _files(folder))
            self._names += len(names) + _NAMES_A_FOLDER
            while self._names > self._most and len(self._known) > 1:
                self._names -= len(self._known.popitem(last=False)[1]) + _NAMES_A_FOLDER
        else:
            self._known.move_to_end(folder)
        return name in names


def files_with_endings(folder: Path, endings: frozenset[str]) -> Iterator[Path]:
    """All files below a folder whose names end so, sorted; links to folders are not followed.

    Args:
        folder: Where to look.
        endings: Such as `.png`, in lower case.

    Raises:
        DataError: A folder cannot be listed.
    """
    for above, folders, names in os.walk(folder, onerror=_refuse):
        folders.sort()
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in endings:  # noqa: PTH122 - a million of them
                yield Path(above, name)


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if entry.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        _refuse(error)


def _refuse(error: OSError) -> None:
    raise DataError(
        f"{error.filename}: the folder cannot be listed ({error.strerror}).", "Check its permissions."
    ) from error

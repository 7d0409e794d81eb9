"""The image files below a hospital's own folder, and what to call them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from offclip.data.files import Skipped
from offclip.data.sources.members import files_below
from offclip.images.dicom.part10 import looks_like_dicom

DICOM_ENDINGS = (".dcm", ".dicom", ".dic")
ENDINGS = (*DICOM_ENDINGS, ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".img")
_PASSED_OVER = ("DICOMDIR", "__MACOSX")
_UNTOLD = re.compile(r"|\.\d+")  # no ending, or the last part of a UID


def image_names(root: Path, problems: list[Skipped]) -> Iterator[str]:
    """The paths of all images below a folder, relative to it, in an order that is the same everywhere.

    Hidden files and folders, `DICOMDIR` and links to folders are passed over. A file without an ending is an
    image if it begins like DICOM.

    Args:
        root: The folder.
        problems: Takes folders and files that cannot be read.
    """
    for name, path in files_below(root, problems):
        if any(part.startswith(".") or part.upper() in _PASSED_OVER for part in name.split("/")):
            continue
        ending = _ending(name)
        if ending in ENDINGS or (_UNTOLD.fullmatch(ending) and _begins_like_dicom(path, problems)):
            yield name


def is_dicom(name: str) -> bool:
    """Whether an image of `image_names` is a DICOM file, by its name.

    Example:
        >>> is_dicom("a/film.DCM"), is_dicom("1.2.840.1"), is_dicom("film.png")
        (True, True, False)
    """
    ending = _ending(name)
    return ending in DICOM_ENDINGS or _UNTOLD.fullmatch(ending) is not None


def image_ids(names: Sequence[str]) -> dict[str, str]:
    """From each image to an id: its name without the ending, with the folders before it where names repeat.

    Example:
        >>> image_ids(["a/film.png", "b/film.png", "b/other.dcm"])
        {'a/film.png': 'a__film', 'b/film.png': 'b__film', 'b/other.dcm': 'other'}
    """
    ways = (lambda name: _without_ending(name).rpartition("/")[2], path_id, _joined)
    ids: dict[str, str] = {}
    left = list(names)
    for way in ways:
        count = Counter(map(way, left))
        count.update(ids.values())
        ids |= {name: way(name) for name in left if count[way(name)] == 1}
        left = [name for name in left if name not in ids]
    # Even whole paths can look alike once slashes are gone: a/b.png beside a__b.png.
    ids |= {name: name for name in left}
    return {name: ids[name] for name in names}


def path_id(name: str) -> str:
    """The id of an image by its path: without the ending, a slash as two underscores.

    Example:
        >>> path_id("a/film.png")
        'a__film'
    """
    return _joined(_without_ending(name))


def _joined(name: str) -> str:
    return name.replace("/", "__")


def _without_ending(name: str) -> str:
    ending = _ending(name)
    return name[: -len(ending)] if ending in ENDINGS else name


def _ending(name: str) -> str:
    # Of a million names; pathlib takes ten times as long.
    stem, dot, ending = name.rpartition("/")[2].rpartition(".")
    return (dot + ending).lower() if stem else ""


def _begins_like_dicom(path: Path, problems: list[Skipped]) -> bool:
    try:
        with path.open("rb") as file:
            return path.is_file() and looks_like_dicom(file.read(132))
    except OSError as error:
        problems.append(Skipped(str(path), 0, path.name, f"cannot be read ({error.strerror or error})"))
        return False

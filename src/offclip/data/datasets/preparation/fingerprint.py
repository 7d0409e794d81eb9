"""A hash of what a set says, the same on every machine and in every folder; pixels are not part of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from offclip.data.datasets.preparation.collection import Collection
from offclip.errors import DataError

SHORT = 12
_CHUNK = 2**20
# Image and study ids are unique, so the orders are complete.
_QUERIES = (
    "SELECT image_id, study_id, patient_id, split, view, labels, age, sex FROM images "
    "JOIN studies ON studies.number = images.study ORDER BY image_id",
    "SELECT image_id, finding, x, y, width, height, reader, phrase FROM boxes "
    "ORDER BY image_id, finding, x, y, width, height, reader, phrase",
    "SELECT study_id, report FROM studies ORDER BY study_id",
)


def fingerprint(collection: Collection, tables: Iterable[Path], root: Path) -> str:
    """The sha256 of the images on disk with their labels and boxes, the reports, and the set's own tables.

    Args:
        collection: What was read.
        tables: The set's tables, whose contents count.
        root: Tables are known by their paths below it.

    Raises:
        DataError: A table cannot be read.
    """
    digest = hashlib.sha256()
    _add(digest, ("findings", *collection.findings))
    for query in _QUERIES:
        _add(digest, ("rows",))
        for row in collection.rows(query):
            _add(digest, row)
    for name, contents in sorted((_name(table, root), _contents(table)) for table in tables):
        _add(digest, (name, contents))
    return digest.hexdigest()


def _add(digest: Any, values: tuple[Any, ...]) -> None:
    # repr sets values apart: two texts never look like one with a separator in it.
    digest.update(f"{values!r}\n".encode())


def _name(table: Path, root: Path) -> str:
    table, root = table.absolute(), root.absolute()
    name = table.relative_to(root).as_posix() if table.is_relative_to(root) else table.name
    return name.encode(errors="backslashreplace").decode()


def _contents(table: Path) -> str:
    digest = hashlib.sha256()
    try:
        with table.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise DataError(f"{table}: cannot be read ({error.strerror}).", "Check its permissions.") from error
    return digest.hexdigest()

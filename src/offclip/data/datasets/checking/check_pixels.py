"""The images of a set are read: which cannot be, which are the same, which boxes lie outside."""

from __future__ import annotations

import hashlib
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from offclip.data.datasets.checking.problems import Problem
from offclip.data.datasets.preparation.collection import Collection, Kind, explained
from offclip.errors import ImageError
from offclip.images.film import ReadOptions
from offclip.images.pool import DecoderPool

_TELL_EVERY = 20
# Half a pixel: some sets give boxes as fractions of the size, with their rounding.
_SLACK = 0.5
_IMAGES = (
    "SELECT image_id, path, patient_id, split FROM images JOIN studies ON studies.number = images.study "
    "ORDER BY images.number"
)


def check_pixels(
    collection: Collection,
    work: Path,
    sample: int | None = None,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[Problem | None]:
    """Reads images, and yields a None for each that was read and a problem for each that was found.

    Equal pixels are reported once for each image after the first: as a leak where the splits differ.

    Args:
        collection: The set.
        work: Folder for temporary files.
        sample: Read only so many images, spread evenly over the set.
        workers: Processes; one a core by default.
        on_progress: Called with the number of images read, and of how many.
    """
    total = collection.number("SELECT COUNT(*) FROM images")
    wanted = total if sample is None else min(sample, total)
    tell = on_progress or (lambda done, of: None)
    # Film of every kind, as what is no chest film is not for this check to say.
    options = ReadOptions(modalities=())
    path = work / "pixels.sqlite"
    with (
        explained(path),
        closing(sqlite3.connect(path, isolation_level=None)) as seen,
        DecoderPool(workers, options) as pool,
    ):
        seen.execute("PRAGMA synchronous = OFF")
        seen.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY, image_id TEXT, split TEXT) WITHOUT ROWID")
        rows, named = itertools.tee(_spread(collection, wanted, total))
        films = pool.map(path for _, path, _, _ in named)
        for done, ((image_id, file, _, split), film) in enumerate(zip(rows, films, strict=True), start=1):
            if isinstance(film, ImageError):
                yield Problem(Kind.UNREADABLE.value, image_id, file, f"{film.reason}: {film.message}")
            else:
                yield None
                pixels = film.film.pixels
                digest = hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).digest()
                yield from _same(seen, digest, image_id, file, split)
                grid = film.film.grid
                yield from _outside(collection, image_id, file, grid.width, grid.height)
            if done % _TELL_EVERY == 0 or done == wanted:
                tell(done, wanted)


def _spread(collection: Collection, wanted: int, total: int) -> Iterator[tuple[str, str, str, str]]:
    for number, row in enumerate(collection.rows(_IMAGES)):
        if number * wanted // total != (number - 1) * wanted // total:
            yield row[0], row[1], row[2], row[3]


def _same(seen: sqlite3.Connection, digest: bytes, image_id: str, file: str, split: str) -> Iterator[Problem]:
    first = seen.execute("SELECT image_id, split FROM seen WHERE digest = ?", (digest,)).fetchone()
    if first is None:
        seen.execute("INSERT INTO seen VALUES (?, ?, ?)", (digest, image_id, split))
    elif first[1] != split:
        what = f"the same pixels as {first[0]}: one in {split}, one in {first[1]}"
        yield Problem(Kind.LEAK.value, image_id, file, what)
    else:
        yield Problem(Kind.DOUBLED_PIXELS.value, image_id, file, f"the same pixels as {first[0]}")


def _outside(collection: Collection, image_id: str, file: str, width: int, height: int) -> Iterator[Problem]:
    query = "SELECT finding, x, y, width, height FROM boxes WHERE image_id = ? ORDER BY number"
    for finding, x, y, across, down in collection.rows(query, (image_id,)):
        if x + across > width + _SLACK or y + down > height + _SLACK:
            ends = f"({x + across:g}, {y + down:g})"
            what = f"a box for {finding} ends at {ends}, the image at ({width}, {height})"
            yield Problem(Kind.BOX.value, image_id, file, what)

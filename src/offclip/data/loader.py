"""Image files become one array of squares, addressed by image id."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from offclip.data.files import Skipped
from offclip.data.stream import ImageRef, read_squares
from offclip.errors import DataError
from offclip.images.film import ReadOptions
from offclip.images.geometry import Letterbox
from offclip.images.preprocess import Preprocess

__all__ = ["ImageRef", "PixelStore", "load_pixels"]

MEMORY_LIMIT_BYTES = 4 * 2**30


@dataclass(frozen=True, slots=True)
class PixelStore:
    """Decoded images at a model's input size.

    Attributes:
        image_ids: N ids; unreadable images are not among them.
        squares: (N, S, S) uint8.
        geometry: N records that take coordinates back to the original pixels.
    """

    image_ids: tuple[str, ...]
    squares: np.ndarray
    geometry: tuple[Letterbox, ...]

    def position(self) -> dict[str, int]:
        """From image id to row."""
        return {image_id: row for row, image_id in enumerate(self.image_ids)}

    def batch(self, rows: Sequence[int] | np.ndarray) -> Tensor:
        """(B, S, S) uint8 of the given rows."""
        return torch.from_numpy(self.squares[np.asarray(rows)])


def load_pixels(
    images: Sequence[ImageRef],
    preprocess: Preprocess,
    *,
    options: ReadOptions | None = None,
    workers: int | None = None,
    spill: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[PixelStore, list[Skipped]]:
    """Reads images once, DICOM or not; an unreadable file is listed, never silently replaced.

    Args:
        images: What to read.
        preprocess: Brings an image to the model's square.
        options: How files are read, and what they may cost; as the model wants it by default.
        workers: Most processes that decode; the cores that there are by default.
        spill: File that holds the pixels when they need more than 4 GiB of memory; without one they
            must fit.
        on_progress: Called with (images done, images in all).

    Returns:
        The store in the order of `images`, and the files that were left out. Their reason begins with a word
        of `offclip.images.reasons.Reason`, such as `truncated: `, so that reasons can be counted.

    Raises:
        DataError: No image is left, or the pixels fit nowhere.
        OffclipError: No process can be started.
    """
    if not images:
        raise DataError("There is no frontal image to read.", "Check the images and views in the table.")
    squares = _allocate((len(images), preprocess.size, preprocess.size), spill)
    kept: list[str] = []
    geometry: list[Letterbox] = []
    skipped: list[Skipped] = []
    # Closed and not left to the collector: after Ctrl-C no process shall go on.
    with closing(read_squares(images, preprocess, options, workers=workers)) as results:
        for done, result in enumerate(results, start=1):
            if isinstance(result, Skipped):
                skipped.append(result)
            else:
                squares[len(kept)] = result.pixels
                kept.append(result.image_id)
                geometry.append(result.geometry)
            if on_progress:
                on_progress(done, len(images))
    if not kept:
        first = f" The first: {skipped[0].reason}" if skipped else ""
        raise DataError(f"None of {len(images)} images can be read.{first}", "Check the paths in the table.")
    return PixelStore(tuple(kept), squares[: len(kept)], tuple(geometry)), skipped


def _allocate(shape: tuple[int, int, int], spill: Path | None) -> np.ndarray:
    size = int(np.prod(shape))
    if size <= MEMORY_LIMIT_BYTES or not size:
        return np.empty(shape, np.uint8)
    if spill is None:
        raise DataError(
            f"{shape[0]:,} images of {shape[1]} px need {size / 2**30:.1f} GiB.",
            "Give a file to keep them in.",
        )
    try:
        spill.parent.mkdir(parents=True, exist_ok=True)
        mapped = np.lib.format.open_memmap(spill, mode="w+", dtype=np.uint8, shape=shape)
        if hasattr(os, "posix_fallocate"):  # writing to a map on a full disk would kill the process
            with spill.open("r+b") as handle:
                os.posix_fallocate(handle.fileno(), 0, spill.stat().st_size)
        return mapped
    except OSError as error:
        spill.unlink(missing_ok=True)
        raise DataError(
            f"{spill}: cannot hold {size / 2**30:.1f} GiB ({error}).",
            "Free some space or choose another folder.",
        ) from error

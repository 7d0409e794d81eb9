"""Image files become one array of squares, addressed by image id."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from offclip.data.files import Skipped
from offclip.errors import DataError, ImageError
from offclip.images.geometry import Letterbox
from offclip.images.preprocess import Preprocess
from offclip.images.read import read_image

MEMORY_LIMIT_BYTES = 4 * 2**30


@dataclass(frozen=True, slots=True)
class ImageRef:
    """One image file.

    Attributes:
        image_id: The key by which scores, labels and boxes are joined.
        path: Where the file is.
    """

    image_id: str
    path: Path


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
    workers: int = 2,
    spill: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[PixelStore, list[Skipped]]:
    """Decodes images once; an unreadable file is listed, never silently replaced.

    Args:
        images: What to read.
        preprocess: Brings an image to the model's square.
        workers: Threads that decode.
        spill: File that holds the pixels when they need more than 4 GiB of memory; without one they
            must fit.
        on_progress: Called with (images done, images in all).

    Returns:
        The store in the order of `images`, and the files that were left out.

    Raises:
        DataError: No image is left, or the pixels fit nowhere.
    """
    if not images:
        raise DataError("There is no frontal image to read.", "Check the images and views in the table.")
    shape = (len(images), preprocess.size, preprocess.size)
    squares = _allocate(shape, spill)
    kept: list[str] = []
    geometry: list[Letterbox] = []
    skipped: list[Skipped] = []

    def decode(image: ImageRef) -> tuple[np.ndarray, Letterbox] | ImageError:
        try:
            return preprocess.fit(read_image(image.path))
        except ImageError as error:
            return error

    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        for done, (image, result) in enumerate(zip(images, pool.map(decode, images), strict=True), start=1):
            if isinstance(result, ImageError):
                skipped.append(Skipped(str(image.path), 0, image.image_id, result.message))
            else:
                squares[len(kept)], letterbox = result
                kept.append(image.image_id)
                geometry.append(letterbox)
            if on_progress:
                on_progress(done, len(images))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the files that are still to be read
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

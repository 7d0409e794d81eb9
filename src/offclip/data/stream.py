"""Batches of squares that are decoded while the model works."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offclip.data.files import Skipped
from offclip.data.image_files import skipped_image
from offclip.errors import ImageError, InputError
from offclip.images.film import ReadOptions
from offclip.images.geometry import Letterbox
from offclip.images.pool import DecoderPool
from offclip.images.preprocess import Preprocess


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
class Square:
    """An image at a model's input size.

    Attributes:
        image_id: Its key.
        pixels: (S, S) uint8.
        geometry: Takes coordinates back to the original pixels.
    """

    image_id: str
    pixels: np.ndarray
    geometry: Letterbox


@dataclass(frozen=True, slots=True)
class Batch:
    """Some images, in the order in which they were asked for.

    Attributes:
        image_ids: B ids; unreadable images are not among them.
        squares: (B, S, S) uint8.
        geometry: B records that take coordinates back to the original pixels.
        skipped: What was left out since the batch before.
    """

    image_ids: tuple[str, ...]
    squares: np.ndarray
    geometry: tuple[Letterbox, ...]
    skipped: tuple[Skipped, ...] = ()


def read_squares(
    images: Iterable[ImageRef],
    preprocess: Preprocess,
    options: ReadOptions | None = None,
    *,
    workers: int | None = None,
    ahead: int | None = None,
) -> Generator[Square | Skipped, None, None]:
    """Squares of images in their order, read ahead in processes of their own; what cannot be read is listed.

    Args:
        images: What to read; asked for only as far as is read ahead.
        preprocess: Brings an image to the model's square, in the process that reads it.
        options: How files are read, and what they may cost; as the model wants it by default.
        workers: Most processes; the cores that there are by default.
        ahead: Most squares that are read ahead.

    Raises:
        OffclipError: No process can be started.
    """
    order: list[ImageRef] = []

    def paths() -> Iterator[Path]:
        for image in images:
            order.append(image)
            yield image.path

    with DecoderPool(workers, options or preprocess.read_options(), preprocess, ahead=ahead) as pool:
        for result in pool.map(paths()):
            image = order.pop(0)
            if isinstance(result, ImageError) or result.geometry is None:
                error = result if isinstance(result, ImageError) else ImageError(f"{image.path}: no square.")
                yield skipped_image(error, image.image_id, str(image.path))
            else:
                yield Square(image.image_id, result.film.pixels, result.geometry)


class SquareStream:
    """Batches for a model, with the share of time that the model waited for them.

    Args:
        images: What to read, in this order.
        preprocess: Brings an image to the model's square.
        batch_size: Images a batch; the last may be smaller.
        options: How files are read, and what they may cost; as the model wants it by default.
        workers: Most processes; the cores that there are by default.

    Attributes:
        waited_seconds: Time that the caller has waited for batches.
        elapsed_seconds: Time from the first batch that was asked for to the end of the last wait.
    """

    def __init__(
        self,
        images: Iterable[ImageRef],
        preprocess: Preprocess,
        batch_size: int,
        options: ReadOptions | None = None,
        workers: int | None = None,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"A batch of {batch_size} images.", "Give at least one.")
        self.waited_seconds = 0.0
        self.elapsed_seconds = 0.0
        self._size = preprocess.size
        self._batch_size = batch_size
        self._squares = lambda: read_squares(
            images, preprocess, options, workers=workers, ahead=2 * batch_size
        )

    @property
    def loader_share(self) -> float:
        """Share of the elapsed time in which the caller waited for batches; 0 before the first."""
        return self.waited_seconds / self.elapsed_seconds if self.elapsed_seconds else 0.0

    def __iter__(self) -> Iterator[Batch]:
        """Yields the batches; a last one without images may say what was skipped."""
        begin = time.perf_counter()
        self.waited_seconds = self.elapsed_seconds = 0.0
        with closing(self._squares()) as squares:
            batches = self._batches(squares)
            while True:
                asked = time.perf_counter()
                batch = next(batches, None)
                now = time.perf_counter()
                self.waited_seconds += now - asked
                self.elapsed_seconds = now - begin
                if batch is None:
                    return
                yield batch

    def _batches(self, squares: Iterator[Square | Skipped]) -> Iterator[Batch]:
        ready: list[Square] = []
        skipped: list[Skipped] = []
        for result in squares:
            if isinstance(result, Skipped):
                skipped.append(result)
                continue
            ready.append(result)
            if len(ready) == self._batch_size:
                yield self._batch(ready, skipped)
                ready, skipped = [], []
        if ready or skipped:
            yield self._batch(ready, skipped)

    def _batch(self, squares: list[Square], skipped: list[Skipped]) -> Batch:
        stacked = np.empty((len(squares), self._size, self._size), np.uint8)
        for row, square in enumerate(squares):
            stacked[row] = square.pixels
        return Batch(
            tuple(square.image_id for square in squares),
            stacked,
            tuple(square.geometry for square in squares),
            tuple(skipped),
        )


def stream_squares(
    images: Iterable[ImageRef],
    preprocess: Preprocess,
    batch_size: int,
    *,
    options: ReadOptions | None = None,
    workers: int | None = None,
) -> SquareStream:
    """Batches of squares that are decoded while the model works; see `SquareStream`.

    Example:
        >>> stream = stream_squares([ImageRef("a", Path("no-such-film.png"))], Preprocess(32), 4, workers=1)
        >>> [(batch.squares.shape, batch.skipped[0].reason[:8]) for batch in stream]
        [((0, 32, 32), 'missing:')]
    """
    return SquareStream(images, preprocess, batch_size, options, workers)

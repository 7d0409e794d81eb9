"""The image bytes of samples, read and checked in processes of their own."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import cv2

from offclip.data.files import Skipped
from offclip.data.image_files import skipped_image
from offclip.data.shards.options import ShardOptions
from offclip.data.shards.sample import Sample
from offclip.errors import ImageError
from offclip.images.pool import Decoded, DecoderPool
from offclip.images.preprocess import Preprocess

_ENDINGS = {"DICOM": "dcm", "PNG": "png", "JPEG": "jpg", "TIFF": "tif", "BMP": "bmp"}
# Only the size of a stored image is asked for, so that nearly nothing crosses the pipe.
_LOOK = Preprocess(16)


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image as it goes into a shard.

    Attributes:
        data: The bytes of its file.
        ending: Of the file name, such as `"png"`.
        height, width: Of the image in the shard, in pixels.
        original_height, original_width: Of the image as it was, which boxes are measured in.
    """

    data: bytes
    ending: str
    height: int
    width: int
    original_height: int
    original_width: int


def encoded_images(
    samples: Sequence[Sample], options: ShardOptions, workers: int | None = None
) -> Generator[EncodedImage | Skipped, None, None]:
    """The images of samples in their order, and why there is none.

    Args:
        samples: Whose images.
        options: Whether they are stored as they are or encoded anew.
        workers: Most processes.

    Raises:
        OffclipError: No process can be started.
    """
    preprocess = _LOOK if options.pixels is None else Preprocess(options.pixels)
    with DecoderPool(workers, options.read, preprocess) as pool:
        results = pool.map(sample.path for sample in samples)
        for sample, result in zip(samples, results, strict=True):
            if isinstance(result, ImageError):
                yield skipped_image(result, sample.image_id, str(sample.path))
                continue
            try:
                yield _stored(sample, result) if options.pixels is None else _encoded(result)
            except OSError as error:  # it was there when it was checked
                reason = f"cannot be read ({error.strerror or error})"
                yield Skipped(str(sample.path), 0, sample.image_id, reason)


def _stored(sample: Sample, result: Decoded) -> EncodedImage:
    grid = result.film.grid
    ending = _ENDINGS.get(result.film.metadata.format, sample.path.suffix.lstrip(".").lower() or "bin")
    return EncodedImage(sample.path.read_bytes(), ending, grid.height, grid.width, grid.height, grid.width)


def _encoded(result: Decoded) -> EncodedImage:
    record, square, grid = result.geometry, result.film.pixels, result.film.grid
    if record is None:
        raise OSError("it was not resized")
    inner = square[
        record.pad_top : record.pad_top + record.inner_height,
        record.pad_left : record.pad_left + record.inner_width,
    ]
    _, data = cv2.imencode(".png", inner)
    return EncodedImage(
        data.tobytes(), "png", record.inner_height, record.inner_width, grid.height, grid.width
    )

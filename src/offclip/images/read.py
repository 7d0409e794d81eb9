"""From an image file to 8-bit grey pixels, or a clear refusal."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from offclip.errors import ImageError
from offclip.images.limits import DEFAULT_LIMITS, Limits

FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
logging.getLogger("PIL").setLevel(logging.WARNING)


def read_image(path: str | Path, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """Reads a PNG, JPEG, TIFF or BMP file as grey.

    16-bit files are scaled by their full range, never by their own minimum and maximum, so that one
    film's grey values stay comparable with another's.

    Args:
        path: The file.
        limits: Largest file and image that are decoded.

    Returns:
        (H, W) uint8, with the EXIF orientation applied.

    Raises:
        ImageError: The file is missing, empty, too large, no image, of another format, or cut off.

    Example:
        >>> read_image("no-such-film.png")
        Traceback (most recent call last):
        ...
        offclip.errors.ImageError: no-such-film.png: the file does not exist. Check the path in the table.
    """
    path = Path(path)
    _check_file(path, limits)
    try:
        # Image.open reads the header only, so the size is known before any pixel is decoded.
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > limits.max_pixels:
                raise ImageError(
                    f"{path}: {image.width} x {image.height} pixels are more than {limits.max_pixels:,}.",
                    "Raise max_pixels if the image is genuine.",
                )
            if image.mode == "F":
                raise ImageError(
                    f"{path}: floating-point pixels have no known grey scale.",
                    "Save the image with 8 or 16 bits.",
                )
            return _to_grey(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{path}: not an image ({', '.join(FORMATS)}).", "Convert or remove the file."
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(
            f"{path}: far more pixels than {limits.max_pixels:,} ({error}).", "Make the image smaller."
        ) from error
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise ImageError(
            f"{path}: cannot be decoded ({error}).", "Fetch the file again; it may be cut off."
        ) from error


def _check_file(path: Path, limits: Limits) -> None:
    try:
        size = path.stat().st_size
        readable = path.is_file()
    except FileNotFoundError as error:
        raise ImageError(f"{path}: the file does not exist.", "Check the path in the table.") from error
    except (OSError, ValueError) as error:
        raise ImageError(
            f"{path}: cannot be opened ({error}).", "Check the path and its permissions."
        ) from error
    if not readable:
        raise ImageError(f"{path}: is a folder, not a file.", "Check the path in the table.")
    if size == 0:
        raise ImageError(f"{path}: the file is empty (0 bytes).", "Fetch the file again.")
    if size > limits.max_file_bytes:
        raise ImageError(
            f"{path}: {size:,} bytes are more than {limits.max_file_bytes:,}.",
            "Raise max_file_bytes if it is genuine.",
        )


def _to_grey(image: Image.Image) -> np.ndarray:
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):
        deep = np.asarray(image).astype(np.int64)
        return (deep.clip(0, 65535) // 257).astype(np.uint8)
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return np.asarray(image.convert("L"))

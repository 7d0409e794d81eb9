"""Resizing of 8-bit grey images: means over areas with OpenCV, or the filters of Pillow."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from PIL import Image

Resample = Literal["area", "bicubic", "bilinear", "lanczos", "box", "hamming", "nearest"]

# A strip of 1 x 5,000 pixels whose shorter side becomes 224 has 251 million.
_MOST_PIXELS = 2**26


def resize_part(
    pixels: np.ndarray, shape: tuple[int, int], rows: slice, columns: slice, resample: Resample
) -> np.ndarray:
    """Resizes an image and keeps a part of it.

    Args:
        pixels: (H, W) uint8.
        shape: Height and width of the whole resized image.
        rows: Which of its rows are kept.
        columns: Which of its columns are kept.
        resample: Means over areas, linear where the image grows; or Pillow's filter, bit by bit. Where the
            whole would have more than 67 million pixels, the part alone is computed, equal to one grey level.

    Returns:
        The part, (rows, columns) uint8. It may be a view of `pixels`.

    Example:
        >>> film = np.arange(16, dtype=np.uint8).reshape(4, 4)
        >>> resize_part(film, (2, 2), slice(0, 1), slice(0, 2), "box")
        array([[3, 5]], dtype=uint8)
    """
    height, width = shape
    if height * width > _MOST_PIXELS:
        return _directly(pixels, shape, rows, columns, resample)
    if resample == "area":
        return _area(pixels, height, width)[rows, columns]
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling[resample.upper()])
    return np.asarray(image)[rows, columns]


def _directly(
    pixels: np.ndarray, shape: tuple[int, int], rows: slice, columns: slice, resample: Resample
) -> np.ndarray:
    down, across = pixels.shape[0] / shape[0], pixels.shape[1] / shape[1]
    box = columns.start * across, rows.start * down, columns.stop * across, rows.stop * down
    # An image that is larger than any film has grown, where means over areas are linear.
    name = "bilinear" if resample == "area" else resample
    size = columns.stop - columns.start, rows.stop - rows.start
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling[name.upper()], box))


def _area(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Means over areas along an axis that shrinks, linear along one that grows."""
    # OpenCV takes means only when both axes shrink, so an axis that shrinks beside one that grows goes first.
    less = (min(width, pixels.shape[1]), min(height, pixels.shape[0]))
    if less != pixels.shape[::-1]:
        pixels = cv2.resize(pixels, less, interpolation=cv2.INTER_AREA)
    if less != (width, height):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return pixels

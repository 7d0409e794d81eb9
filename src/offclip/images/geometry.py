"""The invertible record of how an image became a model's square input."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from offclip.errors import InputError


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Resize with the aspect kept, then pad to a square, centred.

    Coordinates are continuous: a pixel (row r, column c) covers [c, c + 1) x [r, r + 1).

    Attributes:
        height, width: Original size in pixels.
        size: Side of the square.
        inner_height, inner_width: Size of the resized image inside the square.
        pad_top, pad_left: Black rows above and columns left of it.

    Example:
        >>> geometry = Letterbox.of(height=100, width=200, size=64)
        >>> geometry.to_square(x=100.0, y=50.0)
        (32.0, 32.0)
        >>> geometry.to_original(x=32.0, y=32.0)
        (100.0, 50.0)
    """

    height: int
    width: int
    size: int
    inner_height: int
    inner_width: int
    pad_top: int
    pad_left: int

    @classmethod
    def of(cls, height: int, width: int, size: int) -> Letterbox:
        """The record for an image of `height` x `width` pixels in a square of `size`."""
        if min(height, width, size) < 1:
            raise InputError(f"Image {height} x {width}, square {size}.", "Sizes must be at least one pixel.")
        scale = size / max(height, width)
        inner_height, inner_width = max(1, round(height * scale)), max(1, round(width * scale))
        return cls(
            height,
            width,
            size,
            inner_height,
            inner_width,
            (size - inner_height) // 2,
            (size - inner_width) // 2,
        )

    @property
    def scale(self) -> float:
        """Pixels of the square per original pixel."""
        return self.size / max(self.height, self.width)

    def to_square(self, x: float, y: float) -> tuple[float, float]:
        """A point of the original image in the square."""
        return (
            x * self.inner_width / self.width + self.pad_left,
            y * self.inner_height / self.height + self.pad_top,
        )

    def to_original(self, x: float, y: float) -> tuple[float, float]:
        """A point of the square in the original image; inverse of `to_square`."""
        return (
            (x - self.pad_left) * self.width / self.inner_width,
            (y - self.pad_top) * self.height / self.inner_height,
        )

    def map_to_original(self, heat_map: np.ndarray) -> np.ndarray:
        """A heat map (rows, columns) that covers the square, as (height, width) float32 over the image."""
        square = cv2.resize(
            heat_map.astype(np.float32), (self.size, self.size), interpolation=cv2.INTER_LINEAR
        )
        inner = square[
            self.pad_top : self.pad_top + self.inner_height, self.pad_left : self.pad_left + self.inner_width
        ]
        return cv2.resize(inner, (self.width, self.height), interpolation=cv2.INTER_LINEAR)

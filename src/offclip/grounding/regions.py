"""Where a finding is: boxes and masks in original pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offclip.errors import InputError


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in original pixels.

    Attributes:
        finding: What it encloses.
        x, y: Left and top edge.
        width, height: Size.
    """

    finding: str
    x: float
    y: float
    width: float
    height: float

    def holds(self, x: float, y: float, reach: float = 0.0) -> bool:
        """Whether a point lies inside, on the edge, or no further from it than `reach` pixels."""
        if self.x <= x <= self.x + self.width and self.y <= y <= self.y + self.height:
            return True
        dx = max(self.x - x, 0.0, x - self.x - self.width)
        dy = max(self.y - y, 0.0, y - self.y - self.height)
        return reach > 0 and math.hypot(dx, dy) <= reach

    def pixels(self, height: int, width: int) -> np.ndarray:
        """(height, width) bool: the pixels whose centre lies in the box.

        A box too small to hold one covers the pixel under its own centre, if that lies in the image.
        """
        rows = _between(self.y, self.height, height)
        columns = _between(self.x, self.width, width)
        return rows[:, None] & columns


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A region drawn pixel by pixel.

    Attributes:
        finding: What it covers.
        covered: (H, W) bool in original pixels.
    """

    finding: str
    covered: np.ndarray

    def __post_init__(self) -> None:
        if self.covered.ndim != 2 or self.covered.dtype != np.bool_:
            raise InputError(
                f"A mask of shape {self.covered.shape} and type {self.covered.dtype}.",
                "Give (height, width) of bool.",
            )

    def holds(self, x: float, y: float, reach: float = 0.0) -> bool:
        """Whether a covered pixel lies under a point, or no further from it than `reach` pixels.

        A pixel is a square; the far edges of the image belong to the last pixels.
        """
        height, width = self.covered.shape
        if (
            0 <= x <= width
            and 0 <= y <= height
            and self.covered[min(int(y), height - 1), min(int(x), width - 1)]
        ):
            return True
        if reach <= 0:
            return False
        left, top = max(0, int(x - reach) - 1), max(0, int(y - reach) - 1)
        near = self.covered[top : max(0, int(y + reach) + 2), left : max(0, int(x + reach) + 2)]
        rows, columns = np.nonzero(near)
        dx = np.maximum(np.maximum(columns + left - x, x - columns - left - 1), 0)
        dy = np.maximum(np.maximum(rows + top - y, y - rows - top - 1), 0)
        return bool((np.hypot(dx, dy) <= reach).any())

    def pixels(self, height: int, width: int) -> np.ndarray:
        """The covered pixels, (height, width) bool.

        Raises:
            InputError: The mask has another size.
        """
        if self.covered.shape != (height, width):
            raise InputError(
                f"A mask of {self.covered.shape[0]} x {self.covered.shape[1]} pixels on an image of "
                f"{height} x {width}.",
                "Give the mask in the pixels of the image file.",
            )
        return self.covered


Region = Box | Mask


def union(regions: Sequence[Region], height: int, width: int) -> np.ndarray:
    """The pixels of any of the regions, (height, width) bool.

    Raises:
        InputError: A mask has another size.

    Example:
        >>> union([Box("nodule", 0, 0, 2, 1), Box("nodule", 2.4, 1.4, 0.2, 0.2)], 2, 3).astype(int)
        array([[1, 1, 0],
               [0, 0, 1]])
    """
    covered = np.zeros((height, width), bool)
    for region in regions:
        covered |= region.pixels(height, width)
    return covered


def _between(start: float, length: float, pixels: int) -> np.ndarray:
    centres = np.arange(pixels) + 0.5
    inside = (centres >= start) & (centres <= start + length)
    middle = start + length / 2
    if not inside.any() and 0 <= middle < pixels:
        inside[int(middle)] = True
    return inside

"""The invertible record of how an image became a model's square input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from offclip.errors import InputError

CropRounding = Literal["even", "down"]


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle in continuous pixel coordinates.

    Attributes:
        x, y: Left and top edge.
        width, height: Size.
    """

    x: float
    y: float
    width: float
    height: float

    def within(self, width: float, height: float) -> Rectangle | None:
        """The part that lies in an image of that size, None when there is none.

        Example:
            >>> Rectangle(-2, 1, 5, 9).within(width=10, height=4)
            Rectangle(x=0, y=1, width=3, height=3)
        """
        left, top = max(self.x, 0), max(self.y, 0)
        right, bottom = min(self.x + self.width, width), min(self.y + self.height, height)
        return Rectangle(left, top, right - left, bottom - top) if right > left and bottom > top else None


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Resize, then pad or crop to a square; the one record of it, exact in both directions.

    Coordinates are continuous: a pixel (row r, column c) covers [c, c + 1) x [r, r + 1). Each axis has its
    own scale, so a shape that was rounded to whole pixels, and pixels that are not square, map exactly.

    Attributes:
        height, width: Original size in pixels.
        size: Side of the square.
        inner_height, inner_width: Size of the resized image.
        pad_top, pad_left: Black rows above and columns left of it. Negative where the square cuts rows or
            columns off.

    Example:
        >>> geometry = Letterbox.of(height=100, width=200, size=64)
        >>> geometry.to_square(x=100.0, y=50.0)
        (32.0, 32.0)
        >>> geometry.to_original(x=32.0, y=32.0)
        (100.0, 50.0)
        >>> geometry.box_to_square(Rectangle(50, 25, 100, 50))
        Rectangle(x=16.0, y=24.0, width=32.0, height=16.0)
    """

    height: int
    width: int
    size: int
    inner_height: int
    inner_width: int
    pad_top: int
    pad_left: int

    @classmethod
    def of(cls, height: int, width: int, size: int, aspect: float = 1.0) -> Letterbox:
        """The whole image in the square, as large as it can be, centred, with its true proportions.

        Args:
            height: Rows of the image.
            width: Columns of the image.
            size: Side of the square.
            aspect: Height of a pixel divided by its width.

        Raises:
            InputError: A size is below one pixel, or the aspect is not between 0.001 and 1000.

        Example:
            >>> tall_pixels = Letterbox.of(height=100, width=100, size=64, aspect=2.0)
            >>> tall_pixels.inner_height, tall_pixels.inner_width, tall_pixels.pad_left
            (64, 32, 16)
        """
        _check(height, width, size, aspect)
        true_height = height * aspect
        # In the order of operations of open_clip and timm, because half a pixel turns on the last bit.
        ratio = max(true_height, width) / size
        inner_height = min(size, max(1, round(true_height / ratio)))
        inner_width = min(size, max(1, round(width / ratio)))
        return cls(
            height,
            width,
            size,
            inner_height,
            inner_width,
            (size - inner_height) // 2,
            (size - inner_width) // 2,
        )

    @classmethod
    def crop(
        cls,
        height: int,
        width: int,
        resized: int,
        size: int,
        aspect: float = 1.0,
        rounding: CropRounding = "even",
    ) -> Letterbox:
        """As CLIP does it: the shorter side becomes `resized`, and the middle square is cut out.

        The longer side becomes `int(resized * long / short)`, as in torchvision and transformers.

        Args:
            height: Rows of the image.
            width: Columns of the image.
            resized: Shorter side after resizing, `size` or more.
            size: Side of the square.
            aspect: Height of a pixel divided by its width; the square shows true proportions.
            rounding: Where half a pixel goes: `"even"` to the even number (torchvision, open_clip, timm),
                `"down"` towards the top and left (transformers).

        Raises:
            InputError: A size is below one pixel, or the aspect is not between 0.001 and 1000.

        Example:
            >>> film = Letterbox.crop(height=300, width=200, resized=256, size=224)
            >>> film.inner_height, film.inner_width, film.pad_top, film.pad_left
            (384, 256, -80, -16)
            >>> film.visible
            Rectangle(x=12.5, y=62.5, width=175.0, height=175.0)
        """
        _check(height, width, size, aspect, resized)
        true_height = height * aspect
        long = int(resized * max(true_height, width) / min(true_height, width))
        inner_height, inner_width = (long, resized) if true_height >= width else (resized, long)
        pads = _cut(inner_height, size, rounding), _cut(inner_width, size, rounding)
        return cls(height, width, size, inner_height, inner_width, *pads)

    @classmethod
    def squash(
        cls, height: int, width: int, resized: int, size: int, rounding: CropRounding = "even"
    ) -> Letterbox:
        """As SigLIP does it: both sides become `resized`, whatever the proportions; the middle is cut out.

        Args:
            height: Rows of the image.
            width: Columns of the image.
            resized: Both sides after resizing, `size` or more.
            size: Side of the square.
            rounding: As in `crop`.

        Raises:
            InputError: A size is below one pixel.

        Example:
            >>> Letterbox.squash(height=300, width=200, resized=224, size=224).to_square(x=100, y=75)
            (112.0, 56.0)
        """
        _check(height, width, size, 1.0, resized)
        pad = _cut(resized, size, rounding)
        return cls(height, width, size, resized, resized, pad, pad)

    @classmethod
    def carzero(cls, height: int, width: int, resized: int = 256, size: int = 224) -> Letterbox:
        """As CARZero and OFF-CLIP do it: resize, pad to a square, and cut its border off.

        The longer side becomes `resized` and the shorter `int(short * (resized / long))`; padding is rounded
        down before the image and up after it; the middle `size` x `size` pixels are kept. They do not look at
        the aspect of a pixel.

        Raises:
            InputError: A size is below one pixel.

        Example:
            >>> film = Letterbox.carzero(height=3000, width=2500)
            >>> film.inner_height, film.inner_width, film.pad_top, film.pad_left
            (256, 213, -16, 5)
            >>> film.visible
            Rectangle(x=0, y=187.5, width=2500, height=2625.0)
        """
        _check(height, width, size, 1.0, resized)
        # In this order of operations, because the truncation turns on the last bit.
        share = resized / float(max(height, width))
        short = max(1, int(float(min(height, width)) * share))
        inner_height, inner_width = (resized, short) if height >= width else (short, resized)
        cut = (resized - size) // 2
        return cls(
            height,
            width,
            size,
            inner_height,
            inner_width,
            (resized - inner_height) // 2 - cut,
            (resized - inner_width) // 2 - cut,
        )

    def to_square(self, x: float, y: float) -> tuple[float, float]:
        """A point of the original image in the square; outside of it where it was cut off."""
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

    def box_to_square(self, box: Rectangle) -> Rectangle | None:
        """A box of the original image in the square, as far as it is visible there; None if it is not."""
        left, top = self.to_square(box.x, box.y)
        right, bottom = self.to_square(box.x + box.width, box.y + box.height)
        return Rectangle(left, top, right - left, bottom - top).within(self.size, self.size)

    def box_to_original(self, box: Rectangle) -> Rectangle | None:
        """A box of the square in the original image, without what lies in the padding; None if all does."""
        left, top = self.to_original(box.x, box.y)
        right, bottom = self.to_original(box.x + box.width, box.y + box.height)
        return Rectangle(left, top, right - left, bottom - top).within(self.width, self.height)

    @property
    def visible(self) -> Rectangle:
        """The part of the original image that the square shows."""
        shown = self.box_to_original(Rectangle(0, 0, self.size, self.size))
        return shown or Rectangle(0, 0, 0, 0)

    def map_to_original(self, heat_map: np.ndarray, outside: float = 0.0) -> np.ndarray:
        """A heat map that covers the square, over the image.

        Bilinear between the centres of the cells, constant beyond the outermost; where a pixel of the image
        is larger than a cell, the mean of the cells under it.

        Args:
            heat_map: (rows, columns), of any size.
            outside: Value for pixels whose centre was cut off.

        Returns:
            (height, width) float32.
        """
        rows = _weights(self.height, self.inner_height, self.pad_top, self.size, heat_map.shape[0])
        columns = _weights(self.width, self.inner_width, self.pad_left, self.size, heat_map.shape[1])
        image = rows @ heat_map.astype(np.float32) @ columns.T
        if outside:
            image[~rows.any(axis=1)] = outside
            image[:, ~columns.any(axis=1)] = outside
        return image


def _check(height: int, width: int, size: int, aspect: float, resized: int | None = None) -> None:
    if min(height, width, size) < 1:
        raise InputError(f"Image {height} x {width}, square {size}.", "Sizes must be at least one pixel.")
    if resized is not None and resized < size:
        raise InputError(
            f"Image {height} x {width}, resized to {resized}, square {size}.", "Resize to the square or more."
        )
    if not 0.001 <= aspect <= 1000:
        raise InputError(f"Pixel aspect {aspect}.", "Give the height of a pixel divided by its width.")


def _cut(inner: int, size: int, rounding: CropRounding) -> int:
    """The padding, negative, of a square that is cut out of the middle."""
    spare = inner - size
    return -(spare // 2) if rounding == "down" else -round(spare / 2)


def _weights(length: int, inner: int, pad: int, size: int, cells: int) -> np.ndarray:
    """(length, cells) float32: how much each cell counts for each original pixel along one axis.

    A row of zeros belongs to a pixel whose centre lies outside the square. Where the square shows less than a
    pixel and no centre, it belongs to a pixel that lies outside as a whole.
    """
    pixels = np.arange(length + 1)
    edges = (pixels * (inner / length) + pad) * (cells / size)  # of the pixels, in cells
    centres = (edges[:-1] + edges[1:]) / 2
    step = inner / length * cells / size
    index = np.arange(cells)
    if step <= 1:
        nearest = centres.clip(0.5, cells - 0.5) - 0.5
        weights = (1 - abs(nearest[:, None] - index)).clip(0)
    else:
        overlap = np.minimum(edges[1:, None], index + 1) - np.maximum(edges[:-1, None], index)
        weights = overlap.clip(0)
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    outside = (centres < 0) | (centres > cells)
    if not outside.all():
        weights[outside] = 0
    return weights.astype(np.float32)

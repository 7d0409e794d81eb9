"""From the grey pixels of a file to the tensor that a model takes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor

from offclip.images.geometry import Letterbox


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Letterbox to a square, then normalise.

    Attributes:
        size: Side of the square in pixels.
        mean: Mean that is taken off after scaling to [0, 1].
        std: Divisor after the mean is taken off.

    Example:
        >>> import torch
        >>> preprocess = Preprocess(size=64)
        >>> square, geometry = preprocess.fit(np.zeros((100, 200), np.uint8))
        >>> square.shape, geometry.pad_top
        ((64, 64), 16)
        >>> preprocess.normalise(torch.from_numpy(square)[None]).shape
        torch.Size([1, 1, 64, 64])
    """

    size: int
    mean: float = 0.5
    std: float = 0.25

    def fit(self, pixels: np.ndarray) -> tuple[np.ndarray, Letterbox]:
        """Resizes an 8-bit grey image (H, W), keeping its aspect, and pads it with black to (size, size).

        Returns:
            The square image (size, size) uint8, and the record that takes coordinates back.
        """
        geometry = Letterbox.of(height=pixels.shape[0], width=pixels.shape[1], size=self.size)
        shrinking = geometry.scale < 1
        resized = cv2.resize(
            pixels,
            (geometry.inner_width, geometry.inner_height),
            interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR,
        )
        square = np.zeros((self.size, self.size), np.uint8)
        rows = slice(geometry.pad_top, geometry.pad_top + geometry.inner_height)
        columns = slice(geometry.pad_left, geometry.pad_left + geometry.inner_width)
        square[rows, columns] = resized
        return square, geometry

    def normalise(self, squares: Tensor) -> Tensor:
        """(B, size, size) uint8 -> (B, 1, size, size) float32, ready for `encode_image`."""
        return squares.unsqueeze(1).float().div_(255.0).sub_(self.mean).div_(self.std)

"""From the grey pixels of a film to the tensor that a model takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import cv2
import numpy as np

from offclip.errors import InputError
from offclip.images.film import GreyPolicy, ReadOptions
from offclip.images.geometry import Letterbox

if TYPE_CHECKING:
    from torch import Tensor


Geometry = Literal["letterbox", "carzero", "crop", "squash"]
Resample = Literal["area", "bicubic", "bilinear", "lanczos", "box", "hamming", "nearest"]


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Fit into a square, then normalise. Stands in the card of a model.

    Attributes:
        size: Side of the square in pixels.
        mean: Mean that is taken off after scaling to [0, 1]; three of them make three channels of the grey one.
        std: Divisor after the mean is taken off; as many as there are means.
        geometry: `"letterbox"` shows the whole image with its true proportions; `"carzero"` resizes to 8/7 of
            the square and cuts the border off, as `Letterbox.carzero` says; `"crop"` brings the shorter side
            to `resized` and cuts the square out of the middle, as CLIP does; `"squash"` brings both sides to
            the square, as SigLIP does.
        grey: How the grey values of files are scaled for this model, see `ReadOptions.policy`.
        resample: `"area"`, means over areas; or Pillow's `"bicubic"`, `"bilinear"`, `"lanczos"`, `"box"`,
            `"hamming"` or `"nearest"`, bit by bit, for models that were trained with them.
        resized: With `"crop"`: the shorter side after resizing, `size` or more; None for `size`.
        crop_rounding: With `"crop"`: where half a pixel goes, `"even"` (torchvision) or `"down"` (Hugging Face).

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
    mean: float | tuple[float, ...] = 0.5
    std: float | tuple[float, ...] = 0.25
    geometry: Geometry = "letterbox"
    grey: GreyPolicy = "standard"
    resample: Resample = "area"
    resized: int | None = None
    crop_rounding: Literal["even", "down"] = "even"

    def __post_init__(self) -> None:
        for name in ("mean", "std"):  # JSON knows lists only
            value = getattr(self, name)
            object.__setattr__(self, name, tuple(value) if isinstance(value, list) else value)
        means, stds = self.channel_means, self.channel_stds
        numbers = all(isinstance(value, float | int) for value in (*means, *stds))
        if not numbers or len(means) != len(stds) or len(means) not in (1, 3) or min(stds) <= 0:
            raise InputError(
                f"mean {self.mean} and std {self.std}.", "Give one number each, or three; std above zero."
            )
        if self.geometry not in get_args(Geometry) or self.resample not in get_args(Resample):
            raise InputError(
                f"geometry {self.geometry!r}, resample {self.resample!r}.",
                f"Known: {', '.join(get_args(Geometry))}; {', '.join(get_args(Resample))}.",
            )

    @property
    def channel_means(self) -> tuple[float, ...]:
        """One mean a channel."""
        return self.mean if isinstance(self.mean, tuple) else (self.mean,)

    @property
    def channel_stds(self) -> tuple[float, ...]:
        """One deviation a channel."""
        return self.std if isinstance(self.std, tuple) else (self.std,)

    @classmethod
    def carzero(cls) -> Preprocess:
        """The recipe of CARZero and OFF-CLIP, bit by bit: 256, cut to 224, their mean and deviation.

        One channel is kept; they give three equal ones.
        """
        return cls(size=224, mean=0.4978, std=0.2449, geometry="carzero", grey="carzero")

    def read_options(self) -> ReadOptions:
        """How files are read for the model, as far as the model says."""
        return ReadOptions(policy=self.grey)

    def fit(self, pixels: np.ndarray, aspect: float = 1.0) -> tuple[np.ndarray, Letterbox]:
        """Resizes an 8-bit grey image, and pads it with black or crops it to the square.

        Args:
            pixels: (H, W) uint8.
            aspect: Height of a pixel divided by its width, as in `PixelGrid`; the geometry `"carzero"` does
                not look at it.

        Returns:
            The square image (size, size) uint8, and the record that takes coordinates back.
        """
        height, width = pixels.shape
        if self.geometry == "carzero":
            record = Letterbox.carzero(height, width, resized=self.size * 8 // 7, size=self.size)
            resized = cv2.resize(
                pixels, (record.inner_width, record.inner_height), interpolation=cv2.INTER_AREA
            )
        else:
            record = Letterbox.of(height, width, self.size, aspect)
            resized = _resize(pixels, record.inner_height, record.inner_width)
        if resized.shape == (self.size, self.size):
            return resized, record
        square = np.zeros((self.size, self.size), np.uint8)
        rows, from_rows = _overlap(self.size, record.inner_height, record.pad_top)
        columns, from_columns = _overlap(self.size, record.inner_width, record.pad_left)
        square[rows, columns] = resized[from_rows, from_columns]
        return square, record

    def normalise(self, squares: Tensor) -> Tensor:
        """(B, size, size) uint8 -> (B, C, size, size) float32, ready for `encode_image`; C means, C channels."""
        grey = squares.unsqueeze(1).float().div_(255.0)
        if not isinstance(self.mean, tuple):
            return grey.sub_(self.mean).div_(self.std)
        mean, std = (grey.new_tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return grey.sub(mean).div_(std)


def _resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Means over areas along an axis that shrinks, linear along one that grows."""
    if pixels.shape == (height, width):
        return pixels.copy()  # the caller may write into its square
    # OpenCV takes means only when both axes shrink, so an axis that shrinks beside one that grows goes first.
    less = (min(width, pixels.shape[1]), min(height, pixels.shape[0]))
    if less != pixels.shape[::-1]:
        pixels = cv2.resize(pixels, less, interpolation=cv2.INTER_AREA)
    if less != (width, height):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return pixels


def _overlap(size: int, inner: int, pad: int) -> tuple[slice, slice]:
    """Which part of the square shows which part of the resized image, along one axis."""
    start, stop = max(pad, 0), min(pad + inner, size)
    return slice(start, stop), slice(start - pad, stop - pad)

"""From the grey pixels of a film to the tensor that a model takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import cv2
import numpy as np

from offclip.errors import InputError
from offclip.images.film import GreyPolicy, ReadOptions
from offclip.images.geometry import CropRounding, Letterbox
from offclip.images.resize import Resample, resize_part

if TYPE_CHECKING:
    from torch import Tensor


Geometry = Literal["letterbox", "carzero", "crop", "squash"]

_LARGEST = 2**14  # a square of 256 MiB


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Fit into a square, then normalise. Stands in the card of a model.

    Attributes:
        size: Side of the square in pixels.
        mean: Mean that is taken off after scaling to [0, 1]; three of them make three channels.
        std: Divisor after the mean is taken off; as many as there are means.
        geometry: `"letterbox"` shows the whole image with its true proportions; `"carzero"` resizes to 8/7 of
            the square and cuts the border off, as `Letterbox.carzero` says; `"crop"` brings the shorter side
            to `resized` and cuts the square out of the middle, as CLIP does; `"squash"` brings both sides to
            `resized`, as SigLIP does, and cuts the middle out where that is more than the square.
        grey: How the grey values of files are scaled for this model, see `ReadOptions.policy`.
        resample: `"area"`, means over areas; or Pillow's `"bicubic"`, `"bilinear"`, `"lanczos"`, `"box"`,
            `"hamming"` or `"nearest"`, bit by bit, for models that were trained with them. `"carzero"` has
            its own.
        resized: With `"crop"` and `"squash"`: side after resizing, `size` or more; None for `size`.
        crop_rounding: With `"crop"` and `"squash"`: where half a pixel goes, see `Letterbox.crop`.

    Raises:
        InputError: A field is unknown, or has a value that cannot be.

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
    crop_rounding: CropRounding = "even"

    def __post_init__(self) -> None:
        for name in ("mean", "std"):  # JSON knows lists only
            value = getattr(self, name)
            object.__setattr__(self, name, tuple(value) if isinstance(value, list) else value)
        means, stds = self.channel_means, self.channel_stds
        if not all(map(_is_number, (*means, *stds))) or len(means) != len(stds) or len(means) not in (1, 3):
            raise InputError(f"mean {self.mean} and std {self.std}.", "Give one number each, or three.")
        if min(stds) <= 0:
            raise InputError(f"std {self.std}.", "It divides: give a number above zero.")
        kinds = {
            "geometry": Geometry,
            "grey": GreyPolicy,
            "resample": Resample,
            "crop_rounding": CropRounding,
        }
        for name, kind in kinds.items():
            if getattr(self, name) not in get_args(kind):
                raise InputError(f"{name} {getattr(self, name)!r}.", f"Known: {', '.join(get_args(kind))}.")
        if not _is_side(self.size) or not (self.resized is None or _is_side(self.resized)):
            raise InputError(
                f"size {self.size!r}, resized {self.resized!r}.", f"Give whole pixels, 1 to {_LARGEST:,}."
            )
        if self.resized is not None and (self.geometry not in ("crop", "squash") or self.resized < self.size):
            raise InputError(
                f"geometry {self.geometry!r}, size {self.size}, resized {self.resized}.",
                "Only 'crop' and 'squash' resize to more than the square, and never to less.",
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
            aspect: Height of a pixel divided by its width, as in `PixelGrid`. `"letterbox"` and `"crop"` show
                true proportions; `"squash"` has none to keep, and `"carzero"` does not look at it.

        Returns:
            The square image (size, size) uint8, and the record that takes coordinates back.

        Raises:
            InputError: The image cannot be fitted, see `Letterbox`.
        """
        height, width = pixels.shape
        record = self._record(height, width, aspect)
        inner = record.inner_height, record.inner_width
        rows, from_rows = _overlap(self.size, record.inner_height, record.pad_top)
        columns, from_columns = _overlap(self.size, record.inner_width, record.pad_left)
        if self.geometry == "carzero":
            part = cv2.resize(pixels, inner[::-1], interpolation=cv2.INTER_AREA)[from_rows, from_columns]
        else:
            part = resize_part(pixels, inner, from_rows, from_columns, self.resample)
        square = np.zeros((self.size, self.size), np.uint8)
        square[rows, columns] = part
        return square, record

    def _record(self, height: int, width: int, aspect: float) -> Letterbox:
        resized = self.resized or self.size
        if self.geometry == "carzero":
            return Letterbox.carzero(height, width, resized=self.size * 8 // 7, size=self.size)
        if self.geometry == "crop":
            return Letterbox.crop(height, width, resized, self.size, aspect, self.crop_rounding)
        if self.geometry == "squash":
            return Letterbox.squash(height, width, resized, self.size, self.crop_rounding)
        return Letterbox.of(height, width, self.size, aspect)

    def normalise(self, squares: Tensor) -> Tensor:
        """(B, size, size) uint8 -> (B, C, size, size) float32, for `encode_image`; C is how many means."""
        grey = squares.unsqueeze(1).float().div_(255.0)
        if isinstance(self.mean, tuple) or isinstance(self.std, tuple):
            mean, std = (
                grey.new_tensor(values).view(1, -1, 1, 1)
                for values in (self.channel_means, self.channel_stds)
            )
            return grey.sub(mean).div_(std)
        return grey.sub_(self.mean).div_(self.std)


def _overlap(size: int, inner: int, pad: int) -> tuple[slice, slice]:
    """Which part of the square shows which part of the resized image, along one axis."""
    start, stop = max(pad, 0), min(pad + inner, size)
    return slice(start, stop), slice(start - pad, stop - pad)


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)


def _is_side(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _LARGEST

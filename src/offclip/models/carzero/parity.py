"""Parity with the published code: the expected numbers are in the package, weights and inputs in formulas.

The numbers of the small geometry were made by an independent float64 implementation; those of the published
one by the published code in float64, its heat maps in float32.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from offclip.images.preprocess import Preprocess
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.fixture import (
    PUBLISHED_PROMPTS,
    TINY_PROMPTS,
    PromptRecipe,
    make_image,
    make_pixels,
    make_prompts,
    make_weights,
)
from offclip.models.carzero.model import CarZero

Size = Literal["tiny", "published"]

# What is allowed to a correct float32 implementation, with little to spare: a norm whose epsilon is ten times
# too large moves `sim` by 1.9e-5 only.
TOLERANCES: Mapping[str, float] = MappingProxyType(
    {"sim": 1.2e-5, "i2t": 1.5e-5, "t2i": 1.5e-5, "img_g": 1.2e-5, "txt_g": 2e-5, "heat_map": 1e-5}
)


@dataclass(frozen=True, slots=True)
class Expected:
    """A fixture and its numbers.

    Attributes:
        config: The geometry.
        salt: Of weights and prompts.
        prompts: The recipe of the prompts.
        image_seeds: Of the images.
        weights_crc: CRC-32 of all tensors, xor over the names of the published file.
        channels: The components of `img_g` and `txt_g` that are compared.
        values: By output: `i2t`, `t2i` and `sim` (B, T), `img_g` (B, channels), `txt_g` (T, channels), and
            `heat_map` (B, T, rows, columns), of which every `step`-th row and column is kept.
        step: See `values`.
    """

    config: CarZeroConfig
    salt: str
    prompts: PromptRecipe
    image_seeds: tuple[int, ...]
    weights_crc: int
    channels: tuple[int, ...]
    values: Mapping[str, np.ndarray]
    step: int


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far an output is from what it should be.

    Attributes:
        output: Its name.
        measured: Largest absolute difference.
        allowed: See `TOLERANCES`.
    """

    output: str
    measured: float
    allowed: float

    @property
    def within(self) -> bool:
        """Whether it is near enough; a difference that is not finite is not."""
        return self.measured <= self.allowed


@dataclass(frozen=True, slots=True)
class ExpectedPicture:
    """CRC-32 of a preprocessed picture.

    Attributes:
        height, width, seed: Of `make_image`.
        crc: Of the square that the published preprocessing makes of it.
    """

    height: int
    width: int
    seed: int
    crc: int


def expected(size: Size) -> Expected:
    """The expected numbers that travel with the package."""
    content = _read(size)
    config, prompts = (
        (CarZeroConfig.tiny(), TINY_PROMPTS) if size == "tiny" else (CarZeroConfig(), PUBLISHED_PROMPTS)
    )
    return Expected(
        config=config,
        salt=content["salt"],
        prompts=prompts,
        image_seeds=tuple(content["image_seeds"]),
        weights_crc=content["weights_crc"],
        channels=tuple(content["channels"]),
        values={name: np.asarray(value) for name, value in content["values"].items()},
        step=content["step"],
    )


def expected_pictures() -> tuple[ExpectedPicture, ...]:
    """What the published preprocessing makes of pictures of six sizes."""
    return tuple(ExpectedPicture(**picture) for picture in _read("published")["pictures"])


def deviations(size: Size) -> tuple[Deviation, ...]:
    """Makes the model of a fixture from the formulas and compares what it computes.

    Args:
        size: `"tiny"`, in a fraction of a second; or `"published"`, which takes about 2 GB and half a minute.

    Example:
        >>> all(deviation.within for deviation in deviations("tiny"))
        True
    """
    fixture = expected(size)
    weights = make_weights(fixture.config, fixture.salt)
    crc = weights_crc(weights)
    model = CarZero.from_state_dict(weights, fixture.config)
    del weights
    same = Deviation("weights, CRC-32", float(crc != fixture.weights_crc), 0.0)
    return (same, *measure(model, fixture))


def measure(model: CarZero, fixture: Expected) -> tuple[Deviation, ...]:
    """Compares what a model with the weights of a fixture computes."""
    pixels = make_pixels(list(fixture.image_seeds), fixture.config)
    prompts = make_prompts(fixture.salt, fixture.prompts)
    with torch.inference_mode():
        image = model.encode_image(pixels)
        text = model.encode_text(prompts.input_ids, prompts.attention_mask, prompts.is_continuation)
        channels, step = list(fixture.channels), fixture.step
        found: dict[str, Tensor] = {
            "i2t": model.i2t(image, text),
            "t2i": model.t2i(image, text),
            "sim": model.similarity(image, text),
            "img_g": image.pooled[:, channels],
            "txt_g": text.pooled[:, channels],
            "heat_map": model.heat_map(image, text)[..., ::step, ::step],
        }
    return tuple(
        Deviation(name, _difference(found[name], value), TOLERANCES[name])
        for name, value in fixture.values.items()
    )


def weights_crc(weights: Mapping[str, Tensor]) -> int:
    """CRC-32 of the bytes of every tensor, all of them xored.

    Example:
        >>> weights_crc({"a": torch.zeros(1), "b": torch.zeros(1)})
        0
    """
    crc = 0
    for tensor in weights.values():
        crc ^= zlib.crc32(tensor.numpy().tobytes())
    return crc


def picture_crc(picture: ExpectedPicture) -> int:
    """What this installation makes of a picture, to compare with `picture.crc`."""
    square, _ = Preprocess.carzero().fit(make_image(picture.seed, picture.height, picture.width))
    return zlib.crc32(square.tobytes())


def _difference(found: Tensor, value: np.ndarray) -> float:
    found = found.double()
    if tuple(found.shape) != value.shape:
        return float("inf")
    difference = (found - torch.from_numpy(value)).abs().max().item()
    return difference if np.isfinite(difference) else float("inf")


def _read(size: Size) -> dict:
    file = resources.files("offclip.models.carzero").joinpath(f"parity_{size}.json")
    return json.loads(file.read_text(encoding="utf-8"))

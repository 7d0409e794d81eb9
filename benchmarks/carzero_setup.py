"""What the scoring benchmark measures on: a model and inputs from formulas, and a clock."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.encoding import encode_tokens
from offclip.models.carzero.fixture import make_pixels, make_weights
from offclip.models.carzero.model import CarZero
from offclip.models.interface import ImageFeatures, TextFeatures

SALT = "offclip-golden-A"
TOKENS = 9  # of a prompt such as "There is a pleural effusion."
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


@dataclass(frozen=True, slots=True)
class Row:
    """CPU-seconds an image of one step both ways.

    Attributes:
        step: What is measured.
        prompts: T; 0 where it does not matter.
        plain, fast: Seconds.
        difference: Largest difference of the logits.
    """

    step: str
    prompts: int
    plain: float
    fast: float
    difference: float

    @property
    def ratio(self) -> float:
        """How many times faster."""
        return self.plain / self.fast


@dataclass(frozen=True, slots=True)
class Bench:
    """The model and what it scores.

    Attributes:
        model: In evaluation mode.
        pixels: (B, 1, S, S).
        image: Their features.
    """

    model: CarZero
    pixels: Tensor
    image: ImageFeatures


def make_bench(config: CarZeroConfig, images: int) -> Bench:
    """A model with the weights of the parity fixture, and pictures from its formulas."""
    model = CarZero.from_state_dict(make_weights(config, SALT), config)
    pixels = make_pixels(list(range(11, 11 + images)), config)
    with torch.inference_mode():
        return Bench(model, pixels, model.encode_image(pixels))


def make_tokens(config: CarZeroConfig, count: int, length: int = TOKENS) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask and marks of continuation of different prompts of one length, of whole words."""
    generator = np.random.default_rng(0)
    words = generator.permutation((config.vocabulary_size - 112) // 7)
    body = 112 + 7 * np.resize(words, (count, length - 2))
    ids = torch.from_numpy(
        np.pad(body, ((0, 0), (1, 1)), constant_values=((0, 0), (101, 102))).astype(np.int64)
    )
    return ids, torch.ones_like(ids), torch.zeros_like(ids)


def make_texts(model: CarZero, count: int) -> TextFeatures:
    """Encoded prompts."""
    with torch.inference_mode():
        return encode_tokens(model, *make_tokens(model.config, count))


def in_turns(ways: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """CPU-seconds of each way, the least of its repeats; they take turns, after one call each."""
    least = [float("inf")] * len(ways)
    for way in ways:
        way()
    for _ in range(repeats):
        for number, way in enumerate(ways):
            start = time.process_time()
            way()
            least[number] = min(least[number], time.process_time() - start)
    return least


def first_images(image: ImageFeatures, count: int) -> ImageFeatures:
    """Some of the images."""
    return ImageFeatures(image.pooled[:count], image.local[:count], image.grid)


def table(header: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """The processor, those of its instructions that matter, and the version of torch."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = set(said.get("flags", "").split())
    has = ", ".join(flag for flag in _FLAGS if flag in flags) or "unknown"
    lacks = ", ".join(flag for flag in _FLAGS if flag not in flags)
    name = said.get("model name", platform.processor() or platform.machine())
    torch_is = f"torch {torch.__version__}, {torch.get_num_threads()} thread(s)"
    return f"{name}; has {has}; lacks {lacks or 'none'}; {torch_is}"

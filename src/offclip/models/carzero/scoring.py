"""Images against a prepared set of sentences, with bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from offclip.errors import ConfigError
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.entries import image_entries
from offclip.models.carzero.fast import FastFusion, Queries
from offclip.models.carzero.folded import fold_queries
from offclip.models.carzero.prompt_set import PromptSet, prompt_set
from offclip.models.interface import ImageFeatures, TextFeatures

Precision = Literal["fp32", "bf16-towers", "bf16", "int8-towers"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16-towers", "bf16", "int8-towers")
# Images that ask sentences together, and images that are asked together: more bring nothing.
_ASKING, _ASKED = 64, 8


@dataclass(frozen=True, slots=True)
class ScoringOptions:
    """How a model scores. The defaults are exact.

    Attributes:
        precision: `fp32`; `bf16-towers` and `int8-towers` encode images and texts with fewer bits and compare
            them in float32; `bf16` does everything in bfloat16. All but the first change the logits.
        compile: Runs the image tower through `torch.compile`: a slow start, and mostly for GPUs.
        cuda_graphs: Replays the image tower as a CUDA graph; for small batches on a GPU.
        memory: Bytes that keys and values of sentences, and intermediate results, may take together.
        cache: Folder where encoded sentences are kept from one run to the next; none by default.
        cache_bytes: The folder is kept below this; what was used least recently goes first.

    Raises:
        ConfigError: A value is unknown or out of range.
    """

    precision: Precision = "fp32"
    compile: bool = False
    cuda_graphs: bool = False
    memory: int = 512 * 2**20
    cache: Path | None = None
    cache_bytes: int = 2**30

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"Unknown precision {self.precision!r}.", f"Choose one of: {', '.join(PRECISIONS)}."
            )
        for name in ("memory", "cache_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}.", "Give a number of bytes above zero.")
        if self.compile and self.cuda_graphs:
            raise ConfigError("compile and cuda_graphs exclude each other.", "Choose one of them.")


class Scorer:
    """Compares images with one set of sentences, again and again.

    Args:
        fusion: The decoder.
        text: The encoded sentences.
        config: The geometry.
        memory: Bytes for keys, values and intermediate results; half for each of the two.

    Example:
        >>> from offclip.models.carzero.model import CarZero
        >>> model = CarZero(CarZeroConfig.tiny()).eval()
        >>> ids = torch.tensor([[101, 110, 117, 102], [101, 124, 102, 0]])
        >>> text = model.encode_text(ids, ids != 0, torch.zeros_like(ids))
        >>> image = model.encode_image(torch.zeros(3, 1, 64, 64))
        >>> scorer = Scorer(FastFusion(model.fusion), text, model.config)
        >>> torch.allclose(scorer(image), model.similarity(image, text), atol=1e-5)
        True
    """

    def __init__(
        self,
        fusion: FastFusion,
        text: TextFeatures,
        config: CarZeroConfig,
        memory: int = ScoringOptions().memory,
    ) -> None:
        self.fusion, self.config = fusion, config
        with torch.inference_mode():
            self.prompts = prompt_set(fusion, text, config, memory // 2)
        self.pairs = max(1, memory // 2 // _bytes_a_pair(config))

    @torch.inference_mode()
    def __call__(self, image: ImageFeatures) -> Tensor:
        """Logits (B, T) of B images."""
        return (self.i2t(image) + self.t2i(image)) / 2

    def i2t(self, image: ImageFeatures) -> Tensor:
        """Logits (B, T) of the direction in which sentences look into images."""
        return sentences_into_images(self.fusion, self.prompts, image, self.config, self.pairs)

    def t2i(self, image: ImageFeatures) -> Tensor:
        """Logits (B, T) of the direction in which images look into sentences."""
        return images_into_sentences(self.fusion, self.prompts, image, self.pairs)


def sentences_into_images(
    fusion: FastFusion,
    prompts: PromptSet,
    image: ImageFeatures,
    config: CarZeroConfig,
    pairs: int,
    folded: bool | None = None,
) -> Tensor:
    """Logits (B, T), at most `pairs` pairs at a time; `folded` insists on a way, see `fold_queries`."""
    images = len(image.pooled)
    if folded is None:
        folded = fold_queries(len(prompts), 1 + image.local.shape[1], config)
    asked = max(1, min(images, _ASKED, pairs // len(prompts)))
    asking = max(1, pairs // asked)
    queries = [prompts.queries.select(part) for part in _slices(len(prompts), asking)]
    rows = []
    for part in _slices(images, asked):
        some = ImageFeatures(image.pooled[part], image.local[part], image.grid)
        memory = fusion.normed(image_entries(some))
        rows.append(torch.cat(_ask_all(fusion, queries, memory, folded), dim=1))
    return torch.cat(rows)


def images_into_sentences(fusion: FastFusion, prompts: PromptSet, image: ImageFeatures, pairs: int) -> Tensor:
    """Logits (B, T), at most `pairs` pairs at a time."""
    logits = image.pooled.new_empty(len(image.pooled), len(prompts), dtype=torch.float32)
    for asking in _slices(len(image.pooled), min(_ASKING, pairs)):
        queries = fusion.queries(image.pooled[asking])
        for part in prompts.parts:
            for some in _slices(len(part), max(1, pairs // len(queries))):
                logits[asking, part.rows[some]] = fusion.ask(queries, part.ready(fusion, some)).T
    return logits


def _ask_all(fusion: FastFusion, queries: list[Queries], memory: Tensor, folded: bool) -> list[Tensor]:
    if folded:
        return [fusion.ask_bare(some, memory) for some in queries]
    if len(queries) == 1:
        return [fusion.ask_once(queries[0], memory)]
    projected = fusion.project(memory)
    return [fusion.ask(some, projected) for some in queries]


def _bytes_a_pair(config: CarZeroConfig) -> int:
    """Of intermediate results, for one sentence and one image."""
    hidden = max(config.fusion_hidden, *config.head_widths)
    patches = 1 + config.grid[0] * config.grid[1]
    return 4 * (5 * config.width + 2 * hidden + config.fusion_heads * (2 * patches + 2 * config.width))


def _slices(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]

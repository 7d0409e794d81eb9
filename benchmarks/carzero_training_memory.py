"""What the backward pass keeps: counted on the graph at a small size, and multiplied out to any batch.

A direction that puts Q queries to M memories keeps `pair` x M x Q + `memory` x M + `query` x Q + `fixed`
bytes, exactly, so four counts give the four coefficients. A tower keeps so much for each image or sentence.
To that comes what the backward pass works with, see `Grid`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.model import CarZero
from offclip.models.interface import ImageFeatures, TextFeatures

WORDS = (
    12  # of a sentence, on average; a prompt such as "There is ..." has fewer, a report's sentence has more
)


@dataclass(frozen=True, slots=True)
class Direction:
    """Bytes that one direction of the grid keeps, see above."""

    pair: float
    memory: float
    query: float
    fixed: float

    def kept(self, memories: int, queries: int) -> float:
        """Bytes kept for so many memories and queries."""
        return self.pair * memories * queries + self.memory * memories + self.query * queries + self.fixed


@dataclass(frozen=True, slots=True)
class Grid:
    """Bytes of both directions, and of what their backward pass works with.

    Attributes:
        i2t: Images are memories.
        t2i: Sentences are memories.
        features: The vectors of one image.
        weights: The gradients of the decoder: they are gathered from all chunks before they are added to
            those that are there.
    """

    i2t: Direction
    t2i: Direction
    features: float
    weights: float

    def peak(self, batch: int, chunk: int | None) -> float:
        """Bytes where they are most, in the backward pass.

        Args:
            batch: B.
            chunk: Memories at a time, with recomputation; None keeps the whole grid.
        """
        # The gradients of the keys and values of a layer, both once more together, and of the memory.
        working = self.weights + 5 * self.features * (min(chunk, batch) if chunk else batch)
        if chunk is None:
            return self.i2t.kept(batch, batch) + self.t2i.kept(batch, batch) + working
        one = max(direction.kept(min(chunk, batch), batch) for direction in (self.i2t, self.t2i))
        # The gradients of the images come chunk by chunk and are put together at the end: twice there.
        return one + working + 2 * batch * self.features


@dataclass(frozen=True, slots=True)
class Tower:
    """Bytes that a tower keeps for one image or one sentence.

    Attributes:
        kept: Everything.
        inputs: The inputs of its layers alone, what recomputation keeps.
        layer: One layer, what recomputation needs on top while it works.
    """

    kept: float
    inputs: float
    layer: float


@dataclass(frozen=True, slots=True)
class Whole:
    """Bytes of a training step.

    Attributes:
        parameters: Trained weights, a number.
        copies: Bytes a weight for the copies that mixed precision keeps.
        grid: The grid.
        image: The image tower, for one image.
        text: The text tower, for one sentence.
    """

    parameters: int
    copies: int
    grid: Grid
    image: Tower
    text: Tower

    @property
    def states(self) -> float:
        """Weights, gradients and the two states of Adam in fp32, and the copies."""
        return self.parameters * (16.0 + self.copies)

    def activations(self, batch: int, chunk: int | None, recompute_towers: bool) -> float:
        """Bytes that the passes need on top of the states."""
        grid = self.grid.peak(batch, chunk)
        if not recompute_towers:
            return batch * (self.image.kept + self.text.kept) + grid
        # The grid is gone when the towers' layers are computed again, one tower after the other.
        again = batch * max(self.image.layer, self.text.layer)
        return batch * (self.image.inputs + self.text.inputs) + max(grid, again)


def without_towers(config: CarZeroConfig) -> CarZeroConfig:
    """The same decoder with towers of no layers: only the grid is looked at."""
    return replace(config, image_layers=0, text_layers=0, vocabulary_size=1)


def random_features(
    config: CarZeroConfig, images: int, texts: int, words: int = WORDS
) -> tuple[ImageFeatures, TextFeatures]:
    """Leaves of the graph in the place of what the towers give; `words` plus or minus a third a sentence."""
    generator = torch.Generator().manual_seed(0)

    def leaf(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).requires_grad_()

    image = ImageFeatures(
        leaf(images, config.width), leaf(images, config.grid[0] * config.grid[1], config.width), config.grid
    )
    spread = words // 3
    lengths = 2 + torch.randint(words - spread, words + spread + 1, (texts, 1), generator=generator)
    lengths[0] = 2 + words + spread  # [CLS] and [SEP] are words, too
    mask = torch.arange(int(lengths.max())) < lengths
    return image, TextFeatures(leaf(texts, config.width), leaf(texts, mask.shape[1], config.width), mask)


def kept_bytes(model: CarZero, form: Callable[[], Any]) -> int:
    """Bytes of all storages that the graph of `form()` holds, weights excepted."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = form()
    del result
    return sum(held.values())


def count_grid(config: CarZeroConfig, dropout: float, mixed: bool = False) -> Grid:
    """Counts what the grid keeps."""
    model = CarZero(without_towers(config), dropout).train()

    def kept(direction: Callable[[ImageFeatures, TextFeatures], Tensor], images: int, texts: int) -> int:
        features = random_features(config, images, texts)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            return kept_bytes(model, lambda: direction(*features))

    def solved(kept_at: Callable[[int, int], int]) -> Direction:
        few, of_queries, of_memories, many = kept_at(2, 2), kept_at(2, 4), kept_at(4, 2), kept_at(4, 4)
        pair = (many - of_queries - of_memories + few) / 4
        memory = (of_memories - few) / 2 - 2 * pair
        query = (of_queries - few) / 2 - 2 * pair
        return Direction(pair, memory, query, few - 4 * pair - 2 * memory - 2 * query)

    cells = config.grid[0] * config.grid[1]
    return Grid(
        solved(lambda memories, queries: kept(model.i2t, memories, queries)),
        solved(lambda memories, queries: kept(model.t2i, queries, memories)),
        4.0 * (1 + cells) * config.width,
        4.0 * sum(parameter.numel() for parameter in model.fusion.parameters()),
    )


def count_whole(config: CarZeroConfig, dropout: float, mixed: bool, pieces: int) -> Whole:
    """Counts what a training step keeps, with `pieces` word pieces a sentence."""
    model = CarZero(config, dropout).train()

    def images(count: int) -> Any:
        return model.encode_image(torch.zeros(count, 1, config.image_size, config.image_size)).local

    def texts(count: int) -> Any:
        ids = torch.full((count, pieces), 5)
        return model.encode_text(ids, torch.ones_like(ids), torch.zeros_like(ids)).tokens

    def tower(encode: Callable[[int], Any], layers: int, tokens: int) -> Tower:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            two, four = (kept_bytes(model, lambda n=n: encode(n)) for n in (2, 4))
        kept = (four - two) / 2
        return Tower(kept, 4.0 * layers * tokens * config.width, kept / layers)

    cells = config.grid[0] * config.grid[1]
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return Whole(
        trained,
        2 if mixed else 0,
        count_grid(config, dropout, mixed),
        tower(images, config.image_layers, 1 + cells),
        tower(texts, config.text_layers, pieces),
    )

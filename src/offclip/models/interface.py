"""The one interface that every model has: features, similarity, heat maps.

Training, zero-shot scoring, grounding and evaluation talk to this interface only, so that a compact
tower, a published checkpoint and somebody else's CLIP are interchangeable.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from offclip.images.preprocess import Preprocess


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """What an image tower returns for a batch of B images.

    Attributes:
        pooled: (B, D) one vector an image, not normalised.
        local: (B, P, D) one vector a grid cell, row by row, in the same space as `pooled`.
        grid: (rows, columns) of the cells; rows * columns = P.
    """

    pooled: Tensor
    local: Tensor
    grid: tuple[int, int]


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """What a text tower returns for T texts of at most L tokens.

    Attributes:
        pooled: (T, D) one vector a text, not normalised.
        tokens: (T, L, D) one vector a token.
        mask: (T, L) True where a token is no padding.
    """

    pooled: Tensor
    tokens: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class Tower:
    """The parts of one tower: what is frozen, tuned in part, or trained at a rate of its own.

    Attributes:
        module: All of the tower.
        blocks: Its layers from input to output; what stands before the first and behind the last is in none.
        fresh: Parts that no pretraining has seen, such as a new projection: they are always trained.
    """

    module: nn.Module
    blocks: tuple[nn.Module, ...]
    fresh: tuple[nn.Module, ...] = ()


class Tokenizer(Protocol):
    """From text to ids. A model without one has a tokenizer that says so when it is asked.

    Attributes:
        max_tokens: Longer texts are cut here.
    """

    max_tokens: int

    @property
    def vocabulary_size(self) -> int:
        """Number of different ids."""
        ...

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Two int64 tensors (T, L): ids, and the attention mask (1 token, 0 padding)."""
        ...

    def to_json(self) -> str:
        """The tokenizer as text, for the model folder; whoever loads the model knows how to read it."""
        ...


class ClipModel(nn.Module, ABC):
    """A model that compares chest X-rays with sentences.

    Attributes:
        preprocess: From file pixels to the tensor that `encode_image` takes; travels with the weights.
        tokenizer: From text to the ids that `encode_text` takes; travels with the weights.
        untrained: What in it is random, for a warning; empty when all of it was trained.
        licence: Of the weights, as far as it is known.
    """

    preprocess: Preprocess
    tokenizer: Tokenizer
    untrained: str = ""
    licence: str = ""

    @abstractmethod
    def encode_image(self, pixels: Tensor) -> ImageFeatures:
        """Encodes (B, C, S, S) pixels, as `preprocess.normalise` makes them; C is 1 or 3."""

    @abstractmethod
    def encode_text(self, input_ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """Encodes (T, L) token ids; `attention_mask` is 1 at tokens and 0 at padding."""

    @abstractmethod
    def similarity(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """Compares every image with every text.

        Returns:
            (B, T) logits; a higher logit means that the sentence fits the image better.
        """

    def training_logits(self, image: ImageFeatures, text: TextFeatures) -> tuple[Tensor, ...]:
        """The logit matrices that a loss is applied to and averaged over.

        Returns:
            One or more of (B, T); `similarity` alone, unless a model compares in several ways.
        """
        return (self.similarity(image, text),)

    @abstractmethod
    def heat_map(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """Says where in each image each text is seen.

        Returns:
            (B, T, rows, columns) on the grid of the local image features; only the order of the
            values within one map has a meaning.
        """

    def towers(self) -> Mapping[str, Tower]:
        """The towers by name, `image` and `text`; what belongs to none compares the two.

        A model that names none can be scored with and trained as a whole, but not in part.
        """
        return {}

    @property
    def cam_layer(self) -> nn.Module | None:
        """The layer of the image tower that Grad-CAM looks at, see `grounding.gradients`; None for none."""
        return None

    @property
    def device(self) -> torch.device:
        """The device that the weights are on."""
        return next(self.parameters()).device

    def embed_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Tokenises and encodes T texts."""
        input_ids, attention_mask = self.tokenizer(texts)
        return self.encode_text(input_ids.to(self.device), attention_mask.to(self.device))

    def scorer(self, prompts: Sequence[str]) -> Callable[[ImageFeatures], Tensor]:
        """Encodes T texts once, and returns what compares images with them, again and again: (B, T)."""
        text = self.embed_texts(prompts)
        return lambda image: self.similarity(image, text)

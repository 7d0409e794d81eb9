"""Two towers of other libraries under the cosine head: what every adapted model is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from offclip.images.preprocess import Preprocess
from offclip.models.heads import MAX_LOGIT_SCALE, CosineHead
from offclip.models.interface import ImageFeatures, TextFeatures, Tokenizer, Tower
from offclip.models.two_towers import TwoTowers


@dataclass(frozen=True, slots=True)
class AdaptedConfig:
    """What a model folder needs to build an adapted model again, without the hub. All of it is JSON.

    Attributes:
        family: Name of the family, see `families.FAMILIES`.
        source: The name that the model was loaded by.
        embed_dim: D, size of the joint space.
        image: What the family needs to build the image tower.
        text: What the family needs to build the text tower.
        local: How cells of a vision transformer are read off, see `last_block.LOCAL`.
        max_logit_scale: Where the scale of the logits is cut off.
    """

    family: str
    source: str
    embed_dim: int
    image: Mapping[str, Any] = field(default_factory=dict)
    text: Mapping[str, Any] = field(default_factory=dict)
    local: str = "values"
    max_logit_scale: float = MAX_LOGIT_SCALE


class AdaptedTower(nn.Module, ABC):
    """A tower with its projection into the joint space."""

    @property
    @abstractmethod
    def blocks(self) -> Sequence[nn.Module]:
        """Its layers, from input to output: transformer blocks, or stages of a CNN."""

    @property
    def fresh(self) -> Sequence[nn.Module]:
        """Parts that no pretraining has seen: they are always trained."""
        return ()


class ImageTower(AdaptedTower):
    """An image tower."""

    @property
    @abstractmethod
    def cam_layer(self) -> nn.Module:
        """The last layer whose cells all have an effect on the logit; see `grounding.gradients.grad_cam`."""

    @abstractmethod
    def forward(self, pixels: Tensor) -> ImageFeatures:
        """(B, 3, S, S) normalised pixels -> pooled (B, D) and local (B, P, D)."""


class TextTower(AdaptedTower):
    """A text tower."""

    @abstractmethod
    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """(T, L) ids and mask -> pooled (T, D) and tokens (T, L, D).

        The caller may have cut columns off that are padding in all rows; a tower whose result depends on them
        puts them back.
        """


class AdaptedClip(TwoTowers[ImageTower, TextTower, CosineHead]):
    """A CLIP of another library: its two towers, its scale and its bias.

    Args:
        config: Says how to build it again.
        image_tower: With its projection.
        text_tower: With its projection.
        preprocess: The model's own.
        tokenizer: The model's own.
        log_scale: Logarithm of the scale of the logits.
        bias: Added to the logits.
    """

    def __init__(
        self,
        config: AdaptedConfig,
        image_tower: ImageTower,
        text_tower: TextTower,
        preprocess: Preprocess,
        tokenizer: Tokenizer,
        log_scale: float,
        bias: float = 0.0,
    ) -> None:
        super().__init__()
        self.config = config
        self.preprocess = preprocess
        self.tokenizer = tokenizer
        self.image_tower = image_tower
        self.text_tower = text_tower
        self.head = CosineHead(logit_bias=bias, max_logit_scale=config.max_logit_scale)
        nn.init.constant_(self.head.log_scale, log_scale)

    def towers(self) -> Mapping[str, Tower]:
        """The parts that freezing, LoRA and layer-wise rates act on."""
        return {
            "image": Tower(self.image_tower, tuple(self.image_tower.blocks), tuple(self.image_tower.fresh)),
            "text": Tower(self.text_tower, tuple(self.text_tower.blocks), tuple(self.text_tower.fresh)),
        }

    @property
    def cam_layer(self) -> nn.Module:
        """Where Grad-CAM looks."""
        return self.image_tower.cam_layer

"""An image tower and a text tower under one similarity head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from offclip.errors import ConfigError
from offclip.images.preprocess import Preprocess
from offclip.models.heads import CosineHead, CrossAttentionHead
from offclip.models.image_tower import STRIDE, CompactImageTower
from offclip.models.interface import Tower
from offclip.models.text_tower import CompactTextTower
from offclip.models.tokenizer import TextTokenizer
from offclip.models.two_towers import TwoTowers

HEADS = ("cosine", "cross-attention")


@dataclass(frozen=True, slots=True)
class DualEncoderConfig:
    """Geometry of a compact dual encoder.

    Attributes:
        image_size: S, side of the square input in pixels; a multiple of 8.
        image_width: Channels of the first convolution.
        text_width: Size of the token vectors.
        text_layers: Transformer layers of the text tower.
        embed_dim: D, size of the joint space.
        head: `cosine` or `cross-attention`.
        logit_scale: Initial scale of the cosine head.
        logit_bias: Initial bias of the logits.
    """

    image_size: int = 64
    image_width: int = 24
    text_width: int = 128
    text_layers: int = 2
    embed_dim: int = 128
    head: str = "cosine"
    logit_scale: float = 10.0
    logit_bias: float = 0.0

    def __post_init__(self) -> None:
        if self.image_size < 2 * STRIDE or self.image_size % STRIDE:
            raise ConfigError(
                f"image_size is {self.image_size}.", f"Choose a multiple of {STRIDE}, at least {2 * STRIDE}."
            )
        if self.head not in HEADS:
            raise ConfigError(f"Unknown head {self.head!r}.", f"Choose one of: {', '.join(HEADS)}.")


class DualEncoder(TwoTowers[CompactImageTower, CompactTextTower, CosineHead | CrossAttentionHead]):
    """A compact CLIP for chest X-rays.

    Args:
        config: The geometry.
        tokenizer: Learnt from the training sentences.

    Example:
        >>> import torch
        >>> tokenizer = TextTokenizer.fit(["There is no finding.", "There is a nodule."])
        >>> config = DualEncoderConfig(image_width=8, embed_dim=32, text_width=32)
        >>> model = DualEncoder(config, tokenizer).eval()
        >>> image = model.encode_image(torch.zeros(2, 1, 64, 64))
        >>> text = model.embed_texts(["There is a nodule.", "There is no finding.", "A nodule."])
        >>> model.similarity(image, text).shape, model.heat_map(image, text).shape
        (torch.Size([2, 3]), torch.Size([2, 3, 8, 8]))
    """

    def __init__(self, config: DualEncoderConfig, tokenizer: TextTokenizer) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = tokenizer
        self.preprocess = Preprocess(size=config.image_size)
        self.image_tower = CompactImageTower(config.image_width, config.embed_dim)
        self.text_tower = CompactTextTower(
            tokenizer.vocabulary_size,
            tokenizer.max_tokens,
            config.text_width,
            config.text_layers,
            config.embed_dim,
        )
        self.head = (
            CosineHead(config.logit_scale, config.logit_bias)
            if config.head == "cosine"
            else CrossAttentionHead(config.embed_dim, logit_bias=config.logit_bias)
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def towers(self) -> Mapping[str, Tower]:
        """The parts that freezing, LoRA and layer-wise rates act on."""
        image, text = self.image_tower, self.text_tower
        return {"image": Tower(image, tuple(image.blocks)), "text": Tower(text, tuple(text.encoder.layers))}

    @property
    def cam_layer(self) -> nn.Module:
        """All blocks of the image tower."""
        return self.image_tower.blocks

"""An image tower and a text tower whose features one head compares."""

from __future__ import annotations

from typing import Generic, TypeVar

from torch import Tensor, nn

from offclip.models.heads import CosineHead, CrossAttentionHead
from offclip.models.interface import ClipModel, ImageFeatures, TextFeatures

ImageT = TypeVar("ImageT", bound=nn.Module)
TextT = TypeVar("TextT", bound=nn.Module)
HeadT = TypeVar("HeadT", bound=CosineHead | CrossAttentionHead)


class TwoTowers(ClipModel, Generic[ImageT, TextT, HeadT]):
    """What compact models and those of other libraries have in common.

    Attributes:
        image_tower: From pixels to `ImageFeatures`.
        text_tower: From ids and mask to `TextFeatures`.
        head: Compares them.
    """

    image_tower: ImageT
    text_tower: TextT
    head: HeadT

    def encode_image(self, pixels: Tensor) -> ImageFeatures:
        """Encodes (B, C, S, S) pixels, as `preprocess.normalise` makes them."""
        return self.image_tower(pixels)

    def encode_text(self, input_ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """Encodes (T, L) token ids."""
        return self.text_tower(input_ids, attention_mask)

    def similarity(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """Logits (B, T) of the head."""
        return self.head(image, text)

    def heat_map(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """Maps (B, T, rows, columns) of the head."""
        return self.head.heat_map(image, text)

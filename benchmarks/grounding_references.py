"""What a heat map must beat: a constant, the middle of the film, the edges of the film."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from offclip.images.preprocess import Preprocess
from offclip.models.interface import ClipModel, ImageFeatures, TextFeatures

CELLS = 8


class Reference(ClipModel):
    """A map of the pixels alone, the same for every sentence; it has no weights and no text.

    Args:
        compute: From normalised pixels (B, 1, S, S) to maps (B, rows, columns).
        preprocess: That of the models it is compared with.
    """

    def __init__(self, compute: Callable[[Tensor], Tensor], preprocess: Preprocess) -> None:
        super().__init__()
        self.compute, self.preprocess = compute, preprocess
        self.nothing = nn.Parameter(torch.zeros(1))

    def encode_image(self, pixels: Tensor) -> ImageFeatures:
        """The map as the only feature."""
        maps = self.compute(pixels)
        return ImageFeatures(maps.flatten(1), maps.flatten(1).unsqueeze(-1), (maps.shape[1], maps.shape[2]))

    def encode_text(self, input_ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """Nothing, one a text."""
        return TextFeatures(input_ids.float(), input_ids.float().unsqueeze(1), attention_mask.bool())

    def embed_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Nothing, one a text."""
        return self.encode_text(torch.zeros(len(texts), 1), torch.ones(len(texts), 1))

    def similarity(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """Zero."""
        return torch.zeros(len(image.pooled), len(text.pooled))

    def heat_map(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """The map, whatever the sentence."""
        return image.pooled.unsqueeze(1).expand(-1, len(text.pooled), -1).unflatten(-1, image.grid)


def constant(pixels: Tensor) -> Tensor:
    """Every cell alike."""
    return torch.ones(len(pixels), CELLS, CELLS)


def middle(pixels: Tensor) -> Tensor:
    """A hill in the middle of the square."""
    along = (torch.arange(CELLS) + 0.5) / CELLS - 0.5
    hill = torch.exp(-(along[:, None] ** 2 + along**2) / (2 * 0.2**2))
    return hill.expand(len(pixels), -1, -1)


def edges(pixels: Tensor) -> Tensor:
    """Mean change from pixel to pixel in each cell."""
    change = torch.zeros_like(pixels)
    change[..., 1:] += (pixels[..., 1:] - pixels[..., :-1]).abs()
    change[..., 1:, :] += (pixels[..., 1:, :] - pixels[..., :-1, :]).abs()
    return nn.functional.adaptive_avg_pool2d(change, CELLS).squeeze(1)


REFERENCES = {"constant map": constant, "middle of the film": middle, "edges of the film": edges}

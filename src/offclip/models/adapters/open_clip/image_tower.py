"""Image towers of open_clip: its vision transformer, CLIP's ResNet, and those of timm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from offclip.models.adapters.adapted import ImageTower
from offclip.models.adapters.last_block import last_block_cells
from offclip.models.interface import ImageFeatures


class OpenClipImageTower(ImageTower):
    """An image tower of open_clip, as it is; its cells are brought into the joint space.

    The pooled vector is what open_clip itself returns, and cells come out of the same pass.

    Args:
        visual: `model.visual` of open_clip.
        local: How cells of a transformer are read off its last block, see `last_block.LOCAL`.
    """

    def __init__(self, visual: nn.Module, local: str) -> None:
        super().__init__()
        self.visual: Any = visual
        self.local = local


class VisionTransformerTower(OpenClipImageTower):
    """open_clip's `VisionTransformer`, with a class token, a mean, or attentional pooling (CoCa)."""

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Its blocks."""
        return tuple(self.visual.transformer.resblocks)

    @property
    def cam_layer(self) -> nn.Module:
        """The last block, or the one before if of the last only the class token counts."""
        only_class = self.visual.attn_pool is None and self.visual.pool_type == "tok"
        return self.blocks[-2 if only_class else -1]

    def forward(self, pixels: Tensor) -> ImageFeatures:
        """(B, 3, S, S) normalised pixels -> pooled (B, D) and local (B, P, D)."""
        blocks = self.blocks
        found = self.visual.forward_intermediates(
            pixels, indices=[len(blocks) - 2, len(blocks) - 1], output_fmt="NLC", output_extra_tokens=True
        )
        parts = zip(found["image_intermediates_prefix"], found["image_intermediates"], strict=True)
        before, after = (torch.cat(pair, dim=1) for pair in parts)  # B N C
        tokens = after if self.local == "tokens" else last_block_cells(blocks[-1], before, self.local)
        return ImageFeatures(
            found["image_features"], self._projected(tokens[:, 1:]), tuple(self.visual.grid_size)
        )

    def _projected(self, cells: Tensor) -> Tensor:
        """The way of the pooled vector, for each cell alone: an attention that sees one returns its value."""
        if self.visual.attn_pool is not None:
            cells = _values(self.visual.attn_pool, cells)
        cells = self.visual.ln_post(cells)
        return cells if self.visual.proj is None else cells @ self.visual.proj


class ModifiedResNetTower(OpenClipImageTower):
    """CLIP's ResNet, which ends in attentional pooling.

    Without attention a cell is what it puts in, place included: its value and the output projection.
    """

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Its four stages."""
        visual = self.visual
        return (visual.layer1, visual.layer2, visual.layer3, visual.layer4)

    @property
    def cam_layer(self) -> nn.Module:
        """The last stage."""
        return self.visual.layer4

    def forward(self, pixels: Tensor) -> ImageFeatures:
        """(B, 3, S, S) normalised pixels -> pooled (B, D) and local (B, P, D)."""
        found = self.visual.forward_intermediates(pixels, indices=1)
        maps, pool = found["image_intermediates"][-1], self.visual.attnpool  # B C h w
        cells = maps.flatten(2).transpose(1, 2) + pool.positional_embedding[1:]
        return ImageFeatures(found["image_features"], pool.c_proj(pool.v_proj(cells)), tuple(maps.shape[2:]))


def _values(pooler: Any, cells: Tensor) -> Tensor:
    """What an attentional pooler returns, to any query, for each cell when that is all it sees."""
    attention, width = pooler.attn, pooler.attn.embed_dim
    joined = attention.in_proj_weight
    weight = attention.v_proj_weight if joined is None else joined[2 * width :]
    values = F.linear(pooler.ln_k(cells), weight, attention.in_proj_bias[2 * width :])
    return attention.out_proj(values)

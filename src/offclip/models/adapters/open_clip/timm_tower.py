"""Image towers of open_clip whose trunk is a model of timm: SigLIP, EVA, ConvNeXt, BiomedCLIP and others."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from offclip.models.adapters.last_block import last_block_cells
from offclip.models.adapters.open_clip.image_tower import OpenClipImageTower
from offclip.models.adapters.timm.image_tower import blocks_of, prefix_tokens
from offclip.models.interface import ImageFeatures


class TimmTokenTower(OpenClipImageTower):
    """A trunk that returns tokens. A cell goes the way of the pooled vector, as if all tokens were it."""

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Its blocks."""
        return blocks_of(self.visual.trunk)

    @property
    def cam_layer(self) -> nn.Module:
        """The last block, or the one before if of the last only the class token counts."""
        trunk = self.visual.trunk
        only_class = getattr(trunk, "attn_pool", None) is None and trunk.global_pool == "token"
        return self.blocks[-2 if only_class else -1]

    def forward(self, pixels: Tensor) -> ImageFeatures:
        """(B, 3, S, S) normalised pixels -> pooled (B, D) and local (B, P, D)."""
        trunk, blocks = self.visual.trunk, self.blocks
        prefix = prefix_tokens(trunk)
        tokens, (found,) = trunk.forward_intermediates(
            pixels, indices=[len(blocks) - 2], return_prefix_tokens=prefix > 0
        )
        maps, before = found if isinstance(found, tuple) else (found, None)  # B C h w
        cells = tokens
        if self.local != "tokens":
            hidden = maps.flatten(2).transpose(1, 2)
            hidden = hidden if before is None else torch.cat([before, hidden], dim=1)
            cells = trunk.norm(last_block_cells(blocks[-1], hidden, self.local))
        cells = cells[:, prefix:]
        alone = cells.flatten(0, 1).unsqueeze(1).expand(-1, prefix + 1, -1)  # B*P N C
        local = self._head(alone).unflatten(0, cells.shape[:2])
        return ImageFeatures(self._head(tokens), local, tuple(maps.shape[2:]))

    def _head(self, tokens: Tensor) -> Tensor:
        return self.visual.head(self.visual.trunk.forward_head(tokens))


class TimmMapTower(OpenClipImageTower):
    """A trunk that returns a map, such as a CNN. Each cell goes through the head as a map of its own."""

    def __init__(self, visual: nn.Module, local: str) -> None:
        super().__init__(visual, local)
        self.last_map = nn.Identity()  # Grad-CAM looks here: channels first, whatever the trunk prefers

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Its stages."""
        return blocks_of(self.visual.trunk)

    @property
    def cam_layer(self) -> nn.Module:
        """The end of the last stage."""
        return self.last_map

    def forward(self, pixels: Tensor) -> ImageFeatures:
        """(B, 3, S, S) normalised pixels -> pooled (B, D) and local (B, P, D)."""
        trunk = self.visual.trunk
        last = getattr(trunk, "output_fmt", "NCHW") == "NHWC"
        maps = trunk.forward_features(pixels)
        maps = self.last_map(maps.permute(0, 3, 1, 2) if last else maps)
        cells = maps.flatten(2).transpose(1, 2)  # B P C
        alone = cells.flatten(0, 1)[:, :, None, None]  # B*P C 1 1
        local = self._head(alone, last).unflatten(0, cells.shape[:2])
        return ImageFeatures(self._head(maps, last), local, tuple(maps.shape[2:]))

    def _head(self, maps: Tensor, channels_last: bool) -> Tensor:
        maps = maps.permute(0, 2, 3, 1) if channels_last else maps
        return self.visual.head(self.visual.trunk.forward_head(maps))


def has_tokens(visual: Any) -> bool:
    """Whether a trunk of timm is a transformer that returns tokens, not a map."""
    method = getattr(visual.trunk, "forward_intermediates", None)
    return method is not None and "return_prefix_tokens" in inspect.signature(method).parameters

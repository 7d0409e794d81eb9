"""An image tower of timm under a projection into the joint space."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from offclip.errors import ConfigError
from offclip.models.adapters.adapted import ImageTower
from offclip.models.adapters.last_block import last_block_cells
from offclip.models.adapters.library import library
from offclip.models.interface import ImageFeatures

LAYOUTS = ("channels-first", "channels-last", "tokens")
# Where timm's models keep their layers, by family; what has none of them is taken apart by its children.
_LISTS = ("blocks", "stages", "layers", "network", "features")
_NUMBERED = ("layer", "s")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model returns.

    Attributes:
        layout: Of its `forward_features`, one of `LAYOUTS`.
        width: Of its pooled features.
        unused: Its direct parts that these do not depend on, such as a layer between pooling and classifier.
    """

    layout: str
    width: int
    unused: tuple[str, ...]


class TimmImageTower(ImageTower):
    """A model of timm without its classifier.

    A model that ends in a map is pooled by the mean of its cells, whatever its classifier did: the dot
    product of a cell with a sentence is then exactly what the cell adds to the logit. A model that ends in
    tokens is pooled as timm does it before the classifier, and its cells go the same way one by one.

    Args:
        trunk: The model of timm, made with `num_classes=0`; what the features do not depend on is taken out.
        shape: What it returns.
        embed_dim: D, the size of the joint space.
        local: How cells are read off the last block, see `last_block.LOCAL`; `tokens` unless timm's
            `VisionTransformer`.
    """

    def __init__(self, trunk: nn.Module, shape: Shape, embed_dim: int, local: str = "tokens") -> None:
        super().__init__()
        self.trunk, self.layout, self.local = trunk, shape.layout, local
        for name in shape.unused:
            setattr(trunk, name, nn.Identity())
        self.map = nn.Identity()  # where Grad-CAM finds the map with its channels first, whatever the layout
        self.project = nn.Linear(shape.width, embed_dim)
        if self.layout == "channels-first":
            trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Blocks of a transformer, stages of a CNN."""
        return blocks_of(self.trunk)

    @property
    def fresh(self) -> Sequence[nn.Module]:
        """The projection."""
        return (self.project,)

    @property
    def cam_layer(self) -> nn.Module:
        """The map; of tokens the last block but one, because behind the last only the pooled one counts."""
        return self.map if self.layout != "tokens" else self.blocks[-2 if len(self.blocks) > 1 else -1]

    def forward(self, pixels: Tensor) -> ImageFeatures:
        """(B, C, S, S) normalised pixels -> pooled (B, D) and local (B, P, D)."""
        if self.layout == "tokens":
            pooled, cells = self._tokens(pixels)
            side = math.isqrt(cells.shape[1])
            grid = (side, side)
        else:
            trunk: Any = self.trunk
            maps = trunk.forward_features(pixels.contiguous(memory_format=torch.channels_last))
            maps = self.map(maps if self.layout == "channels-first" else maps.permute(0, 3, 1, 2))
            grid = (maps.shape[2], maps.shape[3])
            cells = maps.flatten(2).transpose(1, 2)  # B C h w -> B P C
            pooled = cells.mean(dim=1)
        return ImageFeatures(self.project(pooled), self.project(cells), grid)

    def _tokens(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled (B, C) and cells (B, P, C)."""
        trunk: Any = self.trunk
        if self.local == "tokens":
            tokens = cells = trunk.forward_features(pixels)
        else:
            tokens, hidden = _with_hidden(trunk, pixels)
            cells = trunk.norm(last_block_cells(trunk.blocks[-1], hidden, self.local))
        cells = cells[:, prefix_tokens(trunk) :]
        if getattr(trunk, "attn_pool", None) is not None:
            cells = trunk.attn_pool(cells.flatten(0, 1).unsqueeze(1)).view(*cells.shape[:2], -1)
        if (norm := getattr(trunk, "fc_norm", None)) is not None:
            cells = norm(cells)
        return trunk.forward_head(tokens, pre_logits=True), cells


@torch.inference_mode(False)  # weights that are made in it could not be trained
def make_trunk(architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A model of timm without a classifier, with random weights.

    Raises:
        ConfigError: It cannot be made so, such as a size that its patches do not divide.
    """
    timm = library("timm", "timm")
    try:
        return timm.create_model(architecture, pretrained=False, num_classes=0, **arguments)
    except (AssertionError, RuntimeError, TypeError, ValueError, KeyError) as error:
        raise ConfigError(
            f"timm cannot make {architecture} with {dict(arguments)} ({str(error).strip()[:200]}).",
            "Choose another model, or an image size that suits it.",
        ) from error


@torch.inference_mode(False)
@torch.enable_grad()
def look_at(trunk: nn.Module, channels: int, size: int) -> Shape:
    """Runs a model on one empty image of a size, to see what it returns.

    Raises:
        ConfigError: It cannot take that size, or has no features on a grid.
    """
    model: Any = trunk.eval()
    name = f"timm's {type(trunk).__name__}"
    try:
        features = model.forward_features(torch.zeros(1, channels, size, size))
        layout = _layout(features, model.num_features, getattr(model, "output_fmt", "NCHW"), trunk)
        returned = [features]
        if layout == "tokens":
            returned.append(model.forward_head(features, pre_logits=True))
    except (AssertionError, RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ConfigError(
            f"{name} cannot take {size} x {size} pixels ({str(error).strip()[:200]}).",
            "Leave the image size out to take the model's own.",
        ) from error
    if not layout:
        raise ConfigError(f"{name} has no features on a grid.", "Choose a CNN or a vision transformer.")
    width = returned[-1].shape[-1] if layout == "tokens" else model.num_features
    parameters = dict(trunk.named_parameters())
    total = torch.stack([part.sum() for part in returned]).sum()
    gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
    used = {
        n.partition(".")[0] for n, gradient in zip(parameters, gradients, strict=True) if gradient is not None
    }
    return Shape(layout, width, tuple(sorted({n.partition(".")[0] for n in parameters} - used)))


def _layout(features: Any, width: int, order: str, trunk: nn.Module) -> str:
    """One of `LAYOUTS`; empty where there is no grid."""
    if not isinstance(features, Tensor):
        return ""
    if features.ndim == 4:
        layout, axis = ("channels-last", -1) if order == "NHWC" else ("channels-first", 1)
        return layout if features.shape[axis] == width else ""
    cells = features.shape[1] - prefix_tokens(trunk) if features.ndim == 3 else 0
    return "tokens" if cells > 0 and math.isqrt(cells) ** 2 == cells else ""


def reads_last_block(trunk: nn.Module) -> bool:
    """Whether cells can be read off the last block in other ways than as its tokens."""
    transformer = library("timm.models.vision_transformer", "timm").VisionTransformer
    return isinstance(trunk, transformer) and len(blocks_of(trunk)) > 1


def prefix_tokens(trunk: nn.Module) -> int:
    """Tokens that stand before those of the grid."""
    return getattr(trunk, "num_prefix_tokens", 0) or 0


def blocks_of(trunk: nn.Module) -> tuple[nn.Module, ...]:
    """The layers of a model, from the pixels on."""
    for name in _LISTS:
        found = getattr(trunk, name, None)
        if isinstance(found, nn.Sequential | nn.ModuleList) and len(found):
            # A norm alone is no layer that is worth tuning.
            return tuple(layer for layer in found if any(p.ndim > 1 for p in layer.parameters()))
    for name in _NUMBERED:
        numbered = [getattr(trunk, f"{name}{number}", None) for number in range(1, 10)]
        if found := [layer for layer in numbered if isinstance(layer, nn.Module)]:
            return tuple(found)
    return tuple(child for child in trunk.children() if next(child.parameters(), None) is not None)


def _with_hidden(trunk: Any, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """All tokens after the last norm, and what went into the last block, (B, N, C) both."""
    before = len(trunk.blocks) - 2
    tokens, (found,) = trunk.forward_intermediates(
        pixels, indices=[before], return_prefix_tokens=True, output_fmt="NLC"
    )
    return tokens, found if isinstance(found, Tensor) else torch.cat(
        found[::-1], dim=1
    )  # prefix, then patches

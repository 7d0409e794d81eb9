"""The vision transformer of CARZero: ViT-B/16 as in MAE, without dropout."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from offclip.models.carzero.config import CarZeroConfig
from offclip.models.interface import ImageFeatures

_EPS = 1e-6
# On a CPU a larger batch is no faster, and takes 7 MB an image.
_AT_A_TIME = 8


class ImageTower(nn.Module):
    """Patches and a class token through pre-norm blocks; the parameters bear the names of the file.

    Args:
        config: The geometry.

    Attributes:
        recompute: Keep the input of each block alone for the backward pass, and compute the rest again.
    """

    recompute: bool = False

    def __init__(self, config: CarZeroConfig) -> None:
        super().__init__()
        self.grid = config.grid
        rows, columns = config.grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        # Sines and cosines in the published file, and stored there: never computed anew.
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + rows * columns, config.width), requires_grad=False)
        self.patch_embed = _PatchEmbed(config)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.image_layers))
        self.norm = nn.LayerNorm(config.width, _EPS)

    def forward(self, pixels: Tensor) -> ImageFeatures:
        """Encodes (B, 1, S, S) grey pixels, or (B, 3, S, S)."""
        if pixels.device.type == "cpu" and not torch.is_grad_enabled() and len(pixels) > _AT_A_TIME:
            x = torch.cat([self._encode(part) for part in pixels.split(_AT_A_TIME)])
        else:
            x = self._encode(pixels)
        return ImageFeatures(x[:, 0], x[:, 1:], self.grid)

    def _encode(self, pixels: Tensor) -> Tensor:
        projection = self.patch_embed.proj
        weight: Tensor = projection.weight
        if pixels.shape[1] == 1:  # three equal channels: the weights can be added up first, exactly
            weight = weight.sum(dim=1, keepdim=True)
        patches = F.conv2d(pixels, weight, projection.bias, projection.kernel_size)
        x = patches.flatten(2).transpose(1, 2) + self.pos_embed[:, 1:]  # B D h w -> B P D
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1)
        x = torch.cat([first.to(x.dtype), x], dim=1)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.recompute else block(x)
        return self.norm(x)


class _Block(nn.Module):
    def __init__(self, config: CarZeroConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, _EPS)
        self.attn = _Attention(config.width, config.image_heads)
        self.norm2 = nn.LayerNorm(config.width, _EPS)
        self.mlp = _Mlp(config.width, config.image_hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attn(self.norm1(x)).add_(x)
        return self.mlp(self.norm2(x)).add_(x)


class _PatchEmbed(nn.Module):
    def __init__(self, config: CarZeroConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, config.width, config.patch_size, config.patch_size)


class _Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))  # the exact GELU, not the tanh one


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(query, key, value)  # B H N d
        return self.proj(found.transpose(1, 2).flatten(2))

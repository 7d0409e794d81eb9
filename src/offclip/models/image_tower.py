"""A compact convolutional image tower that trains on two CPU cores and keeps its local features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from offclip.models.interface import ImageFeatures

STRIDE = 8


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the first may halve the grid and widen the channels."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C_out, H / stride, W / stride)."""
        return torch.relu(self.body(x) + self.shortcut(x))


class CompactImageTower(nn.Module):
    """From (B, 1, S, S) pixels to one vector an image and one a cell of 8 x 8 pixels.

    Every cell is scaled by how much the tower attends to it, and the pooled vector is the mean of the cells.
    The dot product of a cell with a sentence is therefore exactly what that cell adds to the logit.

    Args:
        width: Channels of the first layer; the last has 4 times as many.
        embed_dim: D, the size of the joint space.
    """

    def __init__(self, width: int = 24, embed_dim: int = 128) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.blocks = nn.Sequential(
            ResidualBlock(width, 2 * width, 2),
            ResidualBlock(2 * width, 4 * width, 2),
            ResidualBlock(4 * width, 4 * width, 1),
        )
        # Centred, because otherwise all films have nearly the same vector at first, and a contrastive loss
        # sees no difference between them.
        self.project = nn.Sequential(nn.BatchNorm2d(4 * width), nn.Conv2d(4 * width, embed_dim, 1))
        # From zero, so that every cell counts alike until there is a reason to look somewhere.
        self.attend = nn.Conv2d(4 * width, 1, 1)
        nn.init.zeros_(self.attend.weight)

    def forward(self, pixels: Tensor) -> ImageFeatures:
        """(B, 1, S, S) normalised pixels -> pooled (B, D) and local (B, P, D) features."""
        maps = self.blocks(self.stem(pixels.contiguous(memory_format=torch.channels_last)))
        cells = self.project(maps).flatten(2).transpose(1, 2)  # B D h w -> B P D
        attention = self.attend(maps).flatten(2).transpose(1, 2).float().softmax(dim=1)  # B P 1
        # Half the weight is spread evenly: attention that settles on a corner early would starve the rest.
        local = cells * (0.5 + 0.5 * attention * attention.shape[1])
        return ImageFeatures(pooled=local.mean(dim=1), local=local, grid=(maps.shape[2], maps.shape[3]))

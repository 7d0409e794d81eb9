"""Random but mild changes of a batch of films.

No flip: the sentences say left and right.
"""

from __future__ import annotations

import torch
from kornia import augmentation as K
from torch import Tensor, nn


def make_augmentation() -> nn.Module:
    """Rotation to 8 degrees, shift to 5 %, scale within 8 %, and exposure, on (B, 1, S, S) in [0, 1]."""
    return K.AugmentationSequential(
        K.RandomAffine(degrees=8.0, translate=(0.05, 0.05), scale=(0.92, 1.08), p=1.0),
        K.RandomBrightness((0.85, 1.15), p=1.0),
        K.RandomContrast((0.8, 1.2), p=1.0),
        data_keys=["input"],
    )


def augment(squares: Tensor, augmentation: nn.Module, seed: tuple[int, int, int]) -> Tensor:
    """Augments (B, S, S) uint8 and returns the same kind; the same seed gives the same pixels.

    The random state outside stays as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(hash(seed) & 0x7FFF_FFFF_FFFF_FFFF)
        changed = augmentation(squares.unsqueeze(1).float().div_(255.0))
    return changed.squeeze(1).mul_(255.0).round_().clamp_(0, 255).to(torch.uint8)

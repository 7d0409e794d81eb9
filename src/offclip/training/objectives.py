"""From the name of an objective to its loss module."""

from __future__ import annotations

from torch import nn

from offclip.losses import InfoNceLoss, MultiPositiveLoss, OffClipLoss, OffDiagonalLoss, SigLipLoss
from offclip.training.config import TrainConfig


def make_loss(config: TrainConfig) -> nn.Module:
    """The loss of a recipe; called as `loss(logits, normal, uncertain=..., identical=...)`."""
    match config.objective:
        case "infonce":
            return InfoNceLoss()
        case "siglip":
            return SigLipLoss()
        case "off-diagonal":
            return OffDiagonalLoss(weighting=config.cell_weighting, bias=config.off_diagonal_bias)
        case "multi-positive":
            return MultiPositiveLoss()
        case _:
            return OffClipLoss(
                off_diagonal_weight=config.off_diagonal_weight,
                abnormal_weight=config.abnormal_weight,
                off_diagonal_bias=config.off_diagonal_bias,
                weighting=config.cell_weighting,
            )

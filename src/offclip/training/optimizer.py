"""The optimiser of a run: what decays, which rate a layer has, and how the rate goes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from offclip.training.config import TrainConfig


def make_optimizer(
    model: nn.Module, config: TrainConfig, depths: Mapping[nn.Parameter, int] | None = None
) -> torch.optim.Optimizer:
    """AdamW over what is trained. It decays matrices only: never norms, biases, or the logit scale.

    Args:
        model: What is frozen in it has no place in the optimiser.
        config: The recipe.
        depths: How many blocks stand behind a parameter, plus one, see `Tuning.depths`; 0 where it is
            missing. A group has the rate times `share`, which is `layer_decay` to this power.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    levels = sorted({depths.get(p, 0) for p in trained}) if depths else [0]
    groups = []
    for level in levels:
        here = [p for p in trained if not depths or depths.get(p, 0) == level]
        matrices, others = [p for p in here if p.ndim >= 2], [p for p in here if p.ndim < 2]
        share = config.layer_decay**level
        groups += [
            {"params": parameters, "weight_decay": decay, "share": share}
            for parameters, decay in ((matrices, config.weight_decay), (others, 0.0))
            if parameters
        ]
    return torch.optim.AdamW(groups, lr=config.peak_rate, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Gives every group its share of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("share", 1.0)  # states of older runs have none


def learning_rate(step: int, steps: int, config: TrainConfig) -> float:
    """Linear warm-up, then half a cosine to zero."""
    warmup = max(1, round(config.warmup_share * steps))
    if step < warmup:
        return config.peak_rate * (step + 1) / warmup
    return config.peak_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

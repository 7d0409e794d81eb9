"""A running mean of the weights."""

from __future__ import annotations

from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from offclip.models.interface import ClipModel


def running_mean(model: ClipModel, decay: float) -> AveragedModel:
    """Its `module` is a copy of the model whose weights `update_parameters` moves towards those of the model.

    After n steps the decay is min(decay, (1 + n) / (10 + n)), so that a short run, too, forgets the first
    weights. Buffers, such as the statistics of batch norm, are copied.
    """

    def mean(averaged: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
        n = int(steps)
        return averaged.lerp(current, 1 - min(decay, (1 + n) / (10 + n)))

    return AveragedModel(model, avg_fn=mean)

"""In which numbers a step is computed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn


class Precision:
    """Mixed precision of one run.

    Args:
        name: As in the recipe.
        device: Where the model is.

    Attributes:
        dtype: What is multiplied; None for float32.
        scaler: Keeps small gradients of fp16 from vanishing; it does nothing otherwise.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        self.device = device
        self.dtype: torch.dtype | None = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(name)
        if name == "auto" and multiplies_bf16(device):
            self.dtype = torch.bfloat16
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype is torch.float16)

    def autocast(self) -> AbstractContextManager[Any]:
        """In which the forward pass runs."""
        return torch.autocast(self.device.type, self.dtype or torch.bfloat16, enabled=self.dtype is not None)

    def step(self, optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter]) -> None:
        """Clips the gradients to norm 1 and takes the step; not in fp16, where they overflowed."""
        self.scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        self.scaler.step(optimizer)
        self.scaler.update()


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 matrices in hardware (Ampere and later; AMX on x86)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported()

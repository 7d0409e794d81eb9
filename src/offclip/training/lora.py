"""LoRA: small matrices beside frozen ones, and nothing left of them at the end (Hu et al., ICLR 2022)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from offclip.errors import ConfigError
from offclip.models.adapters.library import library
from offclip.models.interface import Tower


def add_lora(name: str, tower: Tower, rank: int, alpha: float) -> None:
    """Freezes a tower and puts a trainable product of two small matrices beside each of its matrices.

    The product is zero at first, so the tower computes what it computed before.

    Args:
        name: Of the tower, for the error.
        tower: The tower; it is changed in place.
        rank: Rank of the products.
        alpha: The products are multiplied by `alpha / rank`.

    Raises:
        ConfigError: peft is missing, or there is nothing to adapt.
    """
    peft = library("peft", "lora")
    targets = lora_targets(tower)
    if not targets:
        raise ConfigError(
            f"{name}_layers is 'lora', and that tower has no linear layer, attention or plain convolution.",
            "Choose 'last-N' or 'all'.",
        )
    config = peft.LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules="|".join(map(re.escape, targets))
    )
    peft.tuners.lora.LoraModel(tower.module, config, "default")
    del tower.module.peft_config  # type: ignore[operator]  # peft would count the next tower as the same model


def lora_targets(tower: Tower) -> list[str]:
    """Names of the layers that LoRA adapts.

    All linear layers; torch's own attention as one layer, because it reads the weights of its linear ones
    itself; in the blocks, the convolutions that mix all channels. What is trained anyway is left out.
    """
    skipped = {module for part in tower.fresh for module in part.modules()}
    in_blocks = {module for block in tower.blocks for module in block.modules()}
    found = []
    for name, module in tower.module.named_modules():
        if module in skipped:
            continue
        if isinstance(module, nn.MultiheadAttention):
            skipped.update(module.modules())
            if module._qkv_same_embed_dim:
                found.append(name)
        elif isinstance(module, nn.Linear) or (
            isinstance(module, nn.Conv2d) and module.groups == 1 and module in in_blocks
        ):
            found.append(name)
    return found


def merge_lora(model: nn.Module) -> None:
    """Adds the products to the matrices they stand beside, and takes the adapters out; if there are any."""
    while (found := next(_adapters(model), None)) is not None:
        path, layer = found
        parent, _, own = path.rpartition(".")
        if hasattr(layer, "unload_and_optionally_merge_module"):
            plain = layer.unload_and_optionally_merge_module(merge=True, safe_merge=True, adapter_names=None)
        else:
            layer.merge(safe_merge=True)
            plain = layer.get_base_layer()
        setattr(model.get_submodule(parent), own, plain)


@contextmanager
def adapters_in_use(model: nn.Module) -> Iterator[None]:
    """Keeps torch's fused transformer layer away while there are adapters: it reads weights past them."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(before and next(_adapters(model), None) is None)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _adapters(model: nn.Module) -> Iterator[tuple[str, Any]]:
    return ((name, layer) for name, layer in model.named_modules() if hasattr(layer, "lora_A"))

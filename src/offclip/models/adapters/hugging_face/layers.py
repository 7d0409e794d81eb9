"""Where the layers of a tower of transformers are."""

from __future__ import annotations

from torch import nn


def layers_of(tower: nn.Module) -> nn.ModuleList:
    """The layers of a tower: its outermost list of modules.

    Example:
        >>> tower = nn.Sequential(nn.Linear(2, 2), nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)]))
        >>> len(layers_of(tower))
        2
    """
    return next(module for module in tower.modules() if isinstance(module, nn.ModuleList))

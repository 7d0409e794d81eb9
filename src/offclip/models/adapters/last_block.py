"""What a cell of a vision transformer says: read off the last block in one of several ways."""

from __future__ import annotations

from torch import Tensor, nn

LOCAL = ("tokens", "values", "self-attention")


def last_block_cells(block: nn.Module, hidden: Tensor, how: str) -> Tensor:
    """(B, N, C) what goes into the last block -> (B, N, C) what is read off it, cell by cell."""
    del how
    return block(hidden)

"""Brings the rows of all processes together, so that a loss sees the pairs of the whole batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


class AllGather:
    """From the rows of this process to those of all, in the order of the ranks, with their gradient.

    It is what `OffClipLoss(gather=...)` takes. Every process then computes the same loss, that of the whole
    batch. In the backward pass a process gets the sum over all processes of the gradients of its rows;
    DistributedDataParallel takes the mean over the processes, and the parameters end with the gradient that
    one process with the whole batch would have.

    Without an initialised process group, or with a single process, the rows are returned as they are.

    Args:
        group: The processes; all of them by default.
        equal: Every process has as many rows as every other, as with a loader that drops the last batch.
            That spares an exchange of the numbers of rows, for which a GPU must wait; where it is not true
            the processes hang or fail.

    Example:
        >>> AllGather()(torch.ones(2, 3)).shape
        torch.Size([2, 3])
    """

    def __init__(self, group: dist.ProcessGroup | None = None, *, equal: bool = False) -> None:
        self.group = group
        self.equal = equal

    def __call__(self, rows: Tensor) -> Tensor:
        """Gathers (n, ...) of this process; n may differ from process to process.

        Args:
            rows: Of the same type and the same further dimensions everywhere. All processes must call, with
                and without gradient alike.

        Returns:
            (N, ...), N being the sum of the n.
        """
        if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size(self.group) == 1:
            return rows
        if rows.dtype == torch.bool:  # not every backend sends bits
            return self(rows.to(torch.uint8)).bool()
        counts = self._counts(rows)
        return _Gathered.apply(rows, counts, self.group)  # pyright: ignore[reportReturnType]

    def _counts(self, rows: Tensor) -> list[int]:
        world = dist.get_world_size(self.group)
        if self.equal:
            return [len(rows)] * world
        counts = rows.new_empty(world, dtype=torch.int64)
        own = counts.new_tensor([len(rows)])
        dist.all_gather(list(counts.split(1)), own, group=self.group)
        return counts.tolist()

    def __repr__(self) -> str:
        return f"AllGather(equal={self.equal})"


class _Gathered(torch.autograd.Function):
    """Padded to the longest, gathered, cut; backward sums over the processes and keeps the own rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int], group: dist.ProcessGroup | None) -> Tensor:
        ctx.counts, ctx.group = counts, group
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        everyone = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(everyone, padded, group=group)
        return torch.cat([part[:count] for part, count in zip(everyone, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=ctx.group)
        start = sum(ctx.counts[: dist.get_rank(ctx.group)])
        return total[start : start + ctx.counts[dist.get_rank(ctx.group)]], None, None

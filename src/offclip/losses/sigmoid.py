"""Sigmoid losses: every cell is a yes-or-no question of its own.

SigLIP asks it with the diagonal as the only positives; the off-diagonal term of OFF-CLIP also calls the
cells of two normal pairs positive.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from offclip.errors import InputError
from offclip.losses.checks import check_batch, check_finite, check_identical, check_logits, computable
from offclip.losses.targets import diagonal, known_cells, target_matrix

Weighting = Literal["blocks", "balanced", "mean", "sum"]
OFF_DIAGONAL_BIAS = -3.0


def siglip_loss(logits: Tensor, *, identical: Tensor | None = None) -> Tensor:
    """The sigmoid loss of SigLIP: -1/N sum_ij log sigmoid(z_ij x_ij), z = 1 on the diagonal, else -1.

    Args:
        logits: Logits x with scale and bias already in them, (N, N) float; rows images, columns texts.
        identical: Cells of verbatim-equal text, (N, N) bool. Off the diagonal they are left out.

    Returns:
        The loss, a scalar of float32, or of float64 for float64 logits.

    Raises:
        InputError: The logits are not a non-empty square float matrix, or `identical` does not fit.

    Source:
        Zhai et al., Sigmoid Loss for Language Image Pre-Training, ICCV 2023, equation 1.

    Example:
        >>> round(siglip_loss(torch.zeros(4, 4)).item(), 4)  # 4 log 2
        2.7726
    """
    check_logits(logits)
    positive = diagonal(logits)
    known = torch.ones_like(positive)
    if identical is not None:
        check_identical(identical, logits)
        known = ~identical | positive
    return _weighted_bce(computable(logits), positive, known, "sum")


def off_diagonal_loss(
    logits: Tensor,
    normal: Tensor,
    *,
    uncertain: Tensor | None = None,
    identical: Tensor | None = None,
    weighting: Weighting = "balanced",
    bias: float = OFF_DIAGONAL_BIAS,
) -> Tensor:
    """The off-diagonal term of OFF-CLIP: weighted binary cross entropy of S + bias against Y.

    Y_ij = 1 if i = j or both pairs are normal, else 0 (`target_matrix`). Left out are the off-diagonal cells
    of uncertain pairs and verbatim-equal negatives (`known_cells`).

    Args:
        logits: Scaled logits S, (N, N) float; rows images, columns texts.
        normal: Normal flags, (N,) bool.
        uncertain: Uncertain flags, (N,) bool. Of their row and column only the diagonal stays, a positive.
        identical: Cells of verbatim-equal text, (N, N) bool. Left out where Y is 0.
        weighting: What the cells weigh. "balanced": the positives share one half, the negatives the other;
            a kind that is absent adds nothing and the other keeps its half. "mean": every counted cell
            alike. "sum": the sum divided by N, as in SigLIP; with a normal block of about 0.3 N^2 cells
            this drifts to a classifier of normal against abnormal, so it is there for comparison.
        bias: Added to the logits in this term only. Most cells are negatives, and a negative bias keeps
            the term from starting with a push on the logits that InfoNCE shares. Pass 0 if the logits
            already hold a learned bias, as SigLIP's do.

    Returns:
        The loss, a scalar of float32, or of float64 for float64 logits.

    Raises:
        InputError: A shape, dtype or device is wrong, the weighting is unknown or the bias not finite.

    Source:
        Park et al., OFF-CLIP, MICCAI 2025 (arXiv 2503.01794), off-diagonal term loss. The paper leaves the
        weighting and the bias open; these defaults kept abnormal accuracy on a synthetic benchmark.

    Example:
        >>> normal = torch.tensor([True, True, False])
        >>> agrees = torch.where(target_matrix(normal), 20.0, -20.0)
        >>> off_diagonal_loss(agrees, normal).item() < 1e-6
        True
        >>> round(off_diagonal_loss(torch.eye(3), normal, bias=0.0).item(), 4)
        0.5792
    """
    check_batch(logits, normal, uncertain, identical)
    check_finite("bias", bias)
    check_weighting(weighting)
    positive = target_matrix(normal, uncertain)
    known = known_cells(normal, uncertain, identical)
    return _weighted_bce(computable(logits) + bias, positive, known, weighting)


def check_weighting(weighting: str) -> None:
    """Accept the name of a cell weighting.

    Raises:
        InputError: The name is unknown.
    """
    if weighting not in get_args(Weighting):
        names = ", ".join(map(repr, get_args(Weighting)))
        raise InputError(f"Unknown weighting {weighting!r}.", f"Choose one of {names}.")


def _weighted_bce(logits: Tensor, positive: Tensor, known: Tensor, weighting: Weighting) -> Tensor:
    dtype = logits.dtype
    weights = torch.where(known, _cell_weights(positive, known, weighting, dtype), 0)
    flip = positive.to(dtype).mul_(-2).add_(1)  # -1 for a positive, 1 for a negative
    # -log sigmoid(-x) = softplus(x), exact at any x. From 40 on softplus(x) and x are one float64 number.
    # Every cell is weighted before the sum, which could overflow where the mean does not.
    return (F.softplus(logits * flip, threshold=40) * weights).sum()


def _cell_weights(positive: Tensor, known: Tensor, weighting: Weighting, dtype: torch.dtype) -> Tensor:
    """What a known cell weighs: (N, N), or a scalar if all weigh the same."""
    if weighting == "sum":
        return torch.full((), 1 / positive.shape[0], dtype=dtype, device=positive.device)
    if weighting == "mean":
        return 1 / known.sum().to(dtype)
    positives = positive.sum()  # at least the diagonal, and never left out
    negatives = known.sum() - positives
    negative_weight = 0.5 / negatives.clamp(min=1).to(dtype)
    if weighting == "balanced":
        return torch.where(positive, 0.5 / positives.to(dtype), negative_weight)
    # A normal pair has more than one positive unless it is the only one; its whole row belongs to the block.
    lone = diagonal(positive) & (positive.sum(dim=1, keepdim=True) == 1)
    kinds = torch.where(lone, lone.sum(), positives - lone.sum()).to(dtype)
    return torch.where(positive, 0.25 / kinds.clamp(min=1), negative_weight)

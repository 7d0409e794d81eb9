"""Sigmoid losses: every cell is a yes-or-no question of its own.

SigLIP asks it with the diagonal as the only positives; the off-diagonal term of OFF-CLIP also calls the
cells of two normal pairs positive.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from offclip.errors import InputError
from offclip.losses.checks import check_batch, check_finite, check_identical, check_logits, computable
from offclip.losses.targets import block, certainly_normal, diagonal, known_cells, target_matrix

Weighting = Literal["blocks", "balanced", "mean", "sum"]
OFF_DIAGONAL_BIAS = -1.0


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
    logits = computable(logits)
    return _bce(logits, positive, known.to(logits.dtype) / len(logits))


def off_diagonal_loss(
    logits: Tensor,
    normal: Tensor,
    *,
    uncertain: Tensor | None = None,
    identical: Tensor | None = None,
    weighting: Weighting = "blocks",
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
        weighting: What the cells weigh. "blocks": the normal block shares a quarter, the other diagonal
            cells share a quarter, the negatives one half; a kind that is absent adds nothing and the others
            keep their share. "balanced": all positives share one half, the negatives the other; with a normal
            block of about 0.3 N^2 cells the abnormal diagonal is then one positive in a hundred, and its
            cells sink with the negatives around them. "mean": every counted cell alike. "sum": the sum
            divided by N, as in SigLIP; this drifts to a classifier of normal against abnormal, so it is there
            for comparison.
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
        0.5507
    """
    check_batch(logits, normal, uncertain, identical)
    check_finite("bias", bias)
    check_weighting(weighting)
    positive = target_matrix(normal, uncertain)
    known = known_cells(normal, uncertain, identical)
    logits = computable(logits) + bias
    if weighting in ("mean", "sum"):
        weights = known.to(logits.dtype) / (known.sum() if weighting == "mean" else len(logits))
    elif weighting == "balanced":
        weights = _shares([(0.5, positive), (0.5, known & ~positive)], logits.dtype)
    else:
        normal_block = block(certainly_normal(normal, uncertain))
        kinds = [(0.25, normal_block), (0.25, positive & ~normal_block), (0.5, known & ~positive)]
        weights = _shares(kinds, logits.dtype)
    return _bce(logits, positive, weights)


def check_weighting(weighting: str) -> None:
    """Accept the name of a cell weighting.

    Raises:
        InputError: The name is unknown.
    """
    if weighting not in get_args(Weighting):
        names = ", ".join(map(repr, get_args(Weighting)))
        raise InputError(f"Unknown weighting {weighting!r}.", f"Choose one of {names}.")


def _bce(logits: Tensor, positive: Tensor, weights: Tensor) -> Tensor:
    """Weighted binary cross entropy over all cells; a cell of weight 0 is left out."""
    flip = positive.to(logits.dtype).mul_(-2).add_(1)  # -1 for a positive, 1 for a negative
    # -log sigmoid(-x) = softplus(x), exact at any x. From 40 on softplus(x) and x are one float64 number.
    # Every cell is weighted before the sum, which could overflow where the mean does not.
    return (F.softplus(logits * flip, threshold=40) * weights).sum()


def _shares(kinds: Sequence[tuple[float, Tensor]], dtype: torch.dtype) -> Tensor:
    """Cell weights (N, N): a kind of cells shares its weight evenly; an absent kind leaves its unused."""
    return torch.stack([share * cells.to(dtype) / cells.sum().clamp(min=1) for share, cells in kinds]).sum(
        dim=0
    )

"""Softmax losses: InfoNCE, InfoNCE among the abnormal pairs, and multi-positive InfoNCE.

All three are one formula, the cross entropy of every row and of every column over the cells that compete
in it; they differ in which cells are positives and which compete. Blocks are cut out by masks rather than
by indexing, because the size of an index would have to be read back from the GPU.
"""

import math

import torch
from torch import Tensor

from offclip.losses.checks import check_batch, check_identical, check_logits, computable
from offclip.losses.targets import (
    block,
    certainly_abnormal,
    contrasted_cells,
    diagonal,
    target_matrix,
)


def info_nce_loss(logits: Tensor, *, identical: Tensor | None = None) -> Tensor:
    """InfoNCE as in CLIP: 1/2 [CE(S, diag) + CE(S^T, diag)].

    Args:
        logits: Scaled logits S, (N, N) float; rows images, columns texts.
        identical: Cells of verbatim-equal text, (N, N) bool. They leave the softmax of their row and
            column; the diagonal stays.

    Returns:
        The loss, a scalar of float32, or of float64 for float64 logits.

    Raises:
        InputError: The logits are not a non-empty square float matrix, or `identical` does not fit.

    Source:
        Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021. CARZero
        adds the values of its two logit matrices where `symmetrised` averages them.

    Example:
        >>> round(info_nce_loss(torch.zeros(4, 4)).item(), 4)  # chance: log 4
        1.3863
    """
    check_logits(logits)
    competing = torch.ones_like(logits, dtype=torch.bool)
    if identical is not None:
        check_identical(identical, logits)
        competing = ~identical
    positive = diagonal(logits)
    return _both_ways(computable(logits), positive, competing | positive).mean()


def abnormal_infonce_loss(
    logits: Tensor, normal: Tensor, *, uncertain: Tensor | None = None, identical: Tensor | None = None
) -> Tensor:
    """InfoNCE inside the abnormal-abnormal block: L_abn = 1/2 [CE(S_AA, diag) + CE(S_AA^T, diag)].

    With fewer than two abnormal pairs nothing competes: the loss is 0, with a gradient of 0.

    Args:
        logits: Scaled logits S, (N, N) float; rows images, columns texts.
        normal: Normal flags, (N,) bool.
        uncertain: Uncertain flags, (N,) bool. These pairs leave the abnormal block A.
        identical: Cells of verbatim-equal text, (N, N) bool. They leave the softmax.

    Returns:
        The loss, a scalar of float32, or of float64 for float64 logits.

    Raises:
        InputError: A shape, dtype or device is wrong.

    Source:
        Park et al., OFF-CLIP, MICCAI 2025 (arXiv 2503.01794): InfoNCE among A = {i : not n_i}.

    Example:
        >>> logits = torch.eye(3, requires_grad=True)
        >>> abnormal_infonce_loss(logits, torch.tensor([True, True, False])).item()
        0.0
    """
    check_batch(logits, normal, uncertain, identical)
    abnormal = certainly_abnormal(normal, uncertain)
    competing = block(abnormal) if identical is None else block(abnormal) & ~identical
    positive = diagonal(logits)
    # A pair outside A keeps its diagonal alone, whose cross entropy is 0: it adds nothing to the sum.
    per_pair = _both_ways(computable(logits), positive, competing | positive)
    return per_pair.sum() / abnormal.sum().clamp(min=1)


def multi_positive_loss(
    logits: Tensor, normal: Tensor, *, uncertain: Tensor | None = None, identical: Tensor | None = None
) -> Tensor:
    """InfoNCE over the whole batch in which every normal-normal pair is a positive.

    The soft targets are Y with every row divided by its sum for image to text, and every column divided by
    its sum for text to image; the two cross entropies are averaged.

    Args:
        logits: Scaled logits S, (N, N) float; rows images, columns texts.
        normal: Normal flags, (N,) bool.
        uncertain: Uncertain flags, (N,) bool. These pairs keep their diagonal as positive and the abnormal
            pairs as negatives (see `contrasted_cells`).
        identical: Cells of verbatim-equal text, (N, N) bool. They leave the softmax unless both pairs are
            normal, where they are positives anyway.

    Returns:
        The loss, a scalar of float32, or of float64 for float64 logits. Its minimum is the entropy of the
        targets, log K for a row with K positives, not 0.

    Raises:
        InputError: A shape, dtype or device is wrong.

    Source:
        Beyond the paper; the targets are those of Park et al., OFF-CLIP, MICCAI 2025.

    Example:
        >>> logits = 20 * torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        >>> normal = torch.tensor([True, True, False])
        >>> round(multi_positive_loss(logits, normal).item(), 4)  # (log 2 + log 2 + log 1) / 3
        0.4621
    """
    check_batch(logits, normal, uncertain, identical)
    positive = target_matrix(normal, uncertain)
    competing = contrasted_cells(normal, uncertain, identical)
    return _both_ways(computable(logits), positive, competing).mean()


def _both_ways(logits: Tensor, positive: Tensor, competing: Tensor) -> Tensor:
    """The mean of image-to-text and text-to-image cross entropy of every pair, (N,)."""
    rows = _row_cross_entropy(logits, positive, competing)
    columns = _row_cross_entropy(logits.T, positive.T, competing.T)
    return (rows + columns) / 2


def _row_cross_entropy(logits: Tensor, positive: Tensor, competing: Tensor) -> Tensor:
    """-1/K sum over a row's K positives of log softmax over its competing cells, (N,)."""
    log_p = logits.masked_fill(~competing, -math.inf).log_softmax(dim=1)
    # Selected, not multiplied: 0 * log 0 would be NaN in the masked cells.
    return -torch.where(positive, log_p, 0).sum(dim=1) / positive.sum(dim=1)

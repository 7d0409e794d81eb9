"""The OFF-CLIP objective: off-diagonal term plus InfoNCE among the abnormal pairs."""

from dataclasses import dataclass

from torch import Tensor

from offclip.losses.checks import check_weight
from offclip.losses.info_nce import abnormal_infonce_loss
from offclip.losses.sigmoid import OFF_DIAGONAL_BIAS, Weighting, off_diagonal_loss

OFF_DIAGONAL_WEIGHT = 4.0
ABNORMAL_WEIGHT = 0.5


@dataclass(frozen=True, eq=False)
class OffClipTerms:
    """The objective and its parts, all scalars attached to the graph.

    Attributes:
        total: What to call backward on: the weighted sum.
        off_diagonal: The off-diagonal term, before its weight.
        abnormal: InfoNCE among the abnormal pairs, before its weight.
    """

    total: Tensor
    off_diagonal: Tensor
    abnormal: Tensor


def off_clip_terms(
    logits: Tensor,
    normal: Tensor,
    *,
    uncertain: Tensor | None = None,
    identical: Tensor | None = None,
    off_diagonal_weight: float = OFF_DIAGONAL_WEIGHT,
    abnormal_weight: float = ABNORMAL_WEIGHT,
    off_diagonal_bias: float = OFF_DIAGONAL_BIAS,
    weighting: Weighting = "blocks",
) -> OffClipTerms:
    """The OFF-CLIP loss with its two terms, for a loop that logs them. Arguments as `off_clip_loss`.

    Raises:
        InputError: A shape, dtype, device, weight or name is wrong.

    Example:
        >>> import torch
        >>> terms = off_clip_terms(torch.eye(3), torch.tensor([True, False, False]))
        >>> bool(terms.total == 4 * terms.off_diagonal + 0.5 * terms.abnormal)
        True
    """
    check_weight("off_diagonal_weight", off_diagonal_weight)
    check_weight("abnormal_weight", abnormal_weight)
    off_diagonal = off_diagonal_loss(
        logits, normal, uncertain=uncertain, identical=identical, weighting=weighting, bias=off_diagonal_bias
    )
    abnormal = abnormal_infonce_loss(logits, normal, uncertain=uncertain, identical=identical)
    total = off_diagonal_weight * off_diagonal + abnormal_weight * abnormal
    return OffClipTerms(total, off_diagonal, abnormal)


def off_clip_loss(
    logits: Tensor,
    normal: Tensor,
    *,
    uncertain: Tensor | None = None,
    identical: Tensor | None = None,
    off_diagonal_weight: float = OFF_DIAGONAL_WEIGHT,
    abnormal_weight: float = ABNORMAL_WEIGHT,
    off_diagonal_bias: float = OFF_DIAGONAL_BIAS,
    weighting: Weighting = "blocks",
) -> Tensor:
    """The OFF-CLIP loss: w_off L_off + w_abn L_abn.

    Args:
        logits: Scaled logits S, (N, N) float; rows images, columns texts.
        normal: Normal flags, (N,) bool.
        uncertain: Uncertain flags, (N,) bool. Their row and column leave both blocks; their diagonal stays
            a positive of the off-diagonal term.
        identical: Cells of verbatim-equal text, (N, N) bool, that must not count as negatives.
        off_diagonal_weight: w_off. Equal weights let the normal block swamp the abnormal diagonal.
        abnormal_weight: w_abn.
        off_diagonal_bias: Added to the logits inside the off-diagonal term only.
        weighting: What the cells of the off-diagonal term weigh (see `off_diagonal_loss`).

    Returns:
        The loss, a scalar of float32, or of float64 for float64 logits.

    Raises:
        InputError: A shape, dtype, device, weight or name is wrong.

    Source:
        Park et al., OFF-CLIP, MICCAI 2025 (arXiv 2503.01794). Weights, bias and weighting are open in the
        paper; the defaults were chosen on a synthetic benchmark and should be chosen anew on validation data.

    Example:
        >>> import torch
        >>> normal = torch.tensor([True, True, False, False])
        >>> clip, off_clip = 10 * torch.eye(4), 10 * torch.eye(4)
        >>> off_clip[:2, :2] = 10  # normal images match every normal report
        >>> bool(off_clip_loss(off_clip, normal) < off_clip_loss(clip, normal))
        True
    """
    return off_clip_terms(
        logits,
        normal,
        uncertain=uncertain,
        identical=identical,
        off_diagonal_weight=off_diagonal_weight,
        abnormal_weight=abnormal_weight,
        off_diagonal_bias=off_diagonal_bias,
        weighting=weighting,
    ).total

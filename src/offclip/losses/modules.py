"""The losses as modules with one interface, so that a training loop can swap them.

Every module is called as `loss(logits, normal, uncertain=None, identical=None)` and returns a scalar. They
hold options and no parameters: scale and bias belong to the model that makes the logits.
"""

from torch import Tensor, nn

from offclip.losses.checks import check_finite, check_weight
from offclip.losses.info_nce import abnormal_infonce_loss, info_nce_loss, multi_positive_loss
from offclip.losses.off_clip import (
    ABNORMAL_WEIGHT,
    OFF_DIAGONAL_WEIGHT,
    OffClipTerms,
    off_clip_terms,
)
from offclip.losses.sigmoid import (
    OFF_DIAGONAL_BIAS,
    Weighting,
    check_weighting,
    off_diagonal_loss,
    siglip_loss,
)


class InfoNceLoss(nn.Module):
    """`info_nce_loss` as a module. The labels are ignored.

    Example:
        >>> import torch
        >>> round(InfoNceLoss()(torch.zeros(2, 2), torch.tensor([True, False])).item(), 4)
        0.6931
    """

    def forward(
        self,
        logits: Tensor,
        normal: Tensor | None = None,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> Tensor:
        """The loss of logits (N, N), a scalar."""
        return info_nce_loss(logits, identical=identical)


class SigLipLoss(nn.Module):
    """`siglip_loss` as a module. The labels are ignored.

    Example:
        >>> import torch
        >>> round(SigLipLoss()(torch.zeros(2, 2), torch.tensor([True, False])).item(), 4)
        1.3863
    """

    def forward(
        self,
        logits: Tensor,
        normal: Tensor | None = None,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> Tensor:
        """The loss of logits (N, N), a scalar."""
        return siglip_loss(logits, identical=identical)


class OffDiagonalLoss(nn.Module):
    """`off_diagonal_loss` as a module.

    Args:
        weighting: What the cells weigh: "blocks", "balanced", "mean" or "sum".
        bias: Added to the logits.

    Raises:
        InputError: The weighting is unknown or the bias not finite.

    Example:
        >>> OffDiagonalLoss(bias=0.0)
        OffDiagonalLoss(weighting='blocks', bias=0.0)
    """

    def __init__(self, weighting: Weighting = "blocks", bias: float = OFF_DIAGONAL_BIAS) -> None:
        super().__init__()
        check_weighting(weighting)
        check_finite("bias", bias)
        self.weighting: Weighting = weighting
        self.bias = bias

    def forward(
        self,
        logits: Tensor,
        normal: Tensor,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> Tensor:
        """The loss of logits (N, N) with flags (N,), a scalar."""
        return off_diagonal_loss(
            logits, normal, uncertain=uncertain, identical=identical, weighting=self.weighting, bias=self.bias
        )

    def extra_repr(self) -> str:
        """The options, as the constructor takes them."""
        return f"weighting={self.weighting!r}, bias={self.bias}"


class AbnormalInfoNceLoss(nn.Module):
    """`abnormal_infonce_loss` as a module.

    Example:
        >>> import torch
        >>> round(AbnormalInfoNceLoss()(torch.zeros(3, 3), torch.tensor([True, False, False])).item(), 4)
        0.6931
    """

    def forward(
        self,
        logits: Tensor,
        normal: Tensor,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> Tensor:
        """The loss of logits (N, N) with flags (N,), a scalar."""
        return abnormal_infonce_loss(logits, normal, uncertain=uncertain, identical=identical)


class MultiPositiveLoss(nn.Module):
    """`multi_positive_loss` as a module.

    Example:
        >>> import torch
        >>> round(MultiPositiveLoss()(torch.zeros(3, 3), torch.tensor([True, True, False])).item(), 4)
        1.0986
    """

    def forward(
        self,
        logits: Tensor,
        normal: Tensor,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> Tensor:
        """The loss of logits (N, N) with flags (N,), a scalar."""
        return multi_positive_loss(logits, normal, uncertain=uncertain, identical=identical)


class OffClipLoss(nn.Module):
    """`off_clip_loss` as a module.

    Args:
        off_diagonal_weight: Weight of the off-diagonal term, at least 0.
        abnormal_weight: Weight of InfoNCE among the abnormal pairs, at least 0.
        off_diagonal_bias: Added to the logits inside the off-diagonal term only.
        weighting: What the cells of the off-diagonal term weigh: "blocks", "balanced", "mean" or "sum".

    Raises:
        InputError: A weight is negative, the bias not finite, or the weighting unknown.

    Example:
        >>> import torch
        >>> loss = OffClipLoss(abnormal_weight=1.0)
        >>> print(loss.extra_repr())
        off_diagonal_weight=4.0, abnormal_weight=1.0, off_diagonal_bias=-1.0, weighting='blocks'
        >>> logits, normal = torch.zeros(2, 2), torch.tensor([True, False])
        >>> bool(loss(logits, normal) == loss.terms(logits, normal).total)
        True
    """

    def __init__(
        self,
        off_diagonal_weight: float = OFF_DIAGONAL_WEIGHT,
        abnormal_weight: float = ABNORMAL_WEIGHT,
        off_diagonal_bias: float = OFF_DIAGONAL_BIAS,
        weighting: Weighting = "blocks",
    ) -> None:
        super().__init__()
        check_weight("off_diagonal_weight", off_diagonal_weight)
        check_weight("abnormal_weight", abnormal_weight)
        check_finite("off_diagonal_bias", off_diagonal_bias)
        check_weighting(weighting)
        self.off_diagonal_weight = off_diagonal_weight
        self.abnormal_weight = abnormal_weight
        self.off_diagonal_bias = off_diagonal_bias
        self.weighting: Weighting = weighting

    def forward(
        self,
        logits: Tensor,
        normal: Tensor,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> Tensor:
        """The loss of logits (N, N) with flags (N,), a scalar."""
        return self.terms(logits, normal, uncertain, identical).total

    def terms(
        self,
        logits: Tensor,
        normal: Tensor,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> OffClipTerms:
        """The loss with its two terms, for a loop that logs them."""
        return off_clip_terms(
            logits,
            normal,
            uncertain=uncertain,
            identical=identical,
            off_diagonal_weight=self.off_diagonal_weight,
            abnormal_weight=self.abnormal_weight,
            off_diagonal_bias=self.off_diagonal_bias,
            weighting=self.weighting,
        )

    def extra_repr(self) -> str:
        """The options, as the constructor takes them."""
        return (
            f"off_diagonal_weight={self.off_diagonal_weight}, abnormal_weight={self.abnormal_weight}, "
            f"off_diagonal_bias={self.off_diagonal_bias}, weighting={self.weighting!r}"
        )

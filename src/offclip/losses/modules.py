"""The losses as modules with one interface, so that a training loop can swap them.

Every module is called as `loss(logits, normal, uncertain=None, identical=None)`, or as open_clip calls its
losses, with features (see `ContrastiveLoss`).
"""

from torch import Tensor

from offclip.losses.checks import check_finite, check_weight
from offclip.losses.contrastive import ContrastiveLoss, Gather
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


class InfoNceLoss(ContrastiveLoss):
    """`info_nce_loss` as a module; of features, what `open_clip.ClipLoss` computes.

    The labels are ignored.

    Example:
        >>> import torch
        >>> round(InfoNceLoss()(torch.zeros(2, 2), torch.tensor([True, False])).item(), 4)
        0.6931
    """

    needs_labels = False

    def parts(
        self,
        logits: Tensor,
        normal: Tensor | None = None,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The loss of logits (N, N), by the name that open_clip gives it."""
        return {"contrastive_loss": info_nce_loss(logits, identical=identical)}


class SigLipLoss(ContrastiveLoss):
    """`siglip_loss` as a module; of features, what `open_clip.loss.SigLipLoss` computes.

    The labels are ignored.

    Example:
        >>> import torch
        >>> round(SigLipLoss()(torch.zeros(2, 2), torch.tensor([True, False])).item(), 4)
        1.3863
    """

    needs_labels = False

    def parts(
        self,
        logits: Tensor,
        normal: Tensor | None = None,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The loss of logits (N, N), by the name that open_clip gives it."""
        return {"contrastive_loss": siglip_loss(logits, identical=identical)}


class OffDiagonalLoss(ContrastiveLoss):
    """`off_diagonal_loss` as a module.

    Args:
        weighting: What the cells weigh: "blocks", "balanced", "mean" or "sum".
        bias: Added to the logits.
        gather: See `ContrastiveLoss`.

    Raises:
        InputError: The weighting is unknown or the bias not finite.

    Example:
        >>> OffDiagonalLoss(bias=0.0)
        OffDiagonalLoss(weighting='blocks', bias=0.0)
    """

    options = ("weighting", "bias")

    def __init__(
        self,
        weighting: Weighting = "blocks",
        bias: float = OFF_DIAGONAL_BIAS,
        *,
        gather: Gather | None = None,
    ) -> None:
        super().__init__(gather=gather)
        check_weighting(weighting)
        check_finite("bias", bias)
        self.weighting: Weighting = weighting
        self.bias = bias

    def parts(
        self,
        logits: Tensor,
        normal: Tensor,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The loss of logits (N, N) with flags (N,)."""
        loss = off_diagonal_loss(
            logits,
            normal,
            uncertain=uncertain,
            identical=identical,
            weighting=self.weighting,
            bias=self.bias,
        )
        return {"off_diagonal_loss": loss}


class AbnormalInfoNceLoss(ContrastiveLoss):
    """`abnormal_infonce_loss` as a module.

    Example:
        >>> import torch
        >>> round(AbnormalInfoNceLoss()(torch.zeros(3, 3), torch.tensor([True, False, False])).item(), 4)
        0.6931
    """

    def parts(
        self,
        logits: Tensor,
        normal: Tensor,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The loss of logits (N, N) with flags (N,)."""
        loss = abnormal_infonce_loss(logits, normal, uncertain=uncertain, identical=identical)
        return {"abnormal_infonce_loss": loss}


class MultiPositiveLoss(ContrastiveLoss):
    """`multi_positive_loss` as a module.

    Example:
        >>> import torch
        >>> round(MultiPositiveLoss()(torch.zeros(3, 3), torch.tensor([True, True, False])).item(), 4)
        1.0986
    """

    def parts(
        self,
        logits: Tensor,
        normal: Tensor,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The loss of logits (N, N) with flags (N,)."""
        loss = multi_positive_loss(logits, normal, uncertain=uncertain, identical=identical)
        return {"multi_positive_loss": loss}


class OffClipLoss(ContrastiveLoss):
    """`off_clip_loss` as a module, and a drop-in for `open_clip.ClipLoss` that wants `normal=` besides.

    Args:
        off_diagonal_weight: Weight of the off-diagonal term, at least 0.
        abnormal_weight: Weight of InfoNCE among the abnormal pairs, at least 0.
        off_diagonal_bias: Added to the logits inside the off-diagonal term only; 0 for a model that has a
            `logit_bias` of its own.
        weighting: What the cells of the off-diagonal term weigh: "blocks", "balanced", "mean" or "sum".
        gather: See `ContrastiveLoss`.

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

    options = ("off_diagonal_weight", "abnormal_weight", "off_diagonal_bias", "weighting")

    def __init__(
        self,
        off_diagonal_weight: float = OFF_DIAGONAL_WEIGHT,
        abnormal_weight: float = ABNORMAL_WEIGHT,
        off_diagonal_bias: float = OFF_DIAGONAL_BIAS,
        weighting: Weighting = "blocks",
        *,
        gather: Gather | None = None,
    ) -> None:
        super().__init__(gather=gather)
        check_weight("off_diagonal_weight", off_diagonal_weight)
        check_weight("abnormal_weight", abnormal_weight)
        check_finite("off_diagonal_bias", off_diagonal_bias)
        check_weighting(weighting)
        self.off_diagonal_weight = off_diagonal_weight
        self.abnormal_weight = abnormal_weight
        self.off_diagonal_bias = off_diagonal_bias
        self.weighting: Weighting = weighting

    def terms(
        self,
        logits: Tensor,
        normal: Tensor,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> OffClipTerms:
        """The loss of logits (N, N) with its two terms, before their weights."""
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

    def parts(
        self,
        logits: Tensor,
        normal: Tensor,
        uncertain: Tensor | None = None,
        identical: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The two terms of logits (N, N) with flags (N,), with their weights."""
        terms = self.terms(logits, normal, uncertain, identical)
        return {
            "off_diagonal_loss": self.off_diagonal_weight * terms.off_diagonal,
            "abnormal_infonce_loss": self.abnormal_weight * terms.abnormal,
        }

"""Losses of a logit matrix, or of features, and normal flags. Needs torch and nothing else.

Example:
    >>> import torch
    >>> from offclip.losses import OffClipLoss
    >>> logits = torch.randn(4, 4, requires_grad=True)  # rows images, columns texts
    >>> OffClipLoss()(logits, normal=torch.tensor([True, True, False, False])).backward()
"""

from offclip.losses.contrastive import ContrastiveLoss, Gather
from offclip.losses.features import feature_logits
from offclip.losses.info_nce import abnormal_infonce_loss, info_nce_loss, multi_positive_loss
from offclip.losses.matrices import averaged, carzero_loss, symmetrised
from offclip.losses.modules import (
    AbnormalInfoNceLoss,
    InfoNceLoss,
    MultiPositiveLoss,
    OffClipLoss,
    OffDiagonalLoss,
    SigLipLoss,
)
from offclip.losses.off_clip import OffClipTerms, off_clip_loss, off_clip_terms
from offclip.losses.sigmoid import Weighting, off_diagonal_loss, siglip_loss
from offclip.losses.targets import contrasted_cells, identical_cells, known_cells, target_matrix

__all__ = [
    "AbnormalInfoNceLoss",
    "ContrastiveLoss",
    "Gather",
    "InfoNceLoss",
    "MultiPositiveLoss",
    "OffClipLoss",
    "OffClipTerms",
    "OffDiagonalLoss",
    "SigLipLoss",
    "Weighting",
    "abnormal_infonce_loss",
    "averaged",
    "carzero_loss",
    "contrasted_cells",
    "feature_logits",
    "identical_cells",
    "info_nce_loss",
    "known_cells",
    "multi_positive_loss",
    "off_clip_loss",
    "off_clip_terms",
    "off_diagonal_loss",
    "siglip_loss",
    "symmetrised",
    "target_matrix",
]

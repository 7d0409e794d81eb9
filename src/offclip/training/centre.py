"""A bias to begin with, for models that no sigmoid loss has seen."""

from __future__ import annotations

import logging

import torch

from offclip.models.heads import CosineHead
from offclip.models.interface import ClipModel
from offclip.training.features import Encoders, pair_logits
from offclip.training.precision import Precision

log = logging.getLogger(__name__)

SIGMOID_OBJECTIVES = ("siglip", "off-diagonal", "offclip")
_ENOUGH = 32  # images


def centre_logits(model: ClipModel, encoders: Encoders, precision: Precision) -> None:
    """Sets the bias of a cosine head that has none yet so that the mean logit of a batch is zero.

    The logits of a CLIP that was trained with a softmax are all near its scale times 0.25, some 25, because a
    softmax does not see what they have in common. A sigmoid does: to it, all pairs fit, and it would bend the
    features until they do not. The order of a model's scores does not depend on the bias.
    """
    head = getattr(model, "head", None)
    if not isinstance(head, CosineHead) or float(head.bias.detach()) != 0:
        return
    model.eval()
    with torch.no_grad(), precision.autocast():
        image, text = encoders.image(slice(_ENOUGH)), encoders.text(slice(None))
        mean = torch.stack(
            [m.float().mean() for m in pair_logits(model, image, text, encoders.column)]
        ).mean()
        head.bias.sub_(mean.to(head.bias.dtype))
    log.info("The mean logit was %.2f; the bias begins with its opposite.", float(mean))

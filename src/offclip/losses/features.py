"""From the features of a batch to its logit matrix, as CLIP compares them."""

import torch
from torch import Tensor

from offclip.errors import InputError
from offclip.losses.checks import describe


def feature_logits(
    image_features: Tensor,
    text_features: Tensor,
    logit_scale: Tensor | float,
    logit_bias: Tensor | float | None = None,
) -> Tensor:
    """The logits of every image with every text: scale * I T^t + bias.

    The features are taken as they are. They should have unit length, as those of open_clip and of Hugging
    Face's `image_embeds` and `text_embeds` have; then the logits are scaled cosines.

    Args:
        image_features: (N, D) float.
        text_features: (N, D) float, on the same device.
        logit_scale: One number, the scale itself and not its logarithm: open_clip passes `logit_scale.exp()`.
        logit_bias: One number, as SigLIP learns it.

    Returns:
        (N, N); rows images, columns texts. float32 under autocast too, where bf16 would round a logit of 64
        to the next half, or float64 for float64 features.

    Raises:
        InputError: The features are not two float matrices of one shape, or scale or bias is not one number.

    Example:
        >>> feature_logits(torch.eye(2), torch.eye(2), 10.0, logit_bias=-1.0)
        tensor([[ 9., -1.],
                [-1.,  9.]])
    """
    _check_features(image_features, text_features)
    _check_number("logit_scale", logit_scale, "Pass the scale, such as model.logit_scale.exp().")
    if logit_bias is not None:
        _check_number("logit_bias", logit_bias, "Pass the bias, or None.")
    double = torch.float64 in (image_features.dtype, text_features.dtype)
    wide = torch.float64 if double else torch.float32
    with torch.autocast(image_features.device.type, enabled=False):
        logits = logit_scale * image_features.to(wide) @ text_features.to(wide).T
        return logits if logit_bias is None else logits + logit_bias


def _check_features(image_features: Tensor, text_features: Tensor) -> None:
    both = (image_features, text_features)
    matrices = all(isinstance(x, Tensor) and x.ndim == 2 and x.is_floating_point() for x in both)
    same = matrices and image_features.shape == text_features.shape
    if not (same and image_features.device == text_features.device and len(image_features)):
        raise InputError(
            "image_features and text_features must be float matrices (N, D) of one shape on one device, "
            f"got {describe(image_features)} and {describe(text_features)}.",
            "Pass one row a pair, image and text of the same batch.",
        )


def _check_number(name: str, value: object, remedy: str) -> None:
    if isinstance(value, Tensor):
        number = value.numel() == 1 and value.is_floating_point()
    else:
        number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number:
        raise InputError(f"{name} must be one number, got {describe(value)}.", remedy)

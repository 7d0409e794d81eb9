"""Losses of models that give several logit matrices for one batch, such as cross-attention both ways."""

from collections.abc import Callable, Sequence

from torch import Tensor

from offclip.losses.checks import check_logits
from offclip.losses.info_nce import info_nce_loss


def averaged(
    loss: Callable[..., Tensor],
    matrices: Sequence[Tensor],
    normal: Tensor | None = None,
    uncertain: Tensor | None = None,
    identical: Tensor | None = None,
) -> Tensor:
    """The mean of a loss over the logit matrices of a batch.

    Args:
        loss: A module of this package, or a function called as
            `loss(logits, normal, uncertain=..., identical=...)`.
        matrices: One or more matrices of logits (N, N); rows images, columns texts.
        normal: Normal flags, (N,) bool; None for a loss that ignores them.
        uncertain: Uncertain flags, (N,) bool.
        identical: Cells of verbatim-equal text, (N, N) bool.

    Returns:
        The loss, a scalar; of a single matrix it is the loss itself.

    Raises:
        InputError: `loss` raises it.

    Example:
        >>> import torch
        >>> from offclip.losses import off_clip_loss
        >>> logits, normal = torch.randn(4, 4), torch.tensor([True, True, False, False])
        >>> bool(averaged(off_clip_loss, [logits, logits], normal) == off_clip_loss(logits, normal))
        True
    """
    values = [loss(matrix, normal, uncertain=uncertain, identical=identical) for matrix in matrices]
    return sum(values[1:], values[0]) / len(values)


def symmetrised(
    loss: Callable[..., Tensor],
    image_to_text: Tensor,
    text_to_image: Tensor,
    normal: Tensor,
    uncertain: Tensor | None = None,
    identical: Tensor | None = None,
) -> Tensor:
    """The mean of a loss over the two logit matrices of a cross-attention model.

    Args:
        loss: A module of this package, or a function called as
            `loss(logits, normal, uncertain=..., identical=...)`.
        image_to_text: Logits (N, N); rows images, columns texts.
        text_to_image: Logits (N, N); rows texts, columns images. It is transposed before the loss sees it.
        normal: Normal flags, (N,) bool.
        uncertain: Uncertain flags, (N,) bool.
        identical: Cells of verbatim-equal text, (N, N) bool; rows images, columns texts.

    Returns:
        The loss, a scalar. CARZero adds the two InfoNCE values instead: its loss is twice this one.

    Raises:
        InputError: `text_to_image` is not a non-empty square float matrix, or `loss` raises it.

    Example:
        >>> import torch
        >>> from offclip.losses import off_clip_loss
        >>> logits, normal = torch.randn(4, 4), torch.tensor([True, True, False, False])
        >>> bool(symmetrised(off_clip_loss, logits, logits.T, normal) == off_clip_loss(logits, normal))
        True
    """
    check_logits(text_to_image)
    return averaged(loss, (image_to_text, text_to_image.T), normal, uncertain, identical)


def carzero_loss(i2t: Tensor, t2i: Tensor, *, identical: Tensor | None = None) -> Tensor:
    """CARZero's own loss: InfoNCE of both logit matrices, added up. No temperature and no cosine.

    Args:
        i2t: Raw logits (N, N) of the sentences that look into the images; rows images, columns texts.
        t2i: Raw logits (N, N) of the images that look into the sentences; rows images, columns texts.
        identical: Cells of verbatim-equal text, (N, N) bool, that leave the softmax. CARZero had none.

    Returns:
        The loss, a scalar; 2 log N at chance.

    Raises:
        InputError: A matrix is not a non-empty square float matrix, or `identical` does not fit.

    Source:
        Lai et al., CARZero, CVPR 2024.

    Example:
        >>> import torch
        >>> round(carzero_loss(torch.zeros(256, 256), torch.zeros(256, 256)).item(), 2)
        11.09
    """
    return info_nce_loss(i2t, identical=identical) + info_nce_loss(t2i, identical=identical)

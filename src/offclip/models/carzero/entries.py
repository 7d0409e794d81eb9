"""What the fusion decoder looks into: the entries of an image and of a sentence as a memory."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from offclip.models.interface import ImageFeatures, TextFeatures


def image_entries(image: ImageFeatures) -> Tensor:
    """Images as memories (B, 1 + P, D): the global vector, then the patches."""
    return torch.cat([image.pooled.unsqueeze(1), image.local], dim=1)


def text_entries(text: TextFeatures, slots: int) -> tuple[Tensor, Tensor]:
    """Sentences as memories: the global vector, then the words, then one empty slot for all empty slots.

    The published model attends to every slot, empty ones too. They are all the same zero vector, so one of
    them with the logarithm of their number as a bias stands for all, exactly.

    Args:
        text: T sentences of at most W words.
        slots: Word slots of a sentence, empty ones included.

    Returns:
        Entries (T, W + 2, D), and what is added to their attention logits (T, W + 2), see `fusion.Memory`.
    """
    words = text.mask.sum(dim=1)
    empty = (slots - words).clamp(min=0)
    zero = text.tokens.new_zeros(len(words), 1, text.tokens.shape[-1])
    bias = torch.zeros_like(text.mask, dtype=torch.float32).masked_fill(~text.mask, -math.inf)
    first = bias.new_zeros(len(words), 1)
    bias = torch.cat([first, bias, empty.float().log().unsqueeze(1)], dim=1)
    return torch.cat([text.pooled.unsqueeze(1), text.tokens, zero], dim=1), bias

"""Sentences through the text tower at their real length, a few at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from offclip.models.interface import TextFeatures

if TYPE_CHECKING:
    from offclip.models.carzero.model import CarZero


def encode_tokens(
    model: CarZero, input_ids: Tensor, attention_mask: Tensor, is_continuation: Tensor, at_a_time: int = 64
) -> TextFeatures:
    """Encodes T texts, short ones first, so that none carries the padding of a much longer one.

    Args:
        model: The model.
        input_ids: (T, L), as `CarZero.encode_text` takes them.
        attention_mask: (T, L).
        is_continuation: (T, L).
        at_a_time: Texts at a time; bounds the memory.

    Returns:
        The features in the order of the texts.
    """
    groups = groups_by_length(attention_mask.sum(dim=1), at_a_time)
    features = [model.encode_text(input_ids[g], attention_mask[g], is_continuation[g]) for g in groups]
    words = max(some.tokens.shape[1] for some in features)
    total, width = len(input_ids), features[0].pooled.shape[-1]
    pooled = features[0].pooled.new_zeros(total, width)
    tokens = pooled.new_zeros(total, words, width)
    mask = torch.zeros(total, words, dtype=torch.bool, device=pooled.device)
    for rows, some in zip(groups, features, strict=True):
        count = some.tokens.shape[1]
        pooled[rows] = some.pooled
        tokens[rows, :count] = some.tokens
        mask[rows, :count] = some.mask
    return TextFeatures(pooled, tokens, mask)


def groups_by_length(lengths: Tensor, at_most: int) -> list[Tensor]:
    """Row numbers, shortest first; a group ends where a text is more than twice as long as its shortest.

    Example:
        >>> [rows.tolist() for rows in groups_by_length(torch.tensor([9, 97, 8, 10]), 2)]
        [[2, 0], [3], [1]]
    """
    order = lengths.argsort(stable=True)
    ordered, starts = lengths[order].tolist(), [0]
    for place, length in enumerate(ordered):
        if place - starts[-1] >= at_most or length > 2 * ordered[starts[-1]] + 4:
            starts.append(place)
    return [order[start:stop] for start, stop in zip(starts, [*starts[1:], len(order)], strict=True)]

"""The grid of a training batch: every image against every sentence, both ways, in little memory.

A batch of B pairs has B x B (query, memory) pairs in each direction, and the published decoder keeps 25,000
to 50,000 numbers for the gradient of each of them. Here the memories are taken a few at a time, and what the
decoder keeps for them is thrown away after the forward pass and computed again in the backward pass. So the
activations of `chunk` x B pairs are all that is ever there; the logits and the gradients are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from offclip.errors import ConfigError
from offclip.models.interface import ImageFeatures, TextFeatures

if TYPE_CHECKING:
    from offclip.models.carzero.fusion import Fusion, Memory
    from offclip.models.carzero.model import CarZero

CHUNK = 8


def grid_logits(
    model: CarZero, image: ImageFeatures, text: TextFeatures, *, chunk: int = CHUNK, recompute: bool = True
) -> tuple[Tensor, Tensor]:
    """Logits of every image with every text, in both directions.

    Keys and values are computed inside the recomputed part. They are computed once more for it (some 4 % of
    the work at B = 256), but those of one chunk are all that is ever there: for all images of a batch of 256
    they and their gradients would take 2.5 GB.

    Dropout draws the same noise in the forward pass and in the recomputation. The noise depends on `chunk`,
    because it is drawn chunk by chunk; it does not depend on `recompute`.

    Args:
        model: The model; in training mode its dropout is active.
        image: Of B images.
        text: Of T texts. As the model does it, one entry stands for all empty slots. With dropout that is one
            draw of noise for all of them, where CARZero drew one for each; `fill_slots(text, slots)` gives
            CARZero's form.
        chunk: Memories at a time. The activations grow with `chunk` x B, or x T.
        recompute: Compute the activations again in the backward pass instead of keeping them. Without it the
            backward pass needs as much memory as the whole grid.

    Returns:
        `i2t` and `t2i`, both (B, T): the sentences look into the images, the images into the sentences.

    Raises:
        ConfigError: `chunk` is less than 1.

    Example:
        >>> from offclip.models.carzero.config import CarZeroConfig
        >>> from offclip.models.carzero.model import CarZero
        >>> model = CarZero(CarZeroConfig.tiny()).eval()
        >>> image = model.encode_image(torch.zeros(3, 1, 64, 64))
        >>> ids = torch.tensor([[101, 110, 117, 102], [101, 124, 102, 0]])
        >>> text = model.encode_text(ids, ids != 0, torch.zeros_like(ids))
        >>> i2t, t2i = grid_logits(model, image, text, chunk=2)
        >>> i2t.shape, t2i.shape
        (torch.Size([3, 2]), torch.Size([3, 2]))
    """
    if chunk < 1:
        raise ConfigError(f"chunk is {chunk}.", "Choose at least 1 memory at a time.")

    def images(pooled: Tensor, local: Tensor) -> Memory:
        return model.image_memory(ImageFeatures(pooled, local, image.grid))

    def texts(pooled: Tensor, tokens: Tensor, mask: Tensor) -> Memory:
        return model.text_memory(TextFeatures(pooled, tokens, mask))

    i2t = _ask(model.fusion, text.pooled, images, (image.pooled, image.local), chunk, recompute)
    t2i = _ask(model.fusion, image.pooled, texts, (text.pooled, text.tokens, text.mask), chunk, recompute)
    return i2t, t2i.T


def fill_slots(text: TextFeatures, slots: int) -> TextFeatures:
    """The same texts with every empty slot spelt out as a zero vector, so that dropout treats each by itself.

    Without dropout the logits are the same, with more work.

    Args:
        text: Of T texts, of W words at most.
        slots: Slots of a text, `model.config.slots`.

    Example:
        >>> text = TextFeatures(torch.ones(1, 4), torch.ones(1, 2, 4), torch.ones(1, 2, dtype=torch.bool))
        >>> filled = fill_slots(text, 5)
        >>> filled.tokens.sum(dim=2).tolist(), filled.mask.all().item()
        ([[4.0, 4.0, 0.0, 0.0, 0.0]], True)
    """
    words = text.tokens * text.mask.unsqueeze(-1)
    tokens = F.pad(words, (0, 0, 0, max(0, slots - words.shape[1])))
    return TextFeatures(
        text.pooled, tokens, torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    )


def _ask(
    fusion: Fusion,
    queries: Tensor,
    memory_of: Callable[..., Memory],
    parts: Sequence[Tensor],
    chunk: int,
    recompute: bool,
) -> Tensor:
    """Logits (M, Q): the queries put to M memories, which `memory_of` makes of the rows of `parts`."""

    def ask(queries: Tensor, *rows: Tensor) -> Tensor:
        return fusion(queries, memory_of(*rows))

    # Split, and not sliced: in the backward pass each slice would write a gradient of the size of the whole.
    chunks = zip(*(part.split(chunk) for part in parts), strict=True)
    if not recompute:
        return torch.cat([ask(queries, *rows) for rows in chunks])
    return torch.cat([checkpoint(ask, queries, *rows, use_reentrant=False) for rows in chunks])

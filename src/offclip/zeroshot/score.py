"""Every image against every prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from offclip.data.loader import PixelStore
from offclip.errors import InputError
from offclip.models.interface import ClipModel


@dataclass(frozen=True, slots=True)
class Scores:
    """Zero-shot logits of N images for T prompts, keyed by image id.

    Attributes:
        image_ids: N ids.
        prompts: T prompts.
        logits: (N, T) float32.
        embeddings: (N, D) float32 pooled image vectors of unit length.
    """

    image_ids: tuple[str, ...]
    prompts: tuple[str, ...]
    logits: np.ndarray
    embeddings: np.ndarray

    def of(self, prompt: str) -> np.ndarray:
        """(N,) logits of one prompt."""
        return self.logits[:, self.prompts.index(prompt)]


@torch.inference_mode()
def score_images(
    model: ClipModel,
    store: PixelStore,
    prompts: Sequence[str],
    *,
    batch_size: int = 256,
    on_progress: Callable[[int, int], None] | None = None,
) -> Scores:
    """Scores images against prompts; the prompts are encoded once.

    Args:
        model: In evaluation mode.
        store: The images.
        prompts: T different sentences.
        batch_size: Images at a time.
        on_progress: Called with (images done, images in all).

    Raises:
        InputError: The model is in training mode, or a prompt is doubled.
    """
    if model.training:
        raise InputError("The model is in training mode.", "Call model.eval() first.")
    if len(set(prompts)) != len(prompts):
        raise InputError("A prompt stands in the list twice.", "Give every prompt once.")
    compare = model.scorer(prompts)
    logits, embeddings = [], []
    total = len(store.image_ids)
    for start in range(0, total, batch_size):
        squares = store.batch(range(start, min(start + batch_size, total))).to(model.device)
        image = model.encode_image(model.preprocess.normalise(squares))
        logits.append(compare(image).float().cpu())
        embeddings.append(torch.nn.functional.normalize(image.pooled.float(), dim=-1).cpu())
        if on_progress:
            on_progress(min(start + batch_size, total), total)
    return Scores(store.image_ids, tuple(prompts), torch.cat(logits).numpy(), torch.cat(embeddings).numpy())

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


def image_scorer(
    model: ClipModel, prompts: Sequence[str]
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Encodes T prompts once, and returns what scores squares against them, batch by batch.

    Args:
        model: In evaluation mode.
        prompts: T different sentences.

    Returns:
        A function from (B, S, S) uint8 squares to logits (B, T) and unit vectors (B, D), both float32.

    Raises:
        InputError: The model is in training mode, or a prompt is doubled.
    """
    if model.training:
        raise InputError("The model is in training mode.", "Call model.eval() first.")
    if len(set(prompts)) != len(prompts):
        raise InputError("A prompt stands in the list twice.", "Give every prompt once.")
    with torch.inference_mode():
        compare = model.scorer(prompts)

    @torch.inference_mode()
    def score(squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pixels = model.preprocess.normalise(torch.as_tensor(squares, device=model.device))
        image = model.encode_image(pixels)
        pooled = torch.nn.functional.normalize(image.pooled.float(), dim=-1)
        return compare(image).float().cpu().numpy(), pooled.cpu().numpy()

    return score


def score_images(
    model: ClipModel,
    store: PixelStore,
    prompts: Sequence[str],
    *,
    batch_size: int = 256,
    on_progress: Callable[[int, int], None] | None = None,
) -> Scores:
    """Scores images that are in memory; `offclip.zeroshot.files` scores files.

    Args:
        model: In evaluation mode.
        store: The images, at least one.
        prompts: T different sentences.
        batch_size: Images at a time.
        on_progress: Called with (images done, images in all).

    Raises:
        InputError: The model is in training mode, or a prompt is doubled.
    """
    score = image_scorer(model, prompts)
    total = len(store.image_ids)
    found = []
    for start in range(0, total, batch_size):
        found.append(score(store.squares[start : start + batch_size]))
        if on_progress:
            on_progress(min(start + batch_size, total), total)
    logits, embeddings = zip(*found, strict=True)
    return Scores(store.image_ids, tuple(prompts), np.concatenate(logits), np.concatenate(embeddings))

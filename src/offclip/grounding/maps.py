"""Heat maps of chosen images for chosen prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from offclip.data.loader import PixelStore
from offclip.models.interface import ClipModel


@torch.inference_mode()
def heat_maps(
    model: ClipModel, store: PixelStore, rows: Sequence[int], prompts: Sequence[str], batch_size: int = 64
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (row, maps (T, h, w) float32) for each of the given rows of the store."""
    text = model.embed_texts(prompts)
    for start in range(0, len(rows), batch_size):
        chosen = rows[start : start + batch_size]
        image = model.encode_image(model.preprocess.normalise(store.batch(chosen).to(model.device)))
        yield from zip(chosen, model.heat_map(image, text).float().cpu().numpy(), strict=True)

"""Heat maps of chosen images for chosen prompts: one interface for every kind of model and of map.

- `similarity`: how well each cell fits the sentence, of models that compare vectors; where the pooled
  vector is the mean of the cells, what each adds to the cosine.
- `attention`: where the sentence looked, of models with cross-attention; CARZero's own map.
- `gradient-attention`: where looking raised the logit, of models with cross-attention.
- `grad-cam`: where a late feature map of the image tower raised the logit, of models that name it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from offclip.data.loader import PixelStore
from offclip.errors import ConfigError, InputError
from offclip.grounding.gradients import attention_gradient, grad_cam
from offclip.models.carzero.heat_maps import gradient_attention
from offclip.models.carzero.model import CarZero
from offclip.models.heads import CrossAttentionHead
from offclip.models.interface import ClipModel, ImageFeatures, TextFeatures

# From normalised pixels (B, C, S, S) and T texts to (B, T, rows, columns).
Maps = Callable[[Tensor, TextFeatures], Tensor]


def map_methods(model: ClipModel) -> Mapping[str, Maps]:
    """The kinds of heat map that a model has, the one it is known for first.

    Each takes normalised pixels (B, C, S, S) and T texts, and gives (B, T, rows, columns). All of them may be
    called in `torch.inference_mode`; those that need gradients see to it themselves.

    Example:
        >>> from offclip.models.carzero.config import CarZeroConfig
        >>> list(map_methods(CarZero(CarZeroConfig.tiny())))
        ['attention', 'gradient-attention', 'grad-cam']
    """

    def on_features(compute: Callable[[ImageFeatures, TextFeatures], Tensor]) -> Maps:
        return lambda pixels, text: compute(model.encode_image(pixels), text)

    weighted = _weighted_attention(model)
    methods = {"attention" if weighted else "similarity": on_features(model.heat_map)}
    if weighted:
        methods["gradient-attention"] = on_features(weighted)
    layer = model.cam_layer
    if layer is not None:
        methods["grad-cam"] = lambda pixels, text: grad_cam(model, layer, pixels, text)
    return methods


def _weighted_attention(model: ClipModel) -> Callable[[ImageFeatures, TextFeatures], Tensor] | None:
    """The attention of a model weighted by its gradient; None for a model whose sentences do not look."""
    if isinstance(model, CarZero):
        return partial(gradient_attention, model)
    head = getattr(model, "head", None)
    return partial(attention_gradient, head) if isinstance(head, CrossAttentionHead) else None


def map_method(model: ClipModel, method: str | None = None) -> Maps:
    """One kind of heat map of a model, see `map_methods`.

    Args:
        model: The model.
        method: Its name; None for the one that the model is known for.

    Raises:
        ConfigError: The model has no such map; the message lists those it has.
    """
    methods = map_methods(model)
    if method is None:
        return next(iter(methods.values()))
    if method not in methods:
        raise ConfigError(
            f"This model has no heat map {method!r}.", f"It has: {', '.join(methods)}; choose one of them."
        )
    return methods[method]


@torch.inference_mode()
def heat_maps(
    model: ClipModel,
    store: PixelStore,
    rows: Sequence[int],
    prompts: Sequence[str],
    batch_size: int = 64,
    method: str | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (row, maps (T, h, w) float32) for each of the given rows of the store.

    The maps lie on the model's square; `Letterbox.map_to_original` and `pointing.point` take them to the
    image.

    Args:
        model: In evaluation mode.
        store: Preprocessed images.
        rows: Which of them.
        prompts: T sentences.
        batch_size: Images at a time.
        method: Kind of map, see `map_methods`; None for the one that the model is known for.

    Raises:
        ConfigError: The model has no such map.
    """
    maps = map_method(model, method)
    text = model.embed_texts(prompts)
    for start in range(0, len(rows), batch_size):
        chosen = rows[start : start + batch_size]
        found = maps(model.preprocess.normalise(store.batch(chosen).to(model.device)), text)
        yield from zip(chosen, found.float().cpu().numpy(), strict=True)


@torch.inference_mode()
def maps_of_image(
    model: ClipModel,
    pixels: np.ndarray,
    prompts: Sequence[str],
    method: str | None = None,
    aspect: float = 1.0,
) -> np.ndarray:
    """Heat maps of one image, in its own pixels.

    Args:
        model: In evaluation mode.
        pixels: (H, W) uint8 grey, as read from the file.
        prompts: T sentences.
        method: Kind of map, see `map_methods`; None for the one that the model is known for.
        aspect: Height of a pixel divided by its width.

    Returns:
        (T, H, W) float32. Pixels that the model was not shown are NaN: CARZero cuts a border off, and CLIP
        all that is outside of the middle square.

    Raises:
        ConfigError: The model has no such map.
        InputError: The pixels are no 8-bit grey image.
    """
    if pixels.ndim != 2 or pixels.dtype != np.uint8 or not pixels.size:
        raise InputError(
            f"Pixels of shape {pixels.shape} and type {pixels.dtype}.", "Give (height, width) of 8-bit grey."
        )
    maps = map_method(model, method)
    square, geometry = model.preprocess.fit(pixels, aspect)
    squares = torch.from_numpy(square).unsqueeze(0).to(model.device)
    found = maps(model.preprocess.normalise(squares), model.embed_texts(prompts))[0].float().cpu().numpy()
    return np.stack([geometry.map_to_original(heat_map, outside=np.nan) for heat_map in found])

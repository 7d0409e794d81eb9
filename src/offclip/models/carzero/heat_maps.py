"""Gradient-weighted attention of CARZero: which cells the logit of a sentence hangs on."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from offclip.models.carzero.fusion import Fusion
from offclip.models.carzero.model import CarZero
from offclip.models.interface import ImageFeatures, TextFeatures

_PAIRS = 1024  # at a time; the graph of a pair takes some 100 KB


def gradient_attention(model: CarZero, image: ImageFeatures, text: TextFeatures) -> Tensor:
    """Attention times the gradient of the `i2t` logit by it, positive part, mean over heads and layers.

    Attention says where a sentence looked; the gradient says whether looking there raised the logit. Cells
    that lower it are left out.

    Args:
        model: In evaluation mode.
        image: B images; they may come from `torch.inference_mode`, as may the call itself.
        text: T sentences.

    Returns:
        (B, T, rows, columns) float32, not negative, without a gradient; the global vector is dropped.

    Source:
        Chefer, Gur, Wolf, Generic attention-model explainability for interpreting bi-modal and
        encoder-decoder transformers, ICCV 2021. Sentences here do not look at each other, so their rule
        comes down to a sum over the layers of the decoder; how the image tower mixes the cells before is
        left out.

    Example:
        >>> from offclip.models.carzero.config import CarZeroConfig
        >>> model = CarZero(CarZeroConfig.tiny()).eval()
        >>> ids = torch.tensor([[101, 110, 117, 102]])
        >>> with torch.inference_mode():
        ...     image = model.encode_image(torch.zeros(2, 1, 64, 64))
        ...     text = model.encode_text(ids, ids != 0, torch.zeros_like(ids))
        ...     gradient_attention(model, image, text).shape
        torch.Size([2, 1, 4, 4])
    """
    step = max(1, _PAIRS // len(text.pooled))
    with torch.inference_mode(False), torch.enable_grad():
        queries = _plain(text.pooled)
        cells = [
            _maps(model.fusion, queries, _plain(torch.cat([pooled.unsqueeze(1), local], dim=1)))
            for pooled, local in zip(image.pooled.split(step), image.local.split(step), strict=True)
        ]
        return torch.cat(cells).unflatten(-1, image.grid)


def _plain(tensor: Tensor) -> Tensor:
    """A copy that a graph can be built on: a tensor made in inference mode cannot be."""
    return tensor.detach().clone()


def _maps(fusion: Fusion, queries: Tensor, memory: Tensor) -> Tensor:
    """(M, Q, N - 1): weighted attention of each query on each entry of a memory but the first."""
    memory = fusion.decoder_norm(memory)
    x = fusion.decoder_norm(queries).unsqueeze(0)
    found: list[Tensor] = []
    layers: Any = fusion.decoder.layers
    for layer in layers:
        query, (key, value) = layer.query(x), layer.keys_and_values(memory)
        weights = (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).softmax(dim=-1)  # M H Q N
        if not weights.requires_grad:  # parameters that are frozen give no graph, the weights start one
            weights.requires_grad_()
        found.append(weights)
        x = layer.mix(x, (weights @ value).transpose(1, 2).flatten(2), 0.0)
    # One pair's logit depends on no other pair's attention: the gradient of the sum is that of each.
    gradients = torch.autograd.grad(fusion.head(x).sum(), found)
    with torch.no_grad():
        maps = [(g * w).relu().mean(dim=1) for g, w in zip(gradients, found, strict=True)]
        return torch.stack(maps).mean(dim=0)[..., 1:].float()

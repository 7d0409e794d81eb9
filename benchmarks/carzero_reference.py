"""The plain way to score with CARZero, written from its description: what the fast way is held against.

One image at a time. For every image the keys and values of all sentences are computed anew, over all slots,
empty ones too, and every layer returns its attention. Only the sentences are encoded once, in both ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from offclip.models.carzero.fusion import Fusion
from offclip.models.carzero.model import CarZero
from offclip.models.interface import ImageFeatures, TextFeatures


@dataclass(frozen=True, slots=True)
class Reference:
    """What the plain way returns for one image.

    Attributes:
        logits: (T,) the mean of both directions.
        i2t_attention: (layers, T, 1 + P) of the sentences on the image, mean over the heads.
        t2i_attention: (layers, T, 1 + slots) of the image on the sentences.
    """

    logits: Tensor
    i2t_attention: Tensor
    t2i_attention: Tensor


def slots(text: TextFeatures, count: int) -> Tensor:
    """Sentences as memories (T, 1 + slots, D): the global vector, the words, and zeros to the end."""
    words = torch.where(text.mask.unsqueeze(-1), text.tokens, 0)
    words = F.pad(words, (0, 0, 0, count - words.shape[1]))
    return torch.cat([text.pooled.unsqueeze(1), words], dim=1)


def fuse(model: CarZero, image: ImageFeatures, text: TextFeatures, text_memory: Tensor) -> Reference:
    """Puts one image and T sentences together; `text_memory` comes from `slots`."""
    patches = torch.cat([image.pooled.unsqueeze(1), image.local], dim=1)  # 1 197 D
    i2t, sees = decode(model.fusion, text.pooled, patches)
    t2i, reads = decode(model.fusion, image.pooled, text_memory)
    return Reference((i2t[0] + t2i[:, 0]) / 2, sees[:, 0], reads[:, :, 0])


def score(model: CarZero, pixels: Tensor, text: TextFeatures) -> Tensor:
    """Logits (B, T) of (B, 1, S, S) images, one after the other, each as three equal channels."""
    memory = slots(text, model.config.slots)
    return torch.stack(
        [fuse(model, model.encode_image(pixel.expand(1, 3, -1, -1)), text, memory).logits for pixel in pixels]
    )


def decode(fusion: Fusion, queries: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (M, Q) of (Q, D) queries put to (M, N, D) memories, and attention (layers, M, Q, N).

    The attention layer is torch's own, as in the published model: sequence first, weights returned.
    """
    norm = fusion.decoder_norm
    width = memory.shape[-1]
    memory = norm(memory).transpose(0, 1).contiguous()  # N M D
    x = norm(queries).unsqueeze(1).repeat(1, memory.shape[1], 1)  # Q M D
    attention = []
    decoder: Any = fusion.decoder
    for layer in decoder.layers:
        part = layer.multihead_attn
        found, weights = F.multi_head_attention_forward(
            layer.norm2(x),
            memory,
            memory,
            width,
            fusion.heads,
            part.in_proj_weight,
            part.in_proj_bias,
            None,
            None,
            False,
            0.0,
            part.out_proj.weight,
            part.out_proj.bias,
            training=False,
            need_weights=True,
        )
        attention.append(weights)
        x = x + found
        x = x + layer.linear2(F.relu(layer.linear1(layer.norm3(x))))
    x = norm(x)
    for number, linear in enumerate(fusion.mlp_head.values()):
        x = linear(F.relu(x) if number else x)
    return x.squeeze(-1).transpose(0, 1), torch.stack(
        [weights for weights in attention if weights is not None]
    )

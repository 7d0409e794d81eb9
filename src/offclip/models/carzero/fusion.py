"""The fusion decoder of CARZero: queries look into memories through four layers, and a head gives a logit.

Every query is put to every memory, with the same weights in both directions: a sentence into the patches of
an image (i2t), and an image into the words of a sentence (t2i). Keys and values depend on the memory alone,
so they are computed once for it (`prepare`) and asked by any number of queries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from offclip.models.carzero.config import CarZeroConfig

_EPS = 1e-5


@dataclass(frozen=True, slots=True)
class Memory:
    """Memories that are ready to be asked.

    Attributes:
        keys, values: For each layer (M, H, N, d): M memories of N entries.
        bias: (M, 1, 1, N) added to the attention logits, or None. Zero for an entry, log(n) for one that
            stands for n equal entries, minus infinity for none.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    bias: Tensor | None

    def __len__(self) -> int:
        return len(self.keys[0])

    def select(self, rows: slice) -> Memory:
        """Some of the memories."""
        bias = None if self.bias is None else self.bias[rows]
        return Memory(tuple(k[rows] for k in self.keys), tuple(v[rows] for v in self.values), bias)


class Fusion(nn.Module):
    """The decoder and its head; the parameters that are used bear the names of the file.

    Args:
        config: The geometry.
        dropout: In training, in attention, feed-forward layers and head.
    """

    def __init__(self, config: CarZeroConfig, dropout: float = 0.1) -> None:
        super().__init__()
        self.heads, self.dropout = config.fusion_heads, dropout
        self.decoder_norm = nn.LayerNorm(config.width, _EPS)
        self.decoder = _Decoder(config)
        widths = (config.width, *config.head_widths)
        # The published file numbers the head's linear layers 0, 3, 6, ...: dropout and ReLU stand between.
        self.mlp_head = nn.ModuleDict(
            {
                str(3 * n): nn.Linear(*pair)
                for n, pair in enumerate(zip(widths, (*widths[1:], 1), strict=True))
            }
        )

    def prepare(self, memory: Tensor, bias: Tensor | None = None) -> Memory:
        """Keys and values of (M, N, D) memories; `bias` is (M, N), see `Memory`."""
        memory = self.decoder_norm(memory)
        keys, values = zip(*(layer.keys_and_values(memory) for layer in self.decoder), strict=True)
        return Memory(keys, values, None if bias is None else bias[:, None, None, :].to(memory.dtype))

    def forward(self, queries: Tensor, memory: Memory) -> Tensor:
        """Logits (M, Q) of (Q, D) queries put to each of M memories."""
        return self.head(self._decode(queries, memory, None))

    def attention(self, queries: Tensor, memory: Memory) -> Tensor:
        """Attention weights of all layers, mean over the heads: (layers, M, Q, N)."""
        weights: list[Tensor] = []
        self._decode(queries, memory, weights)
        return torch.stack(weights)

    def head(self, decoded: Tensor) -> Tensor:
        """Decoded queries (..., D) to logits (...)."""
        x = self.decoder_norm(decoded)
        for number, linear in enumerate(self.mlp_head.values()):
            x = F.dropout(F.relu(x) if number else x, self.dropout, self.training)
            x = linear(x)
        return x.squeeze(-1).to(torch.promote_types(x.dtype, torch.float32))

    def _decode(self, queries: Tensor, memory: Memory, weights: list[Tensor] | None) -> Tensor:
        x = self.decoder_norm(queries).unsqueeze(0)  # 1 Q D: the same before every memory
        dropout = self.dropout if self.training else 0.0
        for layer, key, value in zip(self.decoder, memory.keys, memory.values, strict=True):
            query = layer.query(x)
            if weights is not None:
                scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
                scores = scores if memory.bias is None else scores + memory.bias
                weights.append(scores.softmax(dim=-1).mean(dim=1))
            found = F.scaled_dot_product_attention(
                query.expand(len(key), -1, -1, -1), key, value, memory.bias, dropout
            )
            x = layer.mix(x, found.transpose(1, 2).flatten(2), dropout)
        return x


class _Decoder(nn.Module):
    def __init__(self, config: CarZeroConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.fusion_layers))

    def __iter__(self) -> Iterator[_Layer]:
        return iter(cast("list[_Layer]", self.layers))


class _CrossAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        # Queries, keys and values in one, as the file packs them.
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        nn.init.xavier_uniform_(self.in_proj_weight)
        self.out_proj = nn.Linear(width, width)


class _Layer(nn.Module):
    def __init__(self, config: CarZeroConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.fusion_heads
        self.multihead_attn = _CrossAttention(width)
        self.linear1 = nn.Linear(width, config.fusion_hidden)
        self.linear2 = nn.Linear(config.fusion_hidden, width)
        self.norm2 = nn.LayerNorm(width, _EPS)
        self.norm3 = nn.LayerNorm(width, _EPS)

    def query(self, x: Tensor) -> Tensor:
        """(M, Q, D) -> (M, H, Q, d)."""
        width = x.shape[-1]
        part = self.multihead_attn
        projected = F.linear(self.norm2(x), part.in_proj_weight[:width], part.in_proj_bias[:width])
        return self._split(projected)

    def keys_and_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """(M, N, D) -> twice (M, H, N, d)."""
        width = memory.shape[-1]
        part = self.multihead_attn
        both = F.linear(memory, part.in_proj_weight[width:], part.in_proj_bias[width:])
        key, value = both.chunk(2, dim=-1)
        return self._split(key), self._split(value)

    def mix(self, x: Tensor, found: Tensor, dropout: float) -> Tensor:
        """Adds what was found, and the feed-forward layer."""
        x = x + F.dropout(self.multihead_attn.out_proj(found), dropout)
        hidden = F.dropout(F.relu(self.linear1(self.norm3(x))), dropout)
        return x + F.dropout(self.linear2(hidden), dropout)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

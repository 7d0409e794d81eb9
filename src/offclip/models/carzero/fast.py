"""The fusion decoder at test time: the same logits from fewer operations, without attention maps.

Four facts are used, each exact in real numbers:

- A norm's weight and bias can go into the linear layer behind it, and the scale of the attention into the
  queries.
- The bias of the keys adds the same to every logit of a softmax and falls away. The weights of a softmax add
  up to one, so the bias of the values passes through to the output.
- Keys that wait for many queries can take the queries' projection in: W q asks a key k as q asks W'k. Values
  can take the output projection in. Done once for a set of sentences, this saves two projections a pair.
- Few queries can take the keys' projection in, the other way round, and the values can be projected after
  they are averaged. Then the many patches of an image are not projected at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from offclip.models.carzero.fusion import Fusion

_EPS = 1e-5


@dataclass(frozen=True, slots=True)
class Linear:
    """Rows times a matrix (out, in), plus a bias."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer with its norms and the scale inside; keys and values need no bias.

    Attributes:
        query, out: (D, D).
        keys_values: (2 D, D) both projections of a memory.
        key, value: (H, d, D) the same by heads.
        widen, narrow: The feed-forward layer.
    """

    query: Linear
    keys_values: Tensor
    key: Tensor
    value: Tensor
    out: Linear
    widen: Linear
    narrow: Linear


@dataclass(frozen=True, slots=True)
class Queries:
    """What asks: computed once for a set, whatever it will be put to.

    Attributes:
        start: (Q, D) before the first layer.
        first: (Q, D) queries of the first layer.
        folded: (H * Q, D) the same with the keys' projection in them, head by head.
    """

    start: Tensor
    first: Tensor
    folded: Tensor

    def __len__(self) -> int:
        return len(self.start)

    def select(self, rows: slice) -> Queries:
        """Some of the queries."""
        heads = self.folded.unflatten(0, (-1, len(self)))
        return Queries(self.start[rows], self.first[rows], heads[:, rows].flatten(0, 1))


@dataclass(frozen=True, slots=True)
class Projected:
    """M memories of N entries with the projections of keys and values applied.

    Attributes:
        keys, values: For each layer (M, H, N, d).
        bias: (M, 1, 1, N), see `fusion.Memory`, or None.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    bias: Tensor | None

    def select(self, rows: slice) -> Projected:
        """Some of the memories."""
        bias = None if self.bias is None else self.bias[rows]
        return Projected(_rows(self.keys, rows), _rows(self.values, rows), bias)


@dataclass(frozen=True, slots=True)
class Folded:
    """M memories of N entries with the projections of queries and output in them.

    Attributes:
        keys, values: For each layer (M, H * N, D), head by head.
        biases: For each layer (M, 1, H * N), added to the attention logits.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    def select(self, rows: slice) -> Folded:
        """Some of the memories."""
        return Folded(_rows(self.keys, rows), _rows(self.values, rows), _rows(self.biases, rows))


class FastFusion:
    """The weights of a `Fusion`, rearranged; they do not follow the module when it is trained on.

    Args:
        fusion: In evaluation mode.
        dtype: Of weights and activations; the module's own by default. Logits are float32.

    Example:
        >>> from offclip.models.carzero.config import CarZeroConfig
        >>> fusion = Fusion(CarZeroConfig.tiny()).eval()
        >>> fast, sentences, image = FastFusion(fusion), torch.randn(3, 32), torch.randn(2, 17, 32)
        >>> plain = fusion(sentences, fusion.prepare(image))
        >>> torch.allclose(fast.ask_bare(fast.queries(sentences), fast.normed(image)), plain, atol=1e-5)
        True
    """

    @torch.no_grad()
    def __init__(self, fusion: Fusion, dtype: torch.dtype | None = None) -> None:
        norm = fusion.decoder_norm
        self.heads, self.norm = fusion.heads, norm
        self.dtype = dtype or norm.weight.dtype
        decoder: Any = fusion.decoder
        self.layers = [_layer(layer, norm, fusion.heads, self.dtype) for layer in decoder.layers]
        first, *others = (module for module in fusion.mlp_head.values() if isinstance(module, nn.Linear))
        self.head = [_linear(*_behind(norm, first.weight, first.bias), self.dtype)]
        self.head += [_linear(linear.weight, linear.bias, self.dtype) for linear in others]

    def normed(self, memory: Tensor) -> Tensor:
        """(M, N, D) features of memories, as the methods below take them."""
        return _normed(memory).to(self.dtype)

    def queries(self, pooled: Tensor) -> Queries:
        """(Q, D) features as queries."""
        start = self.norm(pooled).to(self.dtype)
        first = self.layers[0].query(_normed(start))
        return Queries(start, first, self._fold(self.layers[0], first.unsqueeze(0))[0])

    def project(self, memory: Tensor, bias: Tensor | None = None) -> Projected:
        """Keys and values of (M, N, D) normed memories; `bias` is (M, N)."""
        pairs = [self._keys_values(layer, memory) for layer in self.layers]
        bias = None if bias is None else bias[:, None, None, :].to(self.dtype)
        return Projected(tuple(k for k, _ in pairs), tuple(v for _, v in pairs), bias)

    def fold(self, memory: Tensor, bias: Tensor) -> Folded:
        """(M, N, D) normed memories that ask for no projection any more; `bias` is (M, N)."""
        keys, values, biases = [], [], []
        for layer in self.layers:
            key, value = self._keys_values(layer, memory)
            keys.append(_by_head(key, layer.query.weight.unflatten(0, (self.heads, -1))))
            own = (key * layer.query.bias.unflatten(0, (self.heads, 1, -1))).sum(dim=-1)  # M H N
            biases.append((own + bias.unsqueeze(1)).flatten(1).unsqueeze(1).to(self.dtype))
            out = layer.out.weight.unflatten(1, (self.heads, -1)).permute(1, 2, 0)
            values.append(_by_head(value, out).add_(layer.out.bias / self.heads))
        return Folded(tuple(keys), tuple(values), tuple(biases))

    def ask(self, queries: Queries, memory: Projected | Folded) -> Tensor:
        """Logits (M, Q)."""
        if isinstance(memory, Folded):
            return self._decode(queries, lambda number, x: self._attend_folded(memory, number, x))
        return self._decode(queries, lambda number, x: self._attend_projected(memory, queries, number, x))

    def ask_bare(self, queries: Queries, memory: Tensor) -> Tensor:
        """Logits (M, Q) of queries put to (M, N, D) normed memories that are never projected."""
        return self._decode(queries, lambda number, x: self._attend_bare(memory, queries, number, x))

    def ask_once(self, queries: Queries, memory: Tensor) -> Tensor:
        """Logits (M, Q), each layer's keys and values made when it is their turn, and dropped after."""

        def attend(number: int, x: Tensor) -> Tensor:
            keys, values = self._keys_values(self.layers[number], memory)
            return self._look(keys, values, None, queries, number, x)

        return self._decode(queries, attend)

    def _decode(self, queries: Queries, attend: Callable[[int, Tensor], Tensor]) -> Tensor:
        x = queries.start.unsqueeze(0)  # 1 Q D: the same before every memory, until the first has answered
        for number, layer in enumerate(self.layers):
            x = attend(number, x)
            x = layer.narrow(layer.widen(_normed(x)).relu_()).add_(x)
        x = _normed(x)
        for number, linear in enumerate(self.head):
            x = linear(x.relu_() if number else x)
        return x.squeeze(-1).float()

    def _query(self, queries: Queries, number: int, x: Tensor) -> Tensor:
        return self.layers[number].query(_normed(x)) if number else queries.first.unsqueeze(0)

    def _attend_projected(self, memory: Projected, queries: Queries, number: int, x: Tensor) -> Tensor:
        return self._look(memory.keys[number], memory.values[number], memory.bias, queries, number, x)

    def _look(
        self, keys: Tensor, values: Tensor, bias: Tensor | None, queries: Queries, number: int, x: Tensor
    ) -> Tensor:
        query = self._split(self._query(queries, number, x)).expand(len(keys), -1, -1, -1)
        found = F.scaled_dot_product_attention(query, keys, values, bias, scale=1.0)
        return self.layers[number].out(found.transpose(1, 2).flatten(2)).add_(x)

    def _attend_folded(self, memory: Folded, number: int, x: Tensor) -> Tensor:
        keys, values = memory.keys[number], memory.values[number]
        shape = (len(keys), *x.shape[1:])
        scores = torch.baddbmm(memory.biases[number], _normed(x).expand(shape), keys.transpose(1, 2))
        weights = scores.unflatten(-1, (self.heads, -1)).softmax(dim=-1).flatten(-2)
        return torch.baddbmm(x.expand(shape), weights, values)

    def _attend_bare(self, memory: Tensor, queries: Queries, number: int, x: Tensor) -> Tensor:
        layer, count = self.layers[number], len(queries)
        if number:
            folded = self._fold(layer, self._query(queries, number, x))
        else:
            folded = queries.folded.expand(len(memory), -1, -1)
        weights = torch.bmm(folded, memory.transpose(1, 2)).softmax(dim=-1)  # M H*Q N
        pooled = torch.bmm(weights, memory).unflatten(1, (self.heads, count))
        pooled = pooled.transpose(0, 1).reshape(self.heads, -1, memory.shape[-1])  # H M*Q D
        found = torch.bmm(pooled, layer.value.transpose(1, 2))  # H M*Q d
        return layer.out(found.transpose(0, 1).reshape(len(memory), count, -1)).add_(x)

    def _fold(self, layer: Layer, query: Tensor) -> Tensor:
        """Queries (M, Q, D) that need no projected keys: (M, H * Q, D)."""
        by_head = query.reshape(-1, self.heads, query.shape[-1] // self.heads).transpose(0, 1)  # H M*Q d
        folded = torch.bmm(by_head, layer.key).unflatten(1, query.shape[:2])  # H M Q D
        return folded.transpose(0, 1).reshape(len(query), -1, folded.shape[-1])

    def _keys_values(self, layer: Layer, memory: Tensor) -> tuple[Tensor, Tensor]:
        key, value = F.linear(memory, layer.keys_values).chunk(2, dim=-1)
        return self._split(key), self._split(value)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _rows(layers: tuple[Tensor, ...], rows: slice) -> tuple[Tensor, ...]:
    return tuple(layer[rows] for layer in layers)


def _normed(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], None, None, _EPS)


def _by_head(x: Tensor, weights: Tensor) -> Tensor:
    """(M, H, N, d) times (H, d, D), a head at a time: (M, H * N, D)."""
    return torch.stack([part @ weight for part, weight in zip(x.unbind(1), weights, strict=True)], 1).flatten(
        1, 2
    )


def _behind(norm: nn.LayerNorm, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """A linear layer that takes the weight and bias of the norm before it in."""
    return weight * norm.weight, bias + weight @ norm.bias


def _linear(weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Linear:
    return Linear(weight.detach().to(dtype), bias.detach().to(dtype))


def _layer(layer: Any, norm: nn.LayerNorm, heads: int, dtype: torch.dtype) -> Layer:
    part = layer.multihead_attn
    query, key, value = part.in_proj_weight.chunk(3)
    query_bias, _, value_bias = part.in_proj_bias.chunk(3)
    scale = math.sqrt(len(query) // heads)
    query, query_bias = _behind(layer.norm2, query, query_bias)
    key, value_bias = key * norm.weight, value_bias + value @ norm.bias
    value = value * norm.weight
    out = part.out_proj
    both = torch.cat([key, value]).to(dtype)
    key, value = both.chunk(2)
    return Layer(
        query=_linear(query / scale, query_bias / scale, dtype),
        keys_values=both,
        key=key.unflatten(0, (heads, -1)),
        value=value.unflatten(0, (heads, -1)),
        out=_linear(out.weight, out.bias + out.weight @ value_bias, dtype),
        widen=_linear(*_behind(layer.norm3, layer.linear1.weight, layer.linear1.bias), dtype),
        narrow=_linear(layer.linear2.weight, layer.linear2.bias, dtype),
    )

"""The text tower of CARZero: BERT, whose last layers are added up and whose word pieces become words.

Only what reaches the output is here: neither the pooler nor dropout at test time.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from offclip.models.carzero.config import CarZeroConfig
from offclip.models.interface import TextFeatures

_EPS = 1e-12


class TextTower(nn.Module):
    """BERT with post-norm layers; the parameters bear the names of the file.

    Args:
        config: The geometry.
        dropout: In training, as BERT has it.

    Attributes:
        recompute: Keep the input of each layer alone for the backward pass, and compute the rest again.
    """

    recompute: bool = False

    def __init__(self, config: CarZeroConfig, dropout: float = 0.1) -> None:
        super().__init__()
        self.slots = config.slots
        self.summed_layers = config.summed_layers
        self.embeddings = _Embeddings(config)
        self.encoder = _Encoder(config, dropout)
        self.dropout = dropout

    def forward(self, input_ids: Tensor, attention_mask: Tensor, is_continuation: Tensor) -> TextFeatures:
        """Encodes T texts of at most L tokens.

        Padding is cut off first: BERT gives the same for the tokens without it.

        Args:
            input_ids: (T, L) ids, from `[CLS]` to `[SEP]`, then padding.
            attention_mask: (T, L) 1 at tokens.
            is_continuation: (T, L) True at pieces that go on with a word (`##`).

        Returns:
            `pooled` (T, D), `tokens` (T, W, D): a vector a word, `[CLS]` and `[SEP]` among them, and the mask
            of the words. W is the number of words of the longest text.
        """
        mask = attention_mask.bool()
        length = int(mask.sum(dim=1).max())
        input_ids, mask, is_continuation = (
            input_ids[:, :length],
            mask[:, :length],
            is_continuation[:, :length],
        )
        hidden = self._encode(input_ids, mask)
        starts = mask & ~is_continuation.bool()
        word_of = (starts.cumsum(dim=1) - 1).clamp(min=0)  # which word a piece belongs to
        words = int(starts.sum(dim=1).max())
        target = word_of.unsqueeze(-1).expand(-1, -1, hidden.shape[-1])
        pieces = hidden * mask.unsqueeze(-1)
        tokens = hidden.new_zeros(len(hidden), words, hidden.shape[-1]).scatter_add(1, target, pieces)
        # The mean runs over all slots, empty ones too: the length of the vector falls with shorter texts.
        pooled = pieces.sum(dim=1) / self.slots
        counts = starts.sum(dim=1, keepdim=True)
        return TextFeatures(pooled, tokens, torch.arange(words, device=counts.device) < counts)

    def _encode(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        x = F.dropout(self.embeddings(input_ids), self.dropout, self.training)
        attend = None if bool(mask.all()) else mask[:, None, None, :]
        total: Tensor | None = None
        last = len(self.encoder.layer) - self.summed_layers
        for number, layer in enumerate(self.encoder.layer):
            x = checkpoint(layer, x, attend, use_reentrant=False) if self.recompute else layer(x, attend)
            if number >= last:
                total = x if total is None else total + x
        return x if total is None else total


# The small modules below give the parameters the names of the file.
class _Embeddings(nn.Module):
    def __init__(self, config: CarZeroConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocabulary_size, config.width)
        self.position_embeddings = nn.Embedding(config.positions, config.width)
        self.token_type_embeddings = nn.Embedding(2, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, _EPS)

    def forward(self, input_ids: Tensor) -> Tensor:
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        x = self.word_embeddings(input_ids) + self.token_type_embeddings.weight[0]
        return self.LayerNorm(x + self.position_embeddings(positions))


class _Encoder(nn.Module):
    def __init__(self, config: CarZeroConfig, dropout: float) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(config, dropout) for _ in range(config.text_layers))


class _Projections(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.self = _Projections(width)
        self.output = _Output(width, width)


class _Intermediate(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, hidden)


class _Layer(nn.Module):
    def __init__(self, config: CarZeroConfig, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = config.text_heads, dropout
        self.attention = _Attention(config.width)
        self.intermediate = _Intermediate(config.width, config.text_hidden)
        self.output = _Output(config.text_hidden, config.width)

    def forward(self, x: Tensor, attend: Tensor | None) -> Tensor:
        parts = self.attention.self
        query, key, value = (
            linear(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # T L D -> T H L d
            for linear in (parts.query, parts.key, parts.value)
        )
        dropout = self.dropout if self.training else 0.0
        found = F.scaled_dot_product_attention(query, key, value, attend, dropout)
        x = self.attention.output(found.transpose(1, 2).flatten(2), x, dropout)
        return self.output(F.gelu(self.intermediate.dense(x)), x, dropout)


class _Output(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.dense = nn.Linear(before, after)
        self.LayerNorm = nn.LayerNorm(after, _EPS)

    def forward(self, x: Tensor, residual: Tensor, dropout: float) -> Tensor:
        return self.LayerNorm(F.dropout(self.dense(x), dropout) + residual)

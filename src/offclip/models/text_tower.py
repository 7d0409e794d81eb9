"""A compact transformer text tower."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from offclip.models.interface import TextFeatures


class CompactTextTower(nn.Module):
    """From token ids to one vector a text and one a token.

    Args:
        vocabulary_size: Number of token ids; id 0 is padding.
        max_tokens: Longest text.
        width: Size of the token vectors inside the tower.
        layers: Transformer layers.
        embed_dim: D, the size of the joint space.
    """

    def __init__(
        self, vocabulary_size: int, max_tokens: int, width: int = 128, layers: int = 2, embed_dim: int = 128
    ) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary_size, width, padding_idx=0)
        self.position = nn.Parameter(torch.randn(max_tokens, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width,
            nhead=max(1, width // 32),
            dim_feedforward=2 * width,
            dropout=0.0,
            batch_first=True,
            norm_first=True,
        )
        self.encoder = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.project = nn.Linear(width, embed_dim)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """(T, L) ids and mask -> pooled (T, D) and tokens (T, L, D)."""
        mask = attention_mask.bool()
        hidden = self.token(input_ids) + self.position[: input_ids.shape[1]]
        # The fused attention kernel is made for long texts; on a dozen tokens its backward pass in bf16 takes
        # most of a training step on a CPU.
        with sdpa_kernel(SDPBackend.MATH):
            tokens = self.project(self.encoder(hidden, src_key_padding_mask=~mask))
        weights = mask.to(tokens.dtype).unsqueeze(-1)  # T L 1
        pooled = (tokens * weights).sum(dim=1) / weights.sum(dim=1)
        return TextFeatures(pooled=pooled, tokens=tokens, mask=mask)

"""The two ways to compare an image with a sentence: scaled cosine, and cross-attention."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from offclip.models.interface import ImageFeatures, TextFeatures

MAX_LOGIT_SCALE = 100.0


class CosineHead(nn.Module):
    """Cosine of the pooled vectors, times a learnt scale, plus a learnt bias (CLIP; SigLIP).

    Args:
        logit_scale: Initial scale.
        logit_bias: Initial bias; it changes nothing for InfoNCE and a great deal for sigmoid losses.
        max_logit_scale: Where the scale is cut off; 100 as in CLIP, so that logits cannot run away.
    """

    def __init__(
        self, logit_scale: float = 10.0, logit_bias: float = 0.0, max_logit_scale: float = MAX_LOGIT_SCALE
    ) -> None:
        super().__init__()
        self.max_logit_scale = max_logit_scale
        self.log_scale = nn.Parameter(torch.tensor(math.log(logit_scale)))
        self.bias = nn.Parameter(torch.tensor(float(logit_bias)))

    def scale(self) -> Tensor:
        """The scale, at most `max_logit_scale`."""
        return self.log_scale.exp().clamp(max=self.max_logit_scale)

    def forward(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """Logits (B, T), float32 under autocast too: bf16 would round them to a hundredth and coarser."""
        with torch.autocast(image.pooled.device.type, enabled=False):
            cosine = F.normalize(image.pooled.float(), dim=-1) @ F.normalize(text.pooled.float(), dim=-1).T
            return self.scale() * cosine + self.bias

    def heat_map(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """What each cell adds to the logit: its dot product with the sentence, (B, T, rows, columns).

        The cells are not normalised one by one: a cell with a long vector speaks louder in the pooled
        vector, and so it does in the map.
        """
        maps = torch.einsum("bpd,td->btp", image.local.float(), F.normalize(text.pooled.float(), dim=-1))
        return maps.unflatten(-1, image.grid)


class CrossAttentionHead(nn.Module):
    """The sentence looks into the image, and what it finds is scored (the idea of CARZero, small).

    Every sentence is a query over the cells and the pooled vector of every image. The logit is read off
    the query after one attention layer and one feed-forward layer. There is one logit matrix, because
    here only the text asks.

    Args:
        embed_dim: D, the size of the joint space.
        heads: Attention heads.
        logit_bias: Initial bias of the logits.
    """

    def __init__(self, embed_dim: int, heads: int = 4, logit_bias: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.norm_text = nn.LayerNorm(embed_dim)
        self.norm_image = nn.LayerNorm(embed_dim)
        self.query = nn.Linear(embed_dim, embed_dim)
        self.key = nn.Linear(embed_dim, embed_dim)
        self.value = nn.Linear(embed_dim, embed_dim)
        self.mix = nn.Linear(embed_dim, embed_dim)
        self.score = nn.Sequential(
            nn.LayerNorm(embed_dim), nn.Linear(embed_dim, embed_dim), nn.GELU(), nn.Linear(embed_dim, 1)
        )
        self.bias = nn.Parameter(torch.tensor(float(logit_bias)))

    def forward(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """Logits (B, T)."""
        return self.answer(self.attention(image, text), image, text)

    def heat_map(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """Mean attention of the heads on the cells, (B, T, rows, columns)."""
        attention = self.attention(image, text)
        return attention.mean(dim=1)[..., 1:].unflatten(-1, image.grid)  # token 0 is the pooled vector

    def attention(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """Attention of every sentence on the pooled vector and the cells, (B, heads, T, 1 + P)."""
        keys = self._split(self.key(self._memory(image)))  # B H P+1 d
        logits = torch.einsum("htd,bhpd->bhtp", self._split(self.query(self.norm_text(text.pooled))), keys)
        return (logits.float() / math.sqrt(keys.shape[-1])).softmax(dim=-1).to(keys.dtype)

    def answer(self, attention: Tensor, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """Logits (B, T) for a given attention, as `attention` returns it."""
        values = self._split(self.value(self._memory(image)))  # B H P+1 d
        found = torch.einsum("bhtp,bhpd->bthd", attention, values).flatten(2)  # B T D
        # The product lets the logit depend on agreement between what was asked and what was found.
        product = self.norm_text(text.pooled) * self.mix(found)
        return self.score(product).squeeze(-1).float() + self.bias

    def _memory(self, image: ImageFeatures) -> Tensor:
        return self.norm_image(torch.cat([image.pooled.unsqueeze(1), image.local], dim=1))  # B P+1 D

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-3, -2)  # ... N D -> ... H N d

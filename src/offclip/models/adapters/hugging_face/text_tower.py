"""The text tower of a model of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from offclip.models.adapters.adapted import TextTower
from offclip.models.adapters.hugging_face.layers import layers_of
from offclip.models.interface import TextFeatures


@dataclass(frozen=True, slots=True)
class Padding:
    """How texts are filled up to a fixed length.

    Attributes:
        length: Tokens a text.
        id: What is filled in.
        side: Where.
    """

    length: int
    id: int
    side: Literal["left", "right"] = "right"


class HfTextTower(TextTower):
    """A text model and its projection; the pooled vector is that of `get_text_features`.

    A token takes the same way into the joint space as the pooled vector.

    Args:
        text_model: Of transformers.
        projection: Into the joint space.
        head: Name of what stands between the last layer and the projection.
        first_token: The pooled vector is that of the first token; otherwise the model's own.
        padding: Texts are filled up to this before they are encoded, None where it makes no difference.
        masked: The model is told what is padding; SigLIP was trained without.
    """

    def __init__(
        self,
        text_model: nn.Module,
        projection: nn.Module,
        head: str | None = None,
        *,
        first_token: bool = False,
        padding: Padding | None = None,
        masked: bool = True,
    ) -> None:
        super().__init__()
        self.text_model = text_model
        self.projection = projection
        self.head = head
        self.first_token = first_token
        self.padding = padding
        self.masked = masked

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Its layers."""
        return tuple(layers_of(self.text_model))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """(T, L) ids and mask -> pooled (T, D) and tokens (T, L, D)."""
        ids, mask, cut = input_ids, attention_mask, slice(None)
        if self.padding is not None and ids.shape[1] < self.padding.length:
            less = self.padding.length - ids.shape[1]
            fill = (0, less) if self.padding.side == "right" else (less, 0)
            cut = slice(0, -less) if self.padding.side == "right" else slice(less, None)
            ids, mask = F.pad(ids, fill, value=self.padding.id), F.pad(mask, fill)
        output = self.text_model(input_ids=ids, attention_mask=mask if self.masked else None)
        hidden = output.last_hidden_state  # T L C
        pooled = hidden[:, 0] if self.first_token else output.pooler_output
        return TextFeatures(self.projection(pooled), self._each(hidden[:, cut]), attention_mask.bool())

    def _each(self, hidden: Tensor) -> Tensor:
        """(T, L, C) -> (T, L, D): every token as if it were the one that is pooled."""
        if self.head is not None:
            alone = self.text_model.get_submodule(self.head)(hidden.flatten(0, 1).unsqueeze(1))
            hidden = alone.flatten(1).unflatten(0, hidden.shape[:2])  # a pooler drops the axis of length 1
        return self.projection(hidden)

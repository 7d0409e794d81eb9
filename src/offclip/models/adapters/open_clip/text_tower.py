"""Text towers of open_clip: its own transformer, and text encoders of Hugging Face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from offclip.errors import CheckpointError, InputError
from offclip.models.adapters.adapted import TextTower
from offclip.models.interface import TextFeatures

_LAYERS = ("layer", "block", "layers")  # BERT and its kin; T5; M2M


class OpenClipTextTower(TextTower):
    """A text tower of open_clip, as it is.

    Args:
        text: `model.text` of open_clip.
        pad_id: Of the tokenizer.
    """

    def __init__(self, text: nn.Module, pad_id: int) -> None:
        super().__init__()
        self.text: Any = text
        self.pad_id = pad_id

    @property
    def vocabulary_size(self) -> int:
        """Rows of the token embedding."""
        raise NotImplementedError


class OwnTextTower(OpenClipTextTower):
    """open_clip's own transformer: it looks at all of its positions, also at the padding."""

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Its blocks."""
        return tuple(self.text.transformer.resblocks)

    @property
    def vocabulary_size(self) -> int:
        """Rows of the token embedding."""
        return self.text.token_embedding.num_embeddings

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """(T, L) ids and mask -> pooled (T, D) and tokens (T, L, D)."""
        length, positions = input_ids.shape[1], self.text.context_length
        if length > positions:
            raise InputError(f"Texts of {length} tokens.", f"This model takes {positions} at most.")
        whole = F.pad(input_ids, (0, positions - length), value=self.pad_id)
        found = self.text.forward_intermediates(
            whole, indices=1, normalize_intermediates=True, output_fmt="NLC"
        )
        tokens = self._projected(found["text_intermediates"][-1][:, :length])
        return TextFeatures(found["text_features"], tokens, attention_mask.bool())

    def _projected(self, tokens: Tensor) -> Tensor:
        projection = self.text.text_projection
        if projection is None:
            return tokens
        return projection(tokens) if isinstance(projection, nn.Linear) else tokens @ projection


class EncoderTextTower(OpenClipTextTower):
    """A text encoder of Hugging Face: padding has no effect on it, and is left out of the work."""

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Its layers."""
        encoder = getattr(self.text.transformer, "encoder", self.text.transformer)
        found = [getattr(encoder, name) for name in _LAYERS if hasattr(encoder, name)]
        return tuple(found[0]) if found else ()

    @property
    def vocabulary_size(self) -> int:
        """Rows of the token embedding."""
        return self.text.transformer.get_input_embeddings().num_embeddings

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """(T, L) ids and mask -> pooled (T, D) and tokens (T, L, D), zero behind the longest text."""
        text, length = self.text, input_ids.shape[1]
        mask = input_ids != text.config.pad_token_id  # what open_clip goes by
        columns = mask.any(dim=0).nonzero()
        used = int(columns[-1]) + 1 if len(columns) else length
        attended = mask[:, :used].long()
        output = text.transformer(input_ids=input_ids[:, :used], attention_mask=attended)
        tokens = F.pad(text.proj(output.last_hidden_state), (0, 0, 0, length - used))
        return TextFeatures(text.proj(text.pooler(output, attended)), tokens, attention_mask.bool())


def text_tower(text: nn.Module, pad_id: int) -> OpenClipTextTower:
    """The tower for a text part of open_clip."""
    return (EncoderTextTower if hasattr(text, "pooler") else OwnTextTower)(text, pad_id)


def check_vocabulary(tower: OpenClipTextTower, vocabulary_size: int, place: str) -> None:
    """Refuses a tokenizer that knows ids for which the tower has no embedding.

    Raises:
        CheckpointError: It does.
    """
    if vocabulary_size > tower.vocabulary_size:
        raise CheckpointError(
            f"{place}: the tokenizer has {vocabulary_size} ids, the text tower only {tower.vocabulary_size}.",
            "Use the tokenizer of these weights: beside them, or where hf_tokenizer_name leads.",
        )

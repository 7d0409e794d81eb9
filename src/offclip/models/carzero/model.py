"""CARZero on the interface of every model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from offclip.images.preprocess import Preprocess
from offclip.models.carzero.cache import embed_prompts
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.entries import image_entries, text_entries
from offclip.models.carzero.fast import FastFusion
from offclip.models.carzero.fusion import Fusion, Memory
from offclip.models.carzero.grid import CHUNK, grid_logits
from offclip.models.carzero.image_tower import ImageTower
from offclip.models.carzero.scoring import Scorer, ScoringOptions
from offclip.models.carzero.state import check_state, config_of, own_state
from offclip.models.carzero.text_tower import TextTower
from offclip.models.carzero.tokenizer import NoTokenizer
from offclip.models.interface import ClipModel, ImageFeatures, TextFeatures, Tower


class CarZero(ClipModel):
    """The model of CARZero and OFF-CLIP (Lai et al., CVPR 2024; Park et al., MICCAI 2025).

    The logit of a pair is the mean of two: the sentence asks the image, and the image asks the sentence. It
    is a raw logit, no cosine, and has no scale.

    Args:
        config: The geometry; that of the published weights by default.
        dropout: In training.

    Attributes:
        scoring: How `scorer` goes about it; see `precision.with_options`.
        grid_chunk, grid_recompute: How `training_logits` goes about the grid of a batch; see `grid_logits`.

    Example:
        >>> model = CarZero(CarZeroConfig.tiny()).eval()
        >>> image = model.encode_image(torch.zeros(2, 1, 64, 64))
        >>> ids = torch.tensor([[101, 110, 117, 102], [101, 124, 102, 0]])
        >>> text = model.encode_text(ids, ids != 0, torch.zeros_like(ids))
        >>> model.similarity(image, text).shape, model.heat_map(image, text).shape
        (torch.Size([2, 2]), torch.Size([2, 2, 4, 4]))
    """

    grid_chunk: int = CHUNK
    grid_recompute: bool = True
    scoring: ScoringOptions = ScoringOptions()

    def __init__(self, config: CarZeroConfig = CarZeroConfig(), dropout: float = 0.1) -> None:
        super().__init__()
        self.config = config
        self.preprocess = dataclasses.replace(Preprocess.carzero(), size=config.image_size)
        self.tokenizer = NoTokenizer(max_tokens=config.slots)
        self.image_tower = ImageTower(config)
        self.text_tower = TextTower(config, dropout)
        self.fusion = Fusion(config, dropout)

    def encode_image(self, pixels: Tensor) -> ImageFeatures:
        """Encodes (B, 1, S, S) normalised pixels, or (B, 3, S, S)."""
        return self.image_tower(pixels)

    def encode_text(
        self, input_ids: Tensor, attention_mask: Tensor, is_continuation: Tensor | None = None
    ) -> TextFeatures:
        """Encodes (T, L) token ids.

        Args:
            input_ids: From `[CLS]` to `[SEP]`, then padding.
            attention_mask: 1 at tokens and 0 at padding.
            is_continuation: True at pieces that go on with a word; None asks the tokenizer.
        """
        if is_continuation is None:
            is_continuation = self.tokenizer.is_continuation(input_ids)  # type: ignore[attr-defined]
        return self.text_tower(input_ids, attention_mask, is_continuation)

    def similarity(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """Logits (B, T): the mean of `i2t` and `t2i`."""
        return (self.i2t(image, text) + self.t2i(image, text)) / 2

    def i2t(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """Logits (B, T) of the direction in which sentences look into images."""
        return self.fusion(text.pooled, self.image_memory(image))

    def t2i(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """Logits (B, T) of the direction in which images look into sentences."""
        return self.fusion(image.pooled, self.text_memory(text)).T

    def training_logits(self, image: ImageFeatures, text: TextFeatures) -> tuple[Tensor, Tensor]:
        """`i2t` and `t2i`, both (B, T): the same logits, with the memory of `grid_logits`."""
        return grid_logits(self, image, text, chunk=self.grid_chunk, recompute=self.grid_recompute)

    def scorer(self, prompts: Sequence[str]) -> Scorer:
        """Compares images with sentences, again and again, as `similarity` does but faster."""
        text = embed_prompts(self, prompts, self.scoring.cache, self.scoring.cache_bytes)
        dtype = torch.bfloat16 if self.scoring.precision == "bf16" else None
        return Scorer(FastFusion(self.fusion, dtype), text, self.config, self.scoring.memory)

    def image_memory(self, image: ImageFeatures) -> Memory:
        """Images as memories: the global vector, then the patches."""
        return self.fusion.prepare(image_entries(image))

    def text_memory(self, text: TextFeatures) -> Memory:
        """Sentences as memories: the global vector, then the words, then the empty slots as one."""
        return self.fusion.prepare(*text_entries(text, self.config.slots))

    def attention(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """Attention on the global vector and the patches: (layers, B, T, 1 + P), mean over the heads."""
        return self.fusion.attention(text.pooled, self.image_memory(image))

    def heat_map(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        """CARZero's map (B, T, rows, columns): the mean of the layers, without the global vector."""
        return self.attention(image, text)[..., 1:].mean(dim=0).unflatten(-1, image.grid)

    def towers(self) -> Mapping[str, Tower]:
        """The parts that freezing, LoRA and layer-wise rates act on."""
        image, text = self.image_tower, self.text_tower
        return {"image": Tower(image, tuple(image.blocks)), "text": Tower(text, tuple(text.encoder.layer))}

    @property
    def cam_layer(self) -> nn.Module:
        """The last block of the image tower; its patches are what sentences look at."""
        return self.image_tower.blocks[-1]

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor], config: CarZeroConfig | None = None) -> CarZero:
        """A model from the tensors of a published file, in evaluation mode.

        Args:
            state: By the names of the file; prefixes and tensors that are never used may be there.
            config: The geometry; read off the tensors where it can be, by default.

        Raises:
            CheckpointError: A tensor is missing, unknown, or of another shape; all of them are named.
        """
        own = own_state(state)
        model = cls(config or config_of(own))
        check_state(model.state_dict(), own)
        model.load_state_dict(own)
        return model.eval()

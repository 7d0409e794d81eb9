"""The image tower of a model of transformers."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from offclip.errors import InputError
from offclip.models.adapters.adapted import ImageTower
from offclip.models.adapters.hugging_face.architectures import Vision
from offclip.models.adapters.hugging_face.layers import layers_of
from offclip.models.adapters.last_block import last_block_cells
from offclip.models.interface import ImageFeatures


class HfImageTower(ImageTower):
    """A vision model and its projection; the pooled vector is that of `get_image_features`.

    The cells take the same way as the pooled vector: what `last_block_cells` reads off the last layer goes
    through the norm, the head and the projection, each cell for itself, and is then brought to length 1. A
    head that pools by attention gives its value when there is one token to look at. Where the pooled vector
    is the mean of the tokens, the cells are these tokens: their projections have the pooled vector as mean.

    Args:
        vision_model: Of transformers.
        projection: Into the joint space.
        vision: Where in it things stand.
        image_size: Side of the images.
        local: How cells are read off, see `last_block.LOCAL`.
        resized: Interpolate its position embeddings to `image_size`.
    """

    def __init__(
        self,
        vision_model: nn.Module,
        projection: nn.Module,
        vision: Vision,
        image_size: int,
        local: str,
        resized: bool = False,
    ) -> None:
        super().__init__()
        if getattr(getattr(vision_model, "embeddings", None), "mask_token", None) is not None:
            vision_model.embeddings.mask_token = None  # type: ignore[union-attr]  # of its pretraining; no image has it
        self.vision_model = vision_model
        self.projection = projection
        self.vision = vision
        self.image_size = image_size
        self.local = local
        self._options: Mapping[str, Any] = {"interpolate_pos_encoding": True} if resized else {}
        self._last_layer: dict[int, tuple[Tensor, Tensor]] = {}  # what goes in and comes out, by thread
        if vision.pooling != "mean":
            self.blocks[-1].register_forward_hook(self._remember, with_kwargs=True)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Its layers; the stages of a Swin transformer."""
        return tuple(layers_of(self.vision_model))

    @property
    def cam_layer(self) -> nn.Module:
        """The layer before the last one if the logit depends on one token of that alone."""
        if self.vision.pooling == "mean":
            return self.vision_model.get_submodule(self.vision.norm)
        if self.vision.pooling == "head":
            return self.blocks[-1]
        return self.blocks[-2] if len(self.blocks) > 1 else self.vision_model.get_submodule("embeddings")

    def forward(self, pixels: Tensor) -> ImageFeatures:
        """(B, 3, S, S) normalised pixels -> pooled (B, D) and local (B, P, D).

        Raises:
            InputError: The images have another size.
        """
        side = self.image_size
        if pixels.ndim != 4 or tuple(pixels.shape[1:]) != (3, side, side):
            raise InputError(
                f"Pixels of shape {tuple(pixels.shape)}; this model takes (images, 3, {side}, {side}).",
                "Make them with its preprocess; another size has to be asked for when it is loaded.",
            )
        thread = threading.get_ident()
        self._last_layer[thread] = (pixels, pixels)  # says that this thread wants to know
        try:
            output = self.vision_model(pixel_values=pixels, **self._options)
        finally:
            hidden, tokens = self._last_layer.pop(thread)
        pooled = self.projection(output.pooler_output)
        if self.vision.pooling == "mean":
            local = self.projection(output.last_hidden_state)  # B P D
        else:
            if self.local != "tokens":
                tokens = last_block_cells(self.blocks[-1], hidden, self.local)
            local = F.normalize(self._each(tokens[:, -self._patches :]), dim=-1)
        side = isqrt(local.shape[1])
        return ImageFeatures(pooled, local, (side, side))

    @property
    def _patches(self) -> int:
        return (self.image_size // self.vision_model.config.patch_size) ** 2  # type: ignore[union-attr,operator]

    def _each(self, tokens: Tensor) -> Tensor:
        """(B, P, C) -> (B, P, D): every token as if it were the only one."""
        alone = self.vision_model.get_submodule(self.vision.norm)(tokens)
        if self.vision.head is not None:
            head = self.vision_model.get_submodule(self.vision.head)
            alone = head(alone.flatten(0, 1).unsqueeze(1)).unflatten(0, tokens.shape[:2])
        return self.projection(alone)

    def _remember(self, layer: nn.Module, given: tuple, named: dict[str, Any], output: Any) -> None:
        del layer
        thread = threading.get_ident()
        if thread in self._last_layer:  # not when a checkpointed layer runs once more for its gradient
            hidden = given[0] if given else named["hidden_states"]
            self._last_layer[thread] = (hidden, output[0] if isinstance(output, tuple) else output)

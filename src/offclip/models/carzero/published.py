"""Names and shapes of the tensors in a published file, for any geometry."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from offclip.models.carzero.config import CarZeroConfig

_TEXT, _IMAGE, _FUSION = "text_encoder.model", "img_encoder.model", "fusion_module"

Shape = tuple[int, ...]


def published_shapes(config: CarZeroConfig = CarZeroConfig()) -> dict[str, Shape]:
    """What a file of CARZero or OFF-CLIP holds, tensors that are never used among it.

    Example:
        >>> shapes = published_shapes()
        >>> len(shapes), shapes["img_encoder.model.pos_embed"]
        (434, (1, 197, 768))
    """
    return {**dict(_text(config)), **dict(_image(config)), **dict(_fusion(config))}


def _text(config: CarZeroConfig) -> Iterator[tuple[str, Shape]]:
    width, table = config.width, f"{_TEXT}.embeddings"
    yield f"{table}.word_embeddings.weight", (config.vocabulary_size, width)
    yield f"{table}.position_embeddings.weight", (config.positions, width)
    yield f"{table}.token_type_embeddings.weight", (2, width)
    yield from _norm(f"{table}.LayerNorm", width)
    for number in range(config.text_layers):
        layer = f"{_TEXT}.encoder.layer.{number}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            yield from _linear(f"{layer}.attention.{part}", width, width)
        yield from _norm(f"{layer}.attention.output.LayerNorm", width)
        yield from _linear(f"{layer}.intermediate.dense", width, config.text_hidden)
        yield from _linear(f"{layer}.output.dense", config.text_hidden, width)
        yield from _norm(f"{layer}.output.LayerNorm", width)
    yield from _linear(f"{_TEXT}.pooler.dense", width, width)


def _image(config: CarZeroConfig) -> Iterator[tuple[str, Shape]]:
    width, (rows, columns) = config.width, config.grid
    yield f"{_IMAGE}.cls_token", (1, 1, width)
    yield f"{_IMAGE}.pos_embed", (1, 1 + rows * columns, width)
    yield f"{_IMAGE}.patch_embed.proj.weight", (width, 3, config.patch_size, config.patch_size)
    yield f"{_IMAGE}.patch_embed.proj.bias", (width,)
    for number in range(config.image_layers):
        block = f"{_IMAGE}.blocks.{number}"
        yield from _norm(f"{block}.norm1", width)
        yield from _linear(f"{block}.attn.qkv", width, 3 * width)
        yield from _linear(f"{block}.attn.proj", width, width)
        yield from _norm(f"{block}.norm2", width)
        yield from _linear(f"{block}.mlp.fc1", width, config.image_hidden)
        yield from _linear(f"{block}.mlp.fc2", config.image_hidden, width)
    yield from _norm(f"{_IMAGE}.norm", width)


def _fusion(config: CarZeroConfig) -> Iterator[tuple[str, Shape]]:
    width = config.width
    yield f"{_FUSION}.logit_scale", ()
    yield from _norm(f"{_FUSION}.decoder_norm", width)
    for number in range(config.fusion_layers):
        layer = f"{_FUSION}.decoder.layers.{number}"
        for attention in ("self_attn", "multihead_attn"):
            yield f"{layer}.{attention}.in_proj_weight", (3 * width, width)
            yield f"{layer}.{attention}.in_proj_bias", (3 * width,)
            yield from _linear(f"{layer}.{attention}.out_proj", width, width)
        yield from _linear(f"{layer}.linear1", width, config.fusion_hidden)
        yield from _linear(f"{layer}.linear2", config.fusion_hidden, width)
        for norm in ("norm1", "norm2", "norm3"):
            yield from _norm(f"{layer}.{norm}", width)
    yield from _norm(f"{_FUSION}.decoder.norm", width)  # the same module as decoder_norm, under a second name
    widths = (width, *config.head_widths, 1)
    for number, (before, after) in enumerate(pairwise(widths)):
        yield from _linear(f"{_FUSION}.mlp_head.{3 * number}", before, after)


def _linear(name: str, before: int, after: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (after, before)
    yield f"{name}.bias", (after,)


def _norm(name: str, width: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)

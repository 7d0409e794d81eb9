"""Weights, images and texts from formulas: what parity with the published code is tested on, without a file.

Every number comes from integers: the 32-bit CRC of a text seeds PCG64, and its raw output is scaled. So any
version of NumPy on any machine makes the same bits, and a set of expected numbers needs a salt beside it.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from offclip.images.preprocess import Preprocess
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.published import Shape, published_shapes

_PUBLISHED_WIDTH = 768
_CLS, _SEP = 101, 102


@dataclass(frozen=True, slots=True)
class Prompts:
    """Texts as the text tower takes them.

    Attributes:
        input_ids: (T, L) int64, `[CLS]` first, `[SEP]` last, then zeros.
        attention_mask: (T, L) 1 at tokens.
        is_continuation: (T, L) True at pieces that go on with a word.
    """

    input_ids: Tensor
    attention_mask: Tensor
    is_continuation: Tensor


@dataclass(frozen=True, slots=True)
class PromptRecipe:
    """How to make texts.

    Attributes:
        slots: L, length to pad to.
        first_id: Smallest id of a word; a multiple of 7. An id goes on with a word if it is at least this
            one and leaves 3 when divided by 7.
        choices: Number of different words.
        bodies: For each text the number of its pieces without `[CLS]` and `[SEP]`, and k: every k-th piece
            goes on with a word; 0 for none.
        tail: In the last text, the pieces from this one on go on with one long word.
    """

    slots: int
    first_id: int
    choices: int
    bodies: tuple[tuple[int, int], ...]
    tail: int


PUBLISHED_PROMPTS = PromptRecipe(97, 1001, 4000, ((1, 3), (5, 0), (4, 2), (7, 3), (20, 9), (95, 0)), tail=60)
TINY_PROMPTS = PromptRecipe(25, 112, 100, ((1, 3), (5, 0), (4, 2), (7, 3), (12, 5), (23, 0)), tail=15)


def make_weights(config: CarZeroConfig, salt: str) -> dict[str, Tensor]:
    """All tensors of a published file, float32, by their names there.

    Args:
        config: The geometry.
        salt: Another salt, other weights.

    Returns:
        220.8 million numbers for the published geometry; this takes seconds.

    Example:
        >>> weights = make_weights(CarZeroConfig.tiny(), "doctest")
        >>> weights["fusion_module.decoder.norm.bias"].equal(weights["fusion_module.decoder_norm.bias"])
        True
    """
    gain = math.sqrt(_PUBLISHED_WIDTH / config.width)
    return {
        name: torch.from_numpy(make_tensor(name, shape, salt, gain))
        for name, shape in published_shapes(config).items()
    }


def make_tensor(name: str, shape: Shape, salt: str, gain: float = 1.0) -> np.ndarray:
    """One tensor: uniform numbers around 0, or around 1 for the weight of a norm.

    Args:
        name: As in the file; the two names of the decoder's norm give the same values.
        shape: Its shape.
        salt: See `make_weights`.
        gain: Factor on matrices of linear layers. A narrower model sums fewer products; without a gain all
            its logits would be nearly the same, and no test on them would notice a mistake.
    """
    name = name.replace("fusion_module.decoder.norm.", "fusion_module.decoder_norm.")
    deviation = _deviation(name)
    if len(shape) == 2 and "embeddings." not in name:
        deviation *= gain
    raw = _raw(f"{salt}|{name}", math.prod(shape))
    uniform = (raw >> np.uint64(40)).astype(np.float32) * np.float32(2**-23) - np.float32(1)
    values = uniform * np.float32(deviation * math.sqrt(3.0))
    parts = name.lower().split(".")
    if parts[-1] == "weight" and "norm" in parts[-2]:
        values = values + np.float32(1)
    return values.reshape(shape)


def make_image(seed: int, height: int = 256, width: int = 256) -> np.ndarray:
    """A grey picture (height, width) uint8: 8 x 8 plates with fine grain.

    Example:
        >>> make_image(11)[:1, :3]
        array([[173, 170, 148]], dtype=uint8)
    """
    plates = (_raw(f"img|{seed}|c", 64) & np.uint64(255)).astype(np.int64).reshape(8, 8)
    grain = (_raw(f"img|{seed}|f", height * width) & np.uint64(255)).astype(np.int64).reshape(height, width)
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
    return ((3 * plates[rows[:, None], columns] + grain) // 4).astype(np.uint8)


def make_pixels(seeds: list[int], config: CarZeroConfig, channels: int = 1) -> Tensor:
    """Pictures as the image tower takes them, (B, channels, S, S).

    At the published size they go the whole way of a film; at another size they are made at that size.
    """
    preprocess = Preprocess.carzero()
    if config.image_size == preprocess.size:
        squares = [preprocess.fit(make_image(seed))[0] for seed in seeds]
    else:
        squares = [make_image(seed, config.image_size, config.image_size) for seed in seeds]
    pixels = preprocess.normalise(torch.from_numpy(np.stack(squares)))
    return pixels.expand(-1, channels, -1, -1)


def make_prompts(salt: str, recipe: PromptRecipe = PUBLISHED_PROMPTS) -> Prompts:
    """Texts of many lengths: one fills all slots, some have words of several pieces.

    Example:
        >>> make_prompts("doctest", TINY_PROMPTS).attention_mask.sum(dim=1).tolist()
        [3, 7, 6, 9, 14, 25]
    """
    ids = np.zeros((len(recipe.bodies), recipe.slots), np.int64)
    for number, (length, every) in enumerate(recipe.bodies):
        words = (_raw(f"{salt}|prompt|{number}", length) % np.uint64(recipe.choices)).astype(np.int64)
        body = recipe.first_id + 7 * words
        if every:
            body[every - 1 :: every] += 3
        if number == len(recipe.bodies) - 1:
            body[recipe.tail :] += 3
        ids[number, : length + 2] = [_CLS, *body, _SEP]
    continuation = (ids >= recipe.first_id) & (ids % 7 == 3)
    return Prompts(*(torch.from_numpy(array) for array in (ids, (ids != 0).astype(np.int64), continuation)))


def _raw(text: str, count: int) -> np.ndarray:
    return np.random.PCG64(zlib.crc32(text.encode())).random_raw(count)


def _deviation(name: str) -> float:
    if name.endswith(("pos_embed", "cls_token")):
        return 0.5
    if ".mlp_head." in name:
        return 0.06 if name.endswith("weight") else 0.2
    if name.startswith("fusion_module."):
        if name.endswith("in_proj_weight"):
            return 0.08
        if name.endswith("weight") and ".norm" not in name and "decoder_norm" not in name:
            return 0.05
    if "embeddings.word_embeddings" in name:
        return 0.2
    return 0.1 if "embeddings." in name and "LayerNorm" not in name else 0.04

"""What a cell of a vision transformer says: read off the last block in one of several ways.

A pre-norm block takes tokens x to z = x + O(softmax(q k' / sqrt d) v) and then to z + M(z), where q, k and v
are linear in norm(x), head by head, O is the output projection, M the feed-forward part with its norm, and
both hold the block's layer scale. The class token is trained to gather the image, and the attention of the
last blocks mixes the patches for it: what comes out at a patch speaks of other patches as well. Therefore
three ways to read the cells:

- `"tokens"`: z + M(z), the block as it is.
- `"values"`: z = x + O(v), then z + M(z): every token attends to itself alone. MaskCLIP (Zhou, Loy, Dai,
  Extract free dense labels from CLIP, ECCV 2022), whose code keeps the residual and the feed-forward part.
- `"self-attention"`: O(softmax(q q' / sqrt d) v), without residual and feed-forward part. ClearCLIP (Lan et
  al., ClearCLIP: Decomposing CLIP representations for dense vision-language inference, ECCV 2024); near to it
  CLIP Surgery (Li et al., 2023), which compares values with values.

All three end before the tower's last norm and projection. Dropout and dropped paths are left out of the last
two, and rotary positions out of the comparison of q with q.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from offclip.errors import ConfigError

logger = logging.getLogger(__name__)

LOCAL = ("tokens", "values", "self-attention")

Map = Callable[[Tensor], Tensor]

# First norm, attention, second norm; the feed-forward part is `mlp` in all of them.
_LAYOUTS = (
    ("ln_1", "attn", "ln_2"),  # open_clip
    ("norm1", "attn", "norm2"),  # timm, EVA in timm, CARZero
    ("layer_norm1", "self_attn", "layer_norm2"),  # CLIP and SigLIP in transformers
    ("layernorm_before", "attention", "layernorm_after"),  # ViT in transformers
    ("norm1", "attention", "norm2"),  # DINOv2 in transformers
)
_SCALES = (
    ("ls_1", "ls1", "gamma_1", "layer_scale1"),
    ("ls_2", "ls2", "gamma_2", "layer_scale2"),
)
_TOLERANCE = {
    torch.float64: 1e-6,
    torch.float32: 1e-3,
}  # of what is put together again; 0.05 in half precision
_checked: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
_unknown: set[type] = set()


@dataclass(frozen=True, slots=True)
class _Parts:
    """A block, taken apart.

    Attributes:
        norm: Before the attention.
        project: From the normalised tokens (B, N, C) to q, k and v, each (B, heads, N, d).
        out: From what the heads found (B, N, heads * d) to what is added to the tokens (B, N, C).
        feed: From the tokens (B, N, C) to what is added to them.
    """

    norm: Map
    project: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
    out: Map
    feed: Map


def last_block_cells(block: nn.Module, hidden: Tensor, how: str, **context: Any) -> Tensor:
    """What is read off the last block of a vision transformer, token by token.

    A block is recognised by the names of its parts, and then by its numbers: the parts, put together again,
    must give what the block gives. For one that is not recognised the tokens are taken, with one warning.

    Args:
        block: The last block: of open_clip, timm, transformers (CLIP, SigLIP, ViT, DINOv2) or CARZero.
        hidden: (B, N, C) what goes into it; class and register tokens may be among the N.
        how: One of `LOCAL`, see above.
        context: What else the block itself is called with, such as rotary embeddings; for `"tokens"`.

    Returns:
        (B, N, C), before the last norm and the projection of the tower.

    Raises:
        ConfigError: There is no such way.

    Example:
        >>> from offclip.models.carzero.config import CarZeroConfig
        >>> from offclip.models.carzero.model import CarZero
        >>> block = CarZero(CarZeroConfig.tiny()).image_tower.blocks[-1].eval()
        >>> hidden = torch.zeros(2, 17, CarZeroConfig.tiny().width)
        >>> [tuple(last_block_cells(block, hidden, how).shape) for how in LOCAL]
        [(2, 17, 32), (2, 17, 32), (2, 17, 32)]
    """
    if how not in LOCAL:
        raise ConfigError(f"No way {how!r} to read cells off a block.", f"Choose one of: {', '.join(LOCAL)}.")
    parts = None if how == "tokens" else _recognised(block, hidden)
    if parts is None:
        if how != "tokens" and type(block) not in _unknown:
            _unknown.add(type(block))
            logger.warning(
                "%s: no block that is known; its heat maps are read off its tokens, not by %r.",
                type(block).__name__,
                how,
            )
        return _run(block, hidden, context)
    query, _, value = parts.project(parts.norm(hidden))
    if how == "values":
        return _with_rest(parts, hidden, value)
    return parts.out(_join(F.scaled_dot_product_attention(query, query, value)))


def _with_rest(parts: _Parts, hidden: Tensor, found: Tensor) -> Tensor:
    tokens = hidden + parts.out(_join(found))
    return tokens + parts.feed(tokens)


def _run(block: nn.Module, hidden: Tensor, context: dict[str, Any]) -> Tensor:
    mask = inspect.signature(block.forward).parameters.get("attention_mask")
    if mask is not None and mask.default is inspect.Parameter.empty:  # transformers insists on one
        context = {"attention_mask": None} | context
    output = block(hidden, **context)
    return output[0] if isinstance(output, tuple) else output


def _recognised(block: nn.Module, hidden: Tensor) -> _Parts | None:
    found = _take_apart(block)
    if found is None:
        return None
    parts, attention = found
    if attention not in _checked:
        if block.training:  # dropout would spoil the comparison
            return parts
        agrees = _agrees(block, parts, hidden)
        if agrees is None:
            return parts
        _checked[attention] = agrees
    return parts if _checked[attention] else None


@torch.no_grad()
def _agrees(block: nn.Module, parts: _Parts, hidden: Tensor) -> bool | None:
    """Whether the parts of one image's block do what the block does; None where that cannot be seen."""
    dtype = next(block.parameters()).dtype
    with torch.autocast(hidden.device.type, enabled=False):
        one = hidden[:1].detach().to(dtype)
        expected = _run(block, one, {})
        rebuilt = _with_rest(parts, one, F.scaled_dot_product_attention(*parts.project(parts.norm(one))))
    if expected.shape != rebuilt.shape:
        return False
    # A hook on the block, such as that of Grad-CAM, may have begun a graph.
    error, size = (float(x.detach().abs().max()) for x in (rebuilt - expected, expected))
    return None if error != error else error <= _TOLERANCE.get(dtype, 0.05) * size


def _take_apart(block: nn.Module) -> tuple[_Parts, nn.Module] | None:
    """The parts of a block and its attention, by their names; None where those are others."""
    for names in _LAYOUTS:
        found = [getattr(block, name, None) for name in (*names, "mlp")]
        parts = [part for part in found if isinstance(part, nn.Module)]
        if len(parts) == len(found):
            return _of_parts(block, *parts)
    return None


def _of_parts(
    block: nn.Module, norm1: nn.Module, attention: nn.Module, norm2: nn.Module, mlp: nn.Module
) -> tuple[_Parts, nn.Module] | None:
    project, out = _projection(attention), _first(attention, "out_proj", "proj", "o_proj")
    if project is None or out is None:
        return None
    inner = _scale(getattr(attention, "norm", None))  # timm: a norm of what the heads found
    scale1, scale2 = (_scale(_first(block, *names)) for names in _SCALES)
    parts = _Parts(norm1, project, lambda x: scale1(out(inner(x))), lambda x: scale2(mlp(norm2(x))))
    return parts, attention


def _projection(attention: Any) -> Callable[[Tensor], tuple[Tensor, Tensor, Tensor]] | None:
    """From normalised tokens to queries, keys and values of an attention."""
    heads = _first(attention, "num_heads", "num_attention_heads", "heads")
    fused = _first(attention, "qkv")
    apart = [_first(attention, name) for name in ("q_proj", "k_proj", "v_proj")]
    if not isinstance(heads, int) or _first(attention, "num_kv_heads") not in (None, heads):
        return None
    if isinstance(attention, nn.MultiheadAttention):
        if attention.in_proj_weight is None or attention.bias_k is not None or not attention.batch_first:
            return None
        joined: Map = lambda x: F.linear(x, attention.in_proj_weight, attention.in_proj_bias)  # noqa: E731
    elif fused is not None:
        biases = [_first(attention, name) for name in ("q_bias", "k_bias", "v_bias")]  # of EVA
        bias = torch.cat(biases) if all(part is not None for part in biases) else 0
        joined = lambda x: fused(x) + bias  # noqa: E731
    elif None not in apart:
        joined = lambda x: torch.cat([part(x) for part in apart], dim=-1)  # noqa: E731
    else:
        return None
    query_norm, key_norm = (_scale(getattr(attention, name, None)) for name in ("q_norm", "k_norm"))

    def project(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = joined(x).unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        return query_norm(query), key_norm(key), value

    return project


def _join(found: Tensor) -> Tensor:
    return found.transpose(1, 2).flatten(2)  # B H N d -> B N H*d


def _first(owner: Any, *names: str) -> Any:
    """The first attribute of these names that is there and not None."""
    return next((value for name in names if (value := getattr(owner, name, None)) is not None), None)


def _scale(scale: Any) -> Map:
    """A module, a tensor to multiply with, or nothing, as a function."""
    if isinstance(scale, nn.Module):
        return scale
    return lambda x: x if scale is None else x * scale

"""Beyond exactness: fewer bits, compiled code, CUDA graphs.

Every precision below float32 changes the logits; `docs/carzero.md` says by how much. Nothing here is on by
default.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from offclip.errors import ConfigError
from offclip.models.carzero.scoring import ScoringOptions

if TYPE_CHECKING:
    from offclip.models.carzero.model import CarZero

_Tower = TypeVar("_Tower", bound=nn.Module)


def with_options(model: CarZero, options: ScoringOptions) -> CarZero:
    """A model for scoring alone; it shares with the given one what the options leave as it is.

    Args:
        model: In evaluation mode, on its device.
        options: What is wanted.

    Returns:
        A model with the same methods. Its towers give float32 features, whatever they compute in.

    Raises:
        ConfigError: CUDA graphs are asked for, and the model is on no CUDA device.

    Example:
        >>> from offclip.models.carzero.config import CarZeroConfig
        >>> from offclip.models.carzero.model import CarZero
        >>> model = CarZero(CarZeroConfig.tiny()).eval()
        >>> faster = with_options(model, ScoringOptions("bf16-towers"))
        >>> faster.encode_image(torch.zeros(1, 1, 64, 64)).pooled.dtype, faster.fusion is model.fusion
        (torch.float32, True)
    """
    if options.cuda_graphs and model.device.type != "cuda":
        raise ConfigError(
            f"CUDA graphs need a CUDA device; the model is on {model.device}.",
            "Leave cuda_graphs out, or move the model.",
        )
    faster = copy.copy(model)
    faster._modules = dict(model._modules)  # the towers of the given model stay where they are
    faster.scoring = options
    if options.precision in ("bf16", "bf16-towers"):
        faster.image_tower = _in_bfloat16(model.image_tower)
        faster.text_tower = _in_bfloat16(model.text_tower)
    elif options.precision == "int8-towers":
        faster.image_tower = _in_int8(model.image_tower)
        faster.text_tower = _in_int8(model.text_tower)
    if options.compile or options.cuda_graphs:
        tower = copy.copy(faster.image_tower)
        encode = torch.compile(tower._encode) if options.compile else Graphed(tower._encode)
        tower.__dict__["_encode"] = encode
        faster.image_tower = tower
    return faster


class Int8Linear(nn.Module):
    """A linear layer with 8-bit weights, a scale an output; inputs are brought to 8 bits row by row.

    Args:
        linear: The layer that it stands for.
    """

    scale: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach()
        scale = _row_scale(weight)
        self.register_buffer("scale", scale.squeeze(1))
        self.register_buffer("weight", (weight / scale).round().to(torch.int8).t())  # in, out
        self.register_buffer("bias", linear.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) float32 -> (..., out) float32."""
        rows = x.reshape(-1, x.shape[-1])
        scale = _row_scale(rows)
        rounded = (rows / scale).round_().to(torch.int8)
        product = torch.ops.aten._int_mm(rounded, self.weight).to(torch.float32)
        return product.mul_(scale).mul_(self.scale).add_(self.bias).view(*x.shape[:-1], -1)


class Graphed:
    """Records a function as a CUDA graph at its first call with a shape, and replays it from then on.

    A small batch is over before the next operation is asked for; a graph asks once for all of them.

    Args:
        function: From one tensor to one tensor, always by the same operations.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self.recorded: dict[tuple[torch.Size, torch.dtype], tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """The result, a copy that the next call does not write over."""
        key = (x.shape, x.dtype)
        if key not in self.recorded:
            self.recorded[key] = self._record(x)
        graph, taken, given = self.recorded[key]
        taken.copy_(x)
        graph.replay()
        return given.clone()

    def _record(self, x: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor]:
        taken = x.clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # libraries choose and allocate before the recording
            for _ in range(3):
                self.function(taken)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            given = self.function(taken)
        return graph, taken, given


def _in_bfloat16(tower: _Tower) -> _Tower:
    tower = copy.deepcopy(tower).to(torch.bfloat16)
    tower.register_forward_pre_hook(lambda module, inputs: tuple(_cast(x, torch.bfloat16) for x in inputs))
    tower.register_forward_hook(lambda module, inputs, features: _as_float32(features))
    return tower


def _in_int8(tower: _Tower) -> _Tower:
    """The tower with its linear layers in 8 bits; they are exchanged while it is copied, not after."""
    replaced = {id(module): Int8Linear(module) for module in tower.modules() if isinstance(module, nn.Linear)}
    return copy.deepcopy(tower, dict(replaced))


def _cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.to(dtype) if x.is_floating_point() else x


def _as_float32(features: Any) -> Any:
    values = {field.name: getattr(features, field.name) for field in fields(features)}
    return type(features)(
        **{k: _cast(v, torch.float32) if isinstance(v, Tensor) else v for k, v in values.items()}
    )


def _row_scale(x: Tensor) -> Tensor:
    return x.abs().amax(dim=1, keepdim=True).div_(127).clamp_(min=1e-12)

"""Weights of open_clip in the forms that they are kept in, loaded without exceptions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor

from offclip.errors import CheckpointError
from offclip.models.adapters.library import library

_SIZES = ("input_resolution", "context_length", "vocab_size")  # numbers that OpenAI's files hold as tensors
_POSITIONS = "text.transformer.embeddings.position_ids"  # older transformers stored what is a mere count
_DECODER = "text_decoder."  # CoCa's
_SCALE, _BIAS = "logit_scale", "logit_bias"


def load_weights(
    clip: Any,
    state: dict[str, Tensor],
    file: Path,
    *,
    sigmoid: bool = False,
    decoder: bool = False,
    resized: bool = False,
) -> tuple[float, float | None]:
    """Puts weights into the two towers; every tensor must have its place, and every place its tensor.

    Args:
        clip: As `architecture.build_clip` makes it.
        state: The tensors of the file, as open_clip's training or its hub stores them.
        file: For messages.
        sigmoid: Whether the architecture has a bias of the logits.
        decoder: Whether the file has one to leave out, as CoCa's has.
        resized: Fit the position embedding of the patches to the grid of `clip`.

    Returns:
        Logarithm of the scale of the logits, and their bias, None if there is none.

    Raises:
        CheckpointError: Tensors are missing, unknown or of another shape.
    """
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    state = {n: t for n, t in state.items() if n not in _SIZES and not (decoder and n.startswith(_DECODER))}
    state = _converted(clip, state, file)
    scale, bias = state.pop(_SCALE, None), state.pop(_BIAS, None)
    if resized:
        library("open_clip.model", "openclip").resize_pos_embed(state, clip)
    expected = {name: tensor for name, tensor in clip.state_dict().items() if name != _SCALE}
    if _POSITIONS not in expected:
        state.pop(_POSITIONS, None)
    missing = [*(_SCALE for _ in range(scale is None)), *(_BIAS for _ in range(sigmoid and bias is None))]
    missing += expected.keys() - state.keys()
    _refuse(file, missing, state.keys() - expected.keys())
    other = [name for name, tensor in expected.items() if tensor.shape != state[name].shape]
    if other:
        shapes = f"{tuple(state[other[0]].shape)} instead of {tuple(expected[other[0]].shape)}"
        raise CheckpointError(
            f"{file}: {len(other)} tensors have another shape than in the architecture, such as {other[0]}: "
            f"{shapes}.",
            "Name the architecture of these weights; for another size of images, give the image size.",
        )
    clip.load_state_dict(state, strict=False)  # all but the scale, as was checked
    return _number(scale, file), None if bias is None else _number(bias, file)


def _converted(clip: Any, state: dict[str, Tensor], file: Path) -> dict[str, Tensor]:
    try:
        state = library("open_clip.convert", "openclip").convert_state_dict(clip, state)
        return library("open_clip.model", "openclip").convert_to_custom_text_state_dict(state)
    except (AttributeError, KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{file}: open_clip cannot convert these weights ({type(error).__name__}: {error}).",
            "Name the architecture of these weights.",
        ) from error


def _refuse(file: Path, missing: Iterable[str], unknown: Iterable[str]) -> None:
    missing, unknown = sorted(missing), sorted(unknown)
    if not missing and not unknown:
        return
    parts = [(missing, "are missing"), (unknown, "have no place in the architecture")]
    said = [f"{len(names)} {what}, such as {', '.join(names[:3])}" for names, what in parts if names]
    raise CheckpointError(
        f"{file}: not the tensors of this model: {'; '.join(said)}.",
        "Name the architecture of these weights, or give the whole file.",
    )


def _number(tensor: Tensor | None, file: Path) -> float:
    if tensor is None or tensor.numel() != 1:
        raise CheckpointError(f"{file}: the scale or bias of the logits is no number.", "Use the whole file.")
    return float(tensor.detach().float().reshape(()))

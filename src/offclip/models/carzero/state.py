"""The tensors of a published file under the names of this package: what is missing or strange is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from offclip.errors import CheckpointError
from offclip.models.carzero.config import CarZeroConfig

_ROOMS = {
    "text_encoder.model.": "text_tower.",
    "img_encoder.model.": "image_tower.",
    "fusion_module.": "fusion.",
}
# In the files, and never read by the published model.
_UNUSED = re.compile(
    r"text_tower\.(embeddings\.position_ids|pooler\..*)|fusion\.(logit_scale|decoder\.layers\.\d+\.(self_attn|norm1)\..*)"
)
_PREFIXES = re.compile(r"^(?:(?:module|model|offclip|OFFCLIP|_orig_mod)\.)+")
_ALIAS, _NORM = "fusion.decoder.norm.", "fusion.decoder_norm."
_WORDS = "text_tower.embeddings.word_embeddings.weight"
_SHOWN, _LONGEST = 20, 120


def own_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the tensors of a published file, and drops those that are never used.

    Names may bear what training frameworks put before them (`module.`, `model.`, anything that ends in
    `CARZero.`). The norm of the decoder is in the files under two names; the values must be the same.

    Args:
        state: By the names of the file. Names of this package are taken as they are.

    Raises:
        CheckpointError: A tensor is no tensor, or two names mean the same tensor with different values.

    Example:
        >>> own_state({"CARZero.fusion_module.decoder_norm.bias": torch.zeros(2)})
        {'fusion.decoder_norm.bias': tensor([0., 0.])}
    """
    own: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise CheckpointError(
                f"{str(name)[:_LONGEST]} is a {type(tensor).__name__}, no tensor.", "Use the published file."
            )
        known = _own_name(str(name))
        if _UNUSED.fullmatch(known):
            continue
        if known in own and not _same(own[known], tensor):
            raise CheckpointError(
                f"{known} is there twice, with different values (once as {str(name)[:_LONGEST]}).",
                "Use the published file.",
            )
        own[known] = tensor
    return own


def config_of(state: Mapping[str, Tensor]) -> CarZeroConfig:
    """The published geometry, with the vocabulary of renamed tensors.

    The rest is not read off the tensors: a file without its last layer would pass for a smaller model.

    Example:
        >>> words = torch.zeros(30522, 768)
        >>> config_of({"text_tower.embeddings.word_embeddings.weight": words}).vocabulary_size
        30522
    """
    words = state.get(_WORDS)
    if words is None or words.ndim != 2:
        return CarZeroConfig()  # check_state says what is wrong
    return CarZeroConfig(vocabulary_size=words.shape[0])


def check_state(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Compares names and shapes, and that every value is a finite number.

    Args:
        expected: By the names of this package; only the shapes are looked at.
        state: What `own_state` gave.

    Raises:
        CheckpointError: A tensor is missing, unknown, of another shape or broken; all kinds are named.
    """
    if not any(name in state for name in expected):
        raise CheckpointError(
            f"None of the {len(state)} tensors is one of CARZero: {_listed(sorted(state))}.",
            "Use the published file of CARZero or OFF-CLIP.",
        )
    both = [name for name in expected if name in state]
    floating = [name for name in both if state[name].is_floating_point()]
    problems = {
        "missing": [name for name in expected if name not in state],
        "unknown": [name for name in state if name not in expected],
        "of another shape": [
            f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in both
            if state[name].shape != expected[name].shape
        ],
        "not of floating point": [name for name in both if name not in set(floating)],
        "not finite": [name for name in floating if not bool(state[name].isfinite().all())],
    }
    found = [f"{len(names)} {what}: {_listed(names)}" for what, names in problems.items() if names]
    if found:
        raise CheckpointError(
            f"The tensors are not those of the model: {'; '.join(found)}.", "Use the published file, whole."
        )


def _own_name(name: str) -> str:
    name = _PREFIXES.sub("", name.rpartition("CARZero.")[2])
    for theirs, ours in _ROOMS.items():
        if name.startswith(theirs):
            name = ours + name.removeprefix(theirs)
    return name.replace(_ALIAS, _NORM)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(name[:_LONGEST] for name in names[:_SHOWN]) + more

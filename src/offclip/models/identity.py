"""Which model it is: by name, by licence, and by a hash over its tensors."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from offclip.models.adapters.adapted import AdaptedClip
from offclip.models.checkpoint import INTENDED_USE, read_card
from offclip.models.interface import ClipModel
from offclip.models.kinds import kind_of

UNKNOWN_LICENCE = "not stated where the weights were found"
_BLOCK = 1 << 26  # bytes


def state_hash(model: ClipModel) -> str:
    """SHA-256 over the names, types, shapes and bytes of all tensors, whatever file they came from.

    Example:
        >>> from offclip.models import TextTokenizer, architecture, build_model
        >>> model = build_model(architecture("compact-small"), TextTokenizer.fit(["No finding."] * 2))
        >>> before = state_hash(model)
        >>> _ = torch.nn.init.zeros_(next(model.parameters()))
        >>> state_hash(model) == before
        False
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        flat = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        for start in range(0, flat.numel(), _BLOCK):
            digest.update(memoryview(flat[start : start + _BLOCK].numpy()))
    return digest.hexdigest()


def about_model(model: ClipModel, name: str, folder: Path | None) -> dict[str, Any]:
    """What results say of the model that was measured: a card in short, all of it JSON.

    Args:
        model: The model.
        name: As the user gave it.
        folder: Of a model of ours, whose card knows its licence and its hash; None for another library's.
    """
    adapted = model if isinstance(model, AdaptedClip) else None
    if folder is not None:
        card = read_card(folder)
        licence, digest = card.get("licence"), card["sha256"].get("weights.safetensors")
        made_of = "weights.safetensors"
    else:
        licence = model.licence or UNKNOWN_LICENCE
        digest, made_of = state_hash(model), "tensors"
    kind = kind_of(model)
    about: dict[str, Any] = {
        "name": name,
        "architecture": kind or type(model).__name__,
        "family": adapted.config.family if adapted else kind or type(model).__module__.partition(".")[0],
        "source": adapted.config.source if adapted else name,
        "licence": licence,
        "sha256": {made_of: digest},
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "preprocess": dataclasses.asdict(model.preprocess),
        "max_tokens": model.tokenizer.max_tokens,
        "intended_use": INTENDED_USE,
    }
    if adapted:
        about["config"] = {"embed_dim": adapted.config.embed_dim, "local": adapted.config.local}
        about["untrained"] = adapted.untrained or None
    return about

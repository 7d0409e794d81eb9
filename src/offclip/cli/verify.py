"""`offclip verify`."""

from __future__ import annotations

from pathlib import Path

import torch
from rich.table import Table

from offclip.cli.console import console
from offclip.errors import CheckpointError
from offclip.models.checkpoint import load_model, read_card
from offclip.zeroshot.prompts import NORMAL_PROMPTS


def run_verify(path: Path) -> None:
    """Loads a model with all checks, scores a blank film, and prints what was checked.

    Raises:
        CheckpointError: A check fails.
    """
    card, model = read_card(path), load_model(path)
    with torch.inference_mode():
        size = model.preprocess.size
        image = model.encode_image(model.preprocess.normalise(torch.zeros(2, size, size, dtype=torch.uint8)))
        text = model.embed_texts(NORMAL_PROMPTS)
        logits, maps = model.similarity(image, text), model.heat_map(image, text)
    if not (torch.isfinite(logits).all() and torch.isfinite(maps).all()):
        raise CheckpointError(f"{path}: the model computes values that are not finite.", "Train it again.")
    if not torch.allclose(logits[0], logits[1], atol=1e-5):
        raise CheckpointError(f"{path}: two equal images get different scores.", "Report this.")
    table = Table(title=str(path))
    for heading in ("check", "result"):
        table.add_column(heading)
    for name, digest in card["sha256"].items():
        table.add_row(f"SHA-256 of {name}", f"ok ({digest[:12]}...)")
    table.add_row("tensors fit the card", f"ok ({card['parameters']:,} parameters)")
    table.add_row("logits and heat maps are finite", f"ok ({tuple(logits.shape)}, {tuple(maps.shape)})")
    table.add_row("equal images, equal scores", "ok")
    console().print(table)

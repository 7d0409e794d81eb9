"""Checks of a model folder: files, preprocessing, and that it computes with sense."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from offclip.errors import CheckpointError
from offclip.evaluation.verification.check import Check, difference
from offclip.grounding.maps import map_methods
from offclip.images.preprocess import Preprocess
from offclip.models.carzero.fixture import make_image
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.tokenizer import NoTokenizer
from offclip.models.checkpoint import load_model, read_card
from offclip.models.interface import ClipModel, TextFeatures
from offclip.zeroshot.prompts import NORMAL_PROMPTS, finding_prompt

PROMPTS = (
    *NORMAL_PROMPTS,
    *(finding_prompt(name) for name in ("Pleural Effusion", "Pneumothorax", "Nodule")),
)
_SAME_SCORES = 1e-5
_DIFFERENT = 1e-6  # of the length of a text vector
_FILMS = ((300, 200), (200, 300))
_BARE = 2  # tokens of CARZero's empty text: [CLS] and [SEP]


def check_model(path: Path) -> Iterator[Check]:
    """Yields the checks of a run or model folder.

    Raises:
        CheckpointError: It is no whole model: a file is missing, changed or does not fit the card, or it
            computes values that are not finite.
    """
    card, model = read_card(path), load_model(path)
    for name, digest in card["sha256"].items():
        yield Check(f"SHA-256 of {name}", True, f"{digest[:12]}...", "of the card")
    yield _tensors(card, model)
    yield _preprocessing(card, model)
    readable = not isinstance(model.tokenizer, NoTokenizer)
    with torch.inference_mode():
        text = model.embed_texts(PROMPTS) if readable else _without_words(model)
        yield from _scores(path, model, text)
    if readable:
        yield _prompts(model, text)
    else:
        yield Check("prompts differ", False, "the folder has no tokenizer", "a tokenizer, to read texts")


def _tensors(card: dict[str, Any], model: ClipModel) -> Check:
    count = sum(parameter.numel() for parameter in model.parameters())
    stated = card.get("parameters")
    return Check(
        "tensors fit the card", stated in (None, count), f"{count:,} parameters", f"{stated or count:,}"
    )


def _preprocessing(card: dict[str, Any], model: ClipModel) -> Check:
    """What the card says, done here with NumPy, against what the code does."""
    name, done = "preprocessing of the card", model.preprocess
    try:
        stated = Preprocess(**card["preprocess"])
    except (KeyError, TypeError):
        return Check(name, False, _settings(done), "the card does not say it")
    if stated != done:
        return Check(name, False, _settings(done), _settings(stated))
    worst = 0.0
    for height, width in _FILMS:
        film = make_image(1, height, width)
        square, _ = stated.fit(film)
        pixels = done.normalise(torch.from_numpy(done.fit(film)[0])[None])
        wanted = (square.astype(np.float64) / 255 - stated.mean) / stated.std
        worst = max(worst, float(np.abs(pixels[0, 0].numpy() - wanted).max()))
    return Check(name, worst <= _DIFFERENT, f"{worst:.1e} off", _settings(stated))


def _scores(path: Path, model: ClipModel, text: TextFeatures) -> Iterator[Check]:
    size = model.preprocess.size
    film = torch.from_numpy(model.preprocess.fit(make_image(2))[0])
    squares = torch.stack([film, film, torch.zeros(size, size, dtype=torch.uint8)])
    pixels = model.preprocess.normalise(squares.to(model.device))
    logits = model.similarity(model.encode_image(pixels), text)
    maps = {name: compute(pixels, text) for name, compute in map_methods(model).items()}
    if not all(bool(torch.isfinite(values).all()) for values in (logits, *maps.values())):
        raise CheckpointError(f"{path}: the model computes values that are not finite.", "Train it again.")
    spread = (logits.max() - logits.min()).item()
    yield Check("logits", True, f"{tuple(logits.shape)}, spread {spread:.2g}", "finite")
    for name, values in maps.items():
        yield Check(f"heat map {name}", True, f"{tuple(values.shape)}", "finite")
    yield difference("equal images, equal scores", (logits[0] - logits[1]).abs().max().item(), _SAME_SCORES)


def _prompts(model: ClipModel, text: TextFeatures) -> Check:
    """Prompts that mean different things must not be the same to the model, and none may be nothing to it."""
    name, expected = "prompts differ", f"{len(PROMPTS)} different"
    if isinstance(model, CarZero):
        _, mask = model.tokenizer(PROMPTS)
        empty = [prompt for prompt, tokens in zip(PROMPTS, mask.sum(dim=1), strict=True) if tokens <= _BARE]
        if empty:
            return Check(name, False, f"nothing is left of {empty[0]!r}", expected)
    vectors = text.pooled.double()
    apart = torch.cdist(vectors, vectors) / vectors.norm(dim=1).max()
    same = (apart <= _DIFFERENT).triu(diagonal=1).nonzero().tolist()
    if same:
        first, second = same[0]
        return Check(name, False, f"{PROMPTS[first]!r} is {PROMPTS[second]!r}", expected)
    return Check(name, True, f"{len(PROMPTS)}", expected)


def _without_words(model: ClipModel) -> TextFeatures:
    """Texts of ids alone, for a model whose tokenizer is not there."""
    ids = torch.tensor([[101, 103, 104, 102], [101, 105, 102, 0]], device=model.device)
    if isinstance(model, CarZero):
        return model.encode_text(ids, (ids != 0).long(), torch.zeros_like(ids).bool())
    return model.encode_text(ids, (ids != 0).long())


def _settings(preprocess: Preprocess) -> str:
    return ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(preprocess).items())

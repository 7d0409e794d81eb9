"""Checks of a model: files, preprocessing, and that it computes with sense."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from offclip.errors import CheckpointError
from offclip.evaluation.scoring import load_for_scoring
from offclip.evaluation.verification.check import Check, difference
from offclip.grounding.maps import map_methods
from offclip.images.preprocess import Preprocess
from offclip.models.carzero.fixture import make_image
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.tokenizer import NoTokenizer
from offclip.models.checkpoint import read_card
from offclip.models.identity import state_hash
from offclip.models.interface import ClipModel, TextFeatures
from offclip.models.names import read_name
from offclip.zeroshot.prompts import NORMAL_PROMPTS, finding_prompt

PROMPTS = (
    *NORMAL_PROMPTS,
    *(finding_prompt(name) for name in ("Pleural Effusion", "Pneumothorax", "Nodule")),
)
_SAME_SCORES = 1e-5
_DIFFERENT = 1e-6  # of the length of a text vector
_FILMS = ((300, 200), (200, 300))
_BARE = 2  # tokens of CARZero's empty text: [CLS] and [SEP]


def check_model(name: str | Path) -> Iterator[Check]:
    """Yields the checks of a model: a run or model folder, or any other name, see `offclip.load`.

    A model of another library has no card that binds its files: what is checked is that it computes.

    Raises:
        CheckpointError: It is no whole model: a file is missing, changed or does not fit the card, or it
            computes values that are not finite.
        ConfigError: The name means nothing, or a library is missing.
    """
    folder = read_name(name).folder
    if folder is not None:
        card, model = read_card(folder), load_for_scoring(folder)
        for file, digest in card["sha256"].items():
            yield Check(f"SHA-256 of {file}", True, f"{digest[:12]}...", "of the card")
        yield _tensors(card, model)
    else:
        model = load_for_scoring(name)
        card = {"preprocess": dataclasses.asdict(model.preprocess)}
        count = sum(parameter.numel() for parameter in model.parameters())
        yield Check("SHA-256 of all tensors", True, f"{state_hash(model)[:12]}...", f"{count:,} parameters")
    yield _preprocessing(card, model)
    readable = not isinstance(model.tokenizer, NoTokenizer)
    with torch.inference_mode():
        text = _embedded(str(name), model) if readable else _without_words(model)
        yield from _scores(str(name), model, text)
    if readable:
        yield _tokens(model)
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
        grey = square.astype(np.float64) / 255
        channels = zip(stated.channel_means, stated.channel_stds, strict=True)
        wanted = np.stack([(grey - mean) / std for mean, std in channels])
        worst = max(worst, float(np.abs(pixels[0].numpy() - wanted).max()))
    return Check(name, worst <= _DIFFERENT, f"{worst:.1e} off", _settings(stated))


def _scores(name: str, model: ClipModel, text: TextFeatures) -> Iterator[Check]:
    size = model.preprocess.size
    film = torch.from_numpy(model.preprocess.fit(make_image(2))[0])
    squares = torch.stack([film, film, torch.zeros(size, size, dtype=torch.uint8)])
    pixels = model.preprocess.normalise(squares.to(model.device))
    image = model.encode_image(pixels)
    logits, alone = (model.similarity(features, text) for features in (image, model.encode_image(pixels[:1])))
    maps = {name: compute(pixels, text) for name, compute in map_methods(model).items()}
    if not all(bool(torch.isfinite(values).all()) for values in (logits, *maps.values())):
        raise CheckpointError(f"{name}: the model computes values that are not finite.", "Train it again.")
    spread = (logits.max() - logits.min()).item()
    yield Check("logits", True, f"{tuple(logits.shape)}, spread {spread:.2g}", "finite")
    wanted = (len(squares), len(text.pooled))
    cells = f"({wanted[0]}, {wanted[1]}, rows, columns)"
    for method, values in maps.items():
        fits = values.ndim == 4 and tuple(values.shape[:2]) == wanted
        yield Check(f"heat map {method}", fits, f"{tuple(values.shape)}", f"finite, {cells}")
    rows, columns = image.grid
    yield Check(
        "cells", image.local.shape[1] == rows * columns, f"{image.local.shape[1]}", f"{rows} x {columns}"
    )
    scale = max(1.0, logits.abs().max().item())  # logits may be cosines times a hundred
    for check, other in (("equal images, equal scores", logits[1]), ("alone as in a batch", alone[0])):
        yield difference(check, (logits[0] - other).abs().max().item() / scale, _SAME_SCORES)


def _tokens(model: ClipModel) -> Check:
    """Ids that the text tower has, and no text longer than it takes."""
    ids, mask = model.tokenizer(PROMPTS)
    low, high, longest = int(ids.min()), int(ids.max()), int(mask.sum(dim=1).max())
    size, most = model.tokenizer.vocabulary_size, model.tokenizer.max_tokens
    fits = ids.shape == mask.shape and low >= 0 and high < size and longest <= most
    found = f"ids {low} to {high}, at most {longest} tokens"
    return Check("tokens", fits, found, f"ids below {size:,}, at most {most} tokens")


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


def _embedded(name: str, model: ClipModel) -> TextFeatures:
    try:
        return model.embed_texts(PROMPTS)
    except (IndexError, RuntimeError) as error:
        raise CheckpointError(
            f"{name}: the text tower does not take the ids of the tokenizer ({error}).",
            "Use the tokenizer that the weights were trained with.",
        ) from error


def _without_words(model: ClipModel) -> TextFeatures:
    """Texts of ids alone, for a model whose tokenizer is not there."""
    ids = torch.tensor([[101, 103, 104, 102], [101, 105, 102, 0]], device=model.device)
    if isinstance(model, CarZero):
        return model.encode_text(ids, (ids != 0).long(), torch.zeros_like(ids).bool())
    return model.encode_text(ids, (ids != 0).long())


def _settings(preprocess: Preprocess) -> str:
    return ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(preprocess).items())

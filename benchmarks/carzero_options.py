"""Speed and error of scoring with fewer bits and with compiled code."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from carzero_setup import SALT, Bench, Row, in_turns, make_texts
from offclip.models.carzero.encoding import encode_tokens
from offclip.models.carzero.fast import FastFusion
from offclip.models.carzero.fixture import PUBLISHED_PROMPTS, TINY_PROMPTS, make_prompts
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.precision import with_options
from offclip.models.carzero.scoring import PRECISIONS, Scorer, ScoringOptions


@torch.inference_mode()
def option_rows(bench: Bench, exact: list[Row], repeats: int) -> list[list[str]]:
    """For each precision: seconds, ratios to the plain way, and the error on prompts of the parity fixture.

    Args:
        bench: The model and its images.
        exact: What was measured of the exact way; its plain seconds are what the ratios refer to.
        repeats: Of each measurement; bfloat16 is measured once, as it takes minutes where no hardware helps.
    """
    expected, rows = golden_logits(bench.model, bench.pixels), []
    plain = {row.prompts: row.plain for row in exact if row.step == "image + fusion"}
    for precision in PRECISIONS:
        model = with_options(bench.model, ScoringOptions(precision))
        image = model.encode_image(bench.pixels)
        scorers = [make_scorer(model, count) for count in plain]
        ways = [lambda model=model: model.encode_image(bench.pixels)]
        ways += [lambda scorer=scorer, image=image: scorer(image) for scorer in scorers]
        seconds = [
            value / len(bench.pixels) for value in in_turns(ways, 1 if "bf16" in precision else repeats)
        ]
        error = (golden_logits(model, bench.pixels) - expected).abs()
        ratios = [
            f"{old / (seconds[0] + new):.2f}" for old, new in zip(plain.values(), seconds[1:], strict=True)
        ]
        rows.append(
            [
                precision,
                f"{seconds[0]:.4f}",
                *ratios,
                f"{float(error.max()):.1e}",
                f"{float(error.mean()):.1e}",
            ]
        )
    return rows


@torch.inference_mode()
def compile_row(bench: Bench, repeats: int) -> list[str]:
    """The same of `torch.compile`, with its slow start."""
    model = with_options(bench.model, ScoringOptions(compile=True))
    start = time.process_time()
    model.encode_image(bench.pixels)
    start = time.process_time() - start
    (seconds,) = in_turns([lambda: model.encode_image(bench.pixels)], repeats)
    error = (golden_logits(model, bench.pixels) - golden_logits(bench.model, bench.pixels)).abs()
    name = f"fp32, compiled (first call {start:.0f} CPU-s)"
    return [
        name,
        f"{seconds / len(bench.pixels):.4f}",
        "-",
        "-",
        f"{float(error.max()):.1e}",
        f"{float(error.mean()):.1e}",
    ]


@torch.inference_mode()
def golden_logits(model: CarZero, pixels: Tensor) -> Tensor:
    """Logits of the pictures and the prompts of the parity fixture."""
    recipe = PUBLISHED_PROMPTS if model.config.slots == PUBLISHED_PROMPTS.slots else TINY_PROMPTS
    prompts = make_prompts(SALT, recipe)
    text = encode_tokens(model, prompts.input_ids, prompts.attention_mask, prompts.is_continuation)
    dtype = torch.bfloat16 if model.scoring.precision == "bf16" else None
    return Scorer(FastFusion(model.fusion, dtype), text, model.config)(model.encode_image(pixels))


def make_scorer(model: CarZero, count: int) -> Scorer:
    """Prompts that are ready to be compared with images, as `CarZero.scorer` makes them ready."""
    dtype = torch.bfloat16 if model.scoring.precision == "bf16" else None
    return Scorer(FastFusion(model.fusion, dtype), make_texts(model, count), model.config)

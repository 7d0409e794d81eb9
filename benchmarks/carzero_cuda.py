"""Scoring with CARZero on a CUDA device: images/s, share of the matrix peak, latency.

Written for a device with a known peak; it was not run by the developers so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from carzero_options import make_scorer
from carzero_setup import table
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.fixture import make_pixels
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.precision import with_options
from offclip.models.carzero.scoring import Precision, ScoringOptions

BATCH = 64
PROMPTS = (17, 192, 1000)
WAYS: tuple[tuple[str, Precision], ...] = (("fp32", "fp32"), ("tf32", "fp32"), ("bf16", "bf16"))


@torch.inference_mode()
def cuda_report(model: CarZero) -> str:
    """Two Markdown tables; the model comes from the CPU and stays there."""
    device = torch.device("cuda")
    config = model.config
    pixels = make_pixels([n % 64 for n in range(BATCH)], config).to(device)
    rates, latencies = [], []
    for name, precision in WAYS:
        with _tf32(name == "tf32"):
            peak = matrix_peak(device, torch.bfloat16 if name == "bf16" else torch.float32)
            ours = with_options(_copy(model, device), ScoringOptions(precision))
            for count in PROMPTS:
                scorer = make_scorer(ours, count)
                seconds = least_seconds(lambda ours=ours, scorer=scorer: scorer(ours.encode_image(pixels)))
                share = operations(config, count) * BATCH / seconds / peak
                rates.append([name, str(count), f"{BATCH / seconds:.0f}", f"{100 * share:.0f} %"])
                latencies.append([name, str(count), *_latencies(ours, scorer, pixels[:1], precision)])
    return (
        f"{torch.cuda.get_device_name()}, batch {BATCH}:\n\n"
        + table(["precision", "prompts", "images/s", "share of the matrix peak"], rates)
        + "\n\nOne image at a time:\n\n"
        + table(["precision", "prompts", "ms", "ms with CUDA graphs"], latencies)
    )


def operations(config: CarZeroConfig, prompts: int) -> float:
    """Multiplications and additions of an image: tower and decoder, sentences of 10 entries."""
    width, patches = config.width, 1 + config.grid[0] * config.grid[1]
    block = patches * (4 * width**2 + 2 * width * config.image_hidden) + 2 * patches**2 * width
    image = config.image_layers * block + 3 * config.patch_size**2 * width * (patches - 1)
    heads = zip((width, *config.head_widths), (*config.head_widths, 1), strict=True)
    layer = 2 * width * config.fusion_hidden
    i2t = config.fusion_layers * (layer + 2 * width**2 + 2 * patches * width)
    t2i = config.fusion_layers * (layer + 2 * config.fusion_heads * 10 * width)
    memory = config.fusion_layers * 2 * patches * width**2
    return 2.0 * (image + memory + prompts * (i2t + t2i + 2 * sum(a * b for a, b in heads)))


def matrix_peak(device: torch.device, dtype: torch.dtype, size: int = 8192) -> float:
    """Operations a second of a large square matrix product, measured."""
    one = torch.randn(size, size, device=device, dtype=dtype)
    return 2.0 * size**3 / least_seconds(lambda: one @ one)


def least_seconds(way: Callable[[], object], repeats: int = 10) -> float:
    """Wall seconds, the least of the repeats, after three that do not count."""
    least = float("inf")
    for number in range(repeats + 3):
        torch.cuda.synchronize()
        start = time.perf_counter()
        way()
        torch.cuda.synchronize()
        if number >= 3:
            least = min(least, time.perf_counter() - start)
    return least


def _latencies(
    model: CarZero, scorer: Callable, pixel: torch.Tensor, precision: Precision
) -> tuple[str, str]:
    graphed = with_options(model, ScoringOptions(cuda_graphs=True))
    graphed.scoring = ScoringOptions(precision)
    ways = [lambda: scorer(model.encode_image(pixel)), lambda: scorer(graphed.encode_image(pixel))]
    plain, graph = (1e3 * least_seconds(way) for way in ways)
    return f"{plain:.2f}", f"{graph:.2f}"


def _copy(model: CarZero, device: torch.device) -> CarZero:
    copy = CarZero(model.config).to(device).eval()
    copy.load_state_dict(model.state_dict())
    return copy


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)

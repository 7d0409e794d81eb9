"""Peak memory of a process that loads a CARZero model folder and scores with it.

    python benchmarks/carzero_memory.py MODEL_DIR PROMPTS

Prints two numbers in MB: after loading, and the peak.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from carzero_setup import make_tokens
from offclip.models.carzero.encoding import encode_tokens
from offclip.models.carzero.fast import FastFusion
from offclip.models.carzero.fixture import make_pixels
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.scoring import Scorer
from offclip.models.checkpoint import load_model, save_model


class DifferentError(Exception):
    """Two ways that must give the same do not, or a measurement failed."""


class Peak(NamedTuple):
    """Memory in MB of scoring with a number of prompts."""

    prompts: int
    loaded: int
    peak: int


def measure_memory(model: CarZero, prompts: tuple[int, ...]) -> list[Peak]:
    """Scores in processes of their own, which load the model as everybody does."""
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, folder)
        return [Peak(count, *_apart(folder, count)) for count in prompts]


def score_here(folder: str, prompts: int) -> tuple[int, int]:
    """Loads, scores 16 images in batches of 8, and returns MB after loading and at the peak."""
    torch.set_num_threads(1)
    model = load_model(folder)
    if not isinstance(model, CarZero):
        raise DifferentError(f"{folder} holds no CARZero model")
    loaded = _peak()
    with torch.inference_mode():
        text = encode_tokens(model, *make_tokens(model.config, prompts))
        scorer = Scorer(FastFusion(model.fusion), text, model.config)
        for batch in make_pixels(list(range(16)), model.config).split(8):
            scorer(model.encode_image(batch))
    return loaded, _peak()


def _apart(folder: str, prompts: int) -> tuple[int, int]:
    command = [sys.executable, str(Path(__file__)), folder, str(prompts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DifferentError(done.stderr[-2000:])
    loaded, peak = done.stdout.split()
    return int(loaded), int(peak)


def _peak() -> int:
    """Peak of this program; what `getrusage` says includes the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 // 10**6


if __name__ == "__main__":
    print(*score_here(sys.argv[1], int(sys.argv[2])))

"""Memory and time of a training step with gradient caching, against the same step in one pass.

    python benchmarks/gradient_cache.py [--batches 32 64 128] [--chunk 16]

A vision transformer of 6 layers and width 192 at 112 px, the compact text tower, and OFF-CLIP on random
pixels. Each case runs in a process of its own with one thread. Memory is the most that was resident during a
step, less what was resident before it; time is the least of three steps. The gradients are compared, too.
Prints Markdown. Needs Linux.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from offclip.data.loader import PixelStore
from offclip.data.sampling import Batch
from offclip.images.preprocess import Preprocess
from offclip.losses import OffClipLoss, averaged
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.image_tower import ImageTower
from offclip.models.dual_encoder import DualEncoder, DualEncoderConfig
from offclip.models.tokenizer import TextTokenizer
from offclip.training.config import TrainConfig
from offclip.training.features import Features, pair_logits
from offclip.training.gradient_cache import backward
from offclip.training.precision import Precision
from offclip.training.tuning import Tuning

SIZE, WIDTH = 112, 192
SENTENCES = [
    f"There is {size} {what}." for size in ("no", "small", "large") for what in ("nodule", "effusion")
]
MIB = 2**20


def make_model() -> DualEncoder:
    """A vision transformer in the place of the compact image tower, which has batch norm."""
    torch.manual_seed(0)
    model = DualEncoder(DualEncoderConfig(embed_dim=WIDTH), TextTokenizer.fit(SENTENCES))
    vit = CarZeroConfig(
        width=WIDTH, image_size=SIZE, image_layers=6, image_heads=6, image_hidden=4 * WIDTH, text_heads=6
    )
    model.image_tower = ImageTower(vit)  # type: ignore[assignment]
    model.preprocess = Preprocess(size=SIZE)
    return model


def resident(name: str) -> int:
    """`VmRSS` or `VmHWM` of this process in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def measure(batch_size: int, chunk: int) -> dict[str, Any]:
    """One case, in this process."""
    torch.set_num_threads(1)
    model, precision = make_model(), Precision("fp32", torch.device("cpu"))
    rng = np.random.default_rng(0)
    squares = rng.integers(0, 255, (batch_size, SIZE, SIZE), dtype=np.uint8)
    store = PixelStore(tuple(map(str, range(batch_size))), squares, ())
    config = TrainConfig(cache_chunk=chunk, augment=False)
    features = Features(Tuning(model), config, precision, store, model.tokenizer(SENTENCES))
    texts = rng.integers(0, len(SENTENCES), batch_size)
    batch = Batch(np.arange(batch_size), texts, texts < 2, np.zeros(batch_size, bool))
    normal, criterion = torch.from_numpy(batch.normal), OffClipLoss()

    def step(rows: int | None = None) -> None:
        part = Batch(*(array[:rows] for array in (batch.images, batch.texts, batch.normal, batch.uncertain)))
        encoders = features.of(part, (0, 0, 0))
        model.zero_grad(set_to_none=False)
        backward(
            encoders,
            lambda image, text: averaged(
                criterion, pair_logits(model, image, text, encoders.column), normal[:rows]
            ),
            chunk,
            precision,
        )

    model.train()
    step(4)  # the gradients are there afterwards
    seconds, memory = [], 0
    for _ in range(3):
        before = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
        memory = max(memory, resident("VmHWM") - before)
    gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    torch.manual_seed(1)
    probe = [float(gradient @ torch.randn(len(gradient))) for _ in range(3)]
    return {"memory": memory, "seconds": min(seconds), "norm": float(gradient.norm()), "probe": probe}


def in_process(batch_size: int, chunk: int) -> dict[str, Any]:
    """One case, in a process of its own."""
    command = [sys.executable, __file__, "--case", str(batch_size), str(chunk)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Prints the table, or one case of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--chunk", type=int, default=16)
    parser.add_argument("--case", type=int, nargs=2)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(*arguments.case)))
        return
    print(f"| batch | one pass | chunks of {arguments.chunk} | memory | time | gradients differ by |")
    print("|---|---|---|---|---|---|")
    for batch_size in arguments.batches:
        whole, cached = in_process(batch_size, 0), in_process(batch_size, arguments.chunk)
        sizes = [f"{case['memory'] / MIB:.0f} MiB, {case['seconds']:.2f} s" for case in (whole, cached)]
        apart = max(abs(a - b) for a, b in zip(whole["probe"], cached["probe"], strict=True)) / whole["norm"]
        memory, seconds = (cached[name] / whole[name] for name in ("memory", "seconds"))
        print(
            f"| {batch_size} | {sizes[0]} | {sizes[1]} | {memory:.2f} | {seconds:.2f} | {apart:.0e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

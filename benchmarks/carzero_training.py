"""Memory and time of a training step of the cross-attention model, and whether a batch of 256 fits a GPU.

    python benchmarks/carzero_training.py [--quick]

The B x B grid of the published geometry in both directions, forward and backward with CARZero's loss and
with dropout, from random features: as it is, in chunks, and in chunks with recomputation. Each case runs in
a process of its own with one thread, the cases one after the other and then all again: CPU-seconds are the
least of the rounds. Memory comes from one more process, whose allocator gives back at once what is free: the
most that it had during the two passes, less what it had before them; weights and their gradients were there
before. Beside it stands the formula of carzero_training_memory.py, which also gives the estimate for B = 256.
Prints Markdown; exits with 1 if a case took over 1.25 times its formula.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from carzero_training_memory import (
    WORDS,
    Grid,
    Whole,
    count_grid,
    count_whole,
    random_features,
    without_towers,
)
from offclip.losses import carzero_loss
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.grid import grid_logits
from offclip.models.carzero.model import CarZero

MIB, GIB = 2**20, 2**30
DROPOUT = 0.1
PIECES = 20  # word pieces of a sentence of 12 words, its two ends among them
GPU = 24 * GIB
RESERVE = 1 * GIB  # of the GPU, for its context, work spaces and unusable remainders
ALLOWED = 1.25


@dataclass(frozen=True, slots=True)
class Case:
    """One way to do a step.

    Attributes:
        batch: B.
        chunk: Memories at a time; 0 for the plain form.
        recompute: Throw activations away and compute them again.
        towers: The whole model from pixels and tokens, its towers recomputed; else the grid alone.
        tiny: The geometry for tests in the place of the published one.
    """

    batch: int
    chunk: int = 0
    recompute: bool = False
    towers: bool = False
    tiny: bool = False

    @property
    def name(self) -> str:
        """What a table calls it."""
        if not self.chunk:
            return "plain"
        return f"chunks of {self.chunk}{', recomputed' if self.recompute else ''}"

    @property
    def config(self) -> CarZeroConfig:
        """The geometry."""
        return CarZeroConfig.tiny() if self.tiny else CarZeroConfig()


@dataclass(frozen=True, slots=True)
class Cost:
    """What a case took.

    Attributes:
        peak: Bytes on top of what was there before.
        cpu_s: CPU-seconds of both passes.
    """

    peak: int
    cpu_s: float


Step = Callable[[], Tensor]


def measure(prepare: Callable[[int], Step], batch: int) -> Cost:
    """Runs both passes of a batch in this process, after a small rehearsal."""
    prepare(2)().backward()  # loads the kernels, and makes the gradients of the weights
    step = prepare(batch)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    start = time.process_time()
    step().backward()
    cpu_s = time.process_time() - start
    return Cost(_status("VmHWM") - before, cpu_s)


def grid_step(case: Case) -> Callable[[int], Step]:
    """The grid alone: the loss of a batch of random features."""
    model = CarZero(without_towers(case.config), DROPOUT).train()

    def prepare(batch: int) -> Step:
        image, text = random_features(case.config, batch, batch)

        def plain() -> Tensor:
            return carzero_loss(model.i2t(image, text), model.t2i(image, text))

        def chunked() -> Tensor:
            return carzero_loss(*grid_logits(model, image, text, chunk=case.chunk, recompute=case.recompute))

        return chunked if case.chunk else plain

    return prepare


def whole_step(case: Case) -> Callable[[int], Step]:
    """The whole model, its towers recomputed: the loss of a batch of random pixels and tokens."""
    config = case.config
    model = CarZero(config, DROPOUT).train()
    model.image_tower.recompute = model.text_tower.recompute = True
    model.grid_chunk, model.grid_recompute = case.chunk, case.recompute

    def prepare(batch: int) -> Step:
        pixels = torch.randn(batch, 1, config.image_size, config.image_size)
        ids = torch.randint(config.vocabulary_size, (batch, PIECES))

        def step() -> Tensor:
            text = model.encode_text(ids, torch.ones_like(ids), torch.zeros_like(ids))
            return carzero_loss(*model.training_logits(model.encode_image(pixels), text))

        return step

    return prepare


def in_own_process(case: Case, for_memory: bool) -> Cost:
    """Measures a case where nothing else was in memory before.

    Args:
        case: What to measure.
        for_memory: Give back every block of more than a quarter of a MiB as soon as it is free, so that the
            process holds what is in use and little more. That takes time: the CPU-seconds are not to be used.
    """
    settings = {"OMP_NUM_THREADS": "1"} | ({"MALLOC_MMAP_THRESHOLD_": "262144"} if for_memory else {})
    command = [sys.executable, __file__, "--case", json.dumps(asdict(case))]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{case}: {done.stderr}")
    return Cost(**json.loads(done.stdout))


def interleaved(cases: list[Case], rounds: int) -> dict[Case, Cost]:
    """The peak of each case, and the least of its CPU-seconds over the rounds."""
    seconds: dict[Case, list[float]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            seconds[case].append(in_own_process(case, for_memory=False).cpu_s)
            print(f"{case}: {seconds[case][-1]:.2f} CPU-s", file=sys.stderr, flush=True)
    return {case: Cost(in_own_process(case, for_memory=True).peak, min(seconds[case])) for case in cases}


def grid_table(costs: dict[Case, Cost], grid: Grid) -> str:
    """Memory and time of every case, beside the formula and the plain form."""
    lines = [
        "| B | form | peak, MiB | by formula, MiB | CPU-s | peak / plain | CPU-s / plain |",
        "|---|---|---|---|---|---|---|",
    ]
    for case, cost in costs.items():
        plain = costs[Case(case.batch, tiny=case.tiny)]
        lines.append(
            f"| {case.batch} | {case.name} | {cost.peak / MIB:,.0f} | {formula(case, grid) / MIB:,.0f} "
            f"| {cost.cpu_s:.1f} | {cost.peak / plain.peak:.2f} | {cost.cpu_s / plain.cpu_s:.2f} |"
        )
    return "\n".join(lines)


def formula(case: Case, grid: Grid) -> float:
    """Bytes of a case of the grid by the formula."""
    return grid.peak(case.batch, case.chunk if case.recompute else None)


def estimate_table(wholes: dict[str, Whole], batch: int, margin: float) -> str:
    """What a step of the whole model needs, for every choice of what to recompute."""
    lines = [
        "| precision | towers | grid | weights, gradients, Adam, GiB | activations, GiB | with reserve, GiB "
        f"| in {GPU / GIB:.0f} GiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for precision, whole in wholes.items():
        for recomputed in (False, True):
            for chunk in (None, 32, 8, 1):
                activations = margin * whole.activations(batch, chunk, recomputed)
                total = whole.states + activations + RESERVE
                lines.append(
                    f"| {precision} | {'recomputed' if recomputed else 'kept'} "
                    f"| {f'chunks of {chunk}, recomputed' if chunk else 'plain'} | {whole.states / GIB:.1f} "
                    f"| {activations / GIB:.1f} | {total / GIB:.1f} | {'yes' if total <= GPU else 'no'} |"
                )
    return "\n".join(lines)


def direction_table(wholes: dict[str, Whole]) -> str:
    """The coefficients of the formula."""
    lines = ["| kept bytes, kB | " + " | ".join(wholes) + " |", "|---" * (1 + len(wholes)) + "|"]
    rows: dict[str, Callable[[Whole], float]] = {
        "a (query, memory) pair, i2t": lambda whole: whole.grid.i2t.pair,
        "a (query, memory) pair, t2i": lambda whole: whole.grid.t2i.pair,
        "an image as a memory": lambda whole: whole.grid.i2t.memory,
        "a sentence as a memory": lambda whole: whole.grid.t2i.memory,
        "an image in its tower": lambda whole: whole.image.kept,
        "an image in its tower, recomputed": lambda whole: whole.image.inputs,
        "a sentence in its tower": lambda whole: whole.text.kept,
        "a sentence in its tower, recomputed": lambda whole: whole.text.inputs,
    }
    for name, value in rows.items():
        lines.append(f"| {name} | " + " | ".join(f"{value(w) / 1e3:,.0f}" for w in wholes.values()) + " |")
    return "\n".join(lines)


def cases_of(quick: bool, tiny: bool = False) -> list[Case]:
    """The cases of the table, the plain form of each batch first."""
    chunks_of = {16: (8,)} if quick else {16: (1, 8), 32: (1, 8), 64: (8, 32)}
    cases = []
    for batch, chunks in chunks_of.items():
        cases += [Case(batch, tiny=tiny), Case(batch, 8, tiny=tiny)]
        cases += [Case(batch, chunk, recompute=True, tiny=tiny) for chunk in chunks]
    return cases


def main(arguments: list[str] | None = None) -> int:
    """Measures, prints, and judges."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="B = 16 alone, one round")
    parser.add_argument("--tiny", action="store_true", help="the geometry of the tests")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.case:
        case = Case(**json.loads(options.case))
        torch.set_num_threads(1)
        torch.manual_seed(0)
        print(json.dumps(asdict(measure((whole_step if case.towers else grid_step)(case), case.batch))))
        return 0
    config = CarZeroConfig.tiny() if options.tiny else CarZeroConfig()
    grid = count_grid(config, DROPOUT)
    costs = interleaved(cases_of(options.quick, options.tiny), 1 if options.quick else 2)
    print(
        f"Grid, fp32, dropout {DROPOUT}, {WORDS} words a sentence, one thread\n\n{grid_table(costs, grid)}\n"
    )
    over = {case: cost.peak / formula(case, grid) for case, cost in costs.items()}

    wholes = {
        name: count_whole(config, DROPOUT, mixed, PIECES) for name, mixed in (("fp32", False), ("bf16", True))
    }
    print(f"What the graph keeps\n\n{direction_table(wholes)}\n")
    if not options.quick:
        case = Case(16, 8, recompute=True, towers=True, tiny=options.tiny)
        expected = wholes["fp32"].activations(16, 8, recompute_towers=True)
        cost = in_own_process(case, for_memory=True)
        over[case] = cost.peak / expected
        print(
            "Whole step, fp32, B = 16, towers and grid recomputed: "
            f"{cost.peak / MIB:,.0f} MiB of activations, {expected / MIB:,.0f} by formula\n"
        )
    margin = max(1.0, *over.values())
    print(
        f"Estimate for B = 256: activations times {margin:.2f}, the most that a measurement was over its "
        f"formula; {RESERVE / GIB:.0f} GiB in reserve for context and work spaces\n\n"
        f"{estimate_table(wholes, 256, margin)}"
    )
    return 0 if margin <= ALLOWED or options.tiny else 1


def _status(field: str) -> int:
    """Bytes of a field of /proc/self/status."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"No {field} in /proc/self/status; this benchmark needs Linux.")


if __name__ == "__main__":
    sys.exit(main())

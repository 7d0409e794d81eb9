"""CPU-seconds of scoring with CARZero, against the plain way, with the errors of the options and the memory.

    python benchmarks/carzero_scoring.py [--quick] [--repeats 3] [--skip-memory] [--skip-compile]

Weights, pictures and prompts come from formulas; no file is needed. All ways take turns in one process with
one thread, the least of the repeats counts, and both ways must give the same logits. `--quick` does all of it
on a tiny geometry. Exits with 1 when a required ratio or the memory limit is missed; the tiny geometry is not
judged.
"""

from __future__ import annotations

import argparse
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from carzero_memory import DifferentError, measure_memory
from carzero_options import compile_row, option_rows
from carzero_reference import fuse, slots
from carzero_setup import Bench, Row, first_images, in_turns, machine, make_bench, make_texts, table
from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.fast import FastFusion
from offclip.models.carzero.folded import fold_queries
from offclip.models.carzero.scoring import Scorer, sentences_into_images

TOLERANCE = 1.5e-5
BATCH = 8
PROMPTS = (17, 192)
REQUIRED = {
    ("fusion", 17): 13.0,
    ("fusion", 192): 14.0,
    ("image + fusion", 17): 1.45,
    ("image + fusion", 192): 5.0,
}
MEMORY_LIMIT = 1800  # MB, 192 prompts at batch 8


@torch.inference_mode()
def measure_exact(bench: Bench, prompts: tuple[int, ...], repeats: int) -> list[Row]:
    """The exact way against the plain one.

    Raises:
        DifferentError: They do not give the same.
    """
    model, batch = bench.model, len(bench.pixels)
    one, pixel = first_images(bench.image, 1), bench.pixels[:1].expand(-1, 3, -1, -1)
    ways = [lambda: model.encode_image(pixel), lambda: model.encode_image(bench.pixels)]
    differences = []
    for count in prompts:
        text = make_texts(model, count)
        memory = slots(text, model.config.slots)
        scorer = Scorer(FastFusion(model.fusion), text, model.config)
        differences.append(_agree(bench, text, memory, scorer))
        ways += [
            lambda text=text, memory=memory: fuse(model, one, text, memory),
            lambda scorer=scorer: scorer(bench.image),
        ]
    seconds = in_turns(ways, repeats)
    seconds[1::2] = [value / batch for value in seconds[1::2]]
    image = Row("image", 0, seconds[0], seconds[1], float("nan"))
    rows = [image]
    for number, count in enumerate(prompts):
        plain, fast = seconds[2 + 2 * number : 4 + 2 * number]
        rows.append(Row("fusion", count, plain, fast, differences[number]))
        rows.append(Row("image + fusion", count, image.plain + plain, image.fast + fast, differences[number]))
    return rows


@torch.inference_mode()
def measure_break_even(bench: Bench, counts: tuple[int, ...], repeats: int) -> list[list[str]]:
    """Both ways of putting sentences to images, and the one that the count of operations chooses."""
    model, fusion, rows = bench.model, FastFusion(bench.model.fusion), []
    entries = 1 + bench.image.local.shape[1]
    for count in counts:
        prompts = Scorer(fusion, make_texts(model, count), model.config).prompts
        ways = [
            lambda prompts=prompts, folded=folded: sentences_into_images(
                fusion, prompts, bench.image, model.config, 1 << 20, folded
            )
            for folded in (True, False)
        ]
        folded, projected = (1e3 * value / len(bench.pixels) for value in in_turns(ways, repeats))
        chosen = "folded" if fold_queries(count, entries, model.config) else "projected"
        rows.append([str(count), f"{folded:.1f}", f"{projected:.1f}", chosen])
    return rows


def exact_table(rows: list[Row]) -> str:
    """Markdown."""
    return table(
        ["step", "prompts", "plain, s/image", "offclip, s/image", "ratio", "largest difference"],
        [
            [
                row.step,
                str(row.prompts or "-"),
                f"{row.plain:.4f}",
                f"{row.fast:.4f}",
                f"{row.ratio:.2f}",
                f"{row.difference:.1e}" if row.prompts else "-",
            ]
            for row in rows
        ],
    )


def missed(rows: list[Row]) -> list[str]:
    """What falls short of the required ratios."""
    return [
        f"{row.step} at {row.prompts} prompts: {row.ratio:.2f}, {need} required"
        for row in rows
        if (need := REQUIRED.get((row.step, row.prompts))) and row.ratio < need
    ]


def main() -> int:
    """Measures, prints, and judges."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tiny geometry, nothing is judged")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-memory", action="store_true")
    parser.add_argument("--skip-compile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = CarZeroConfig.tiny() if options.quick else CarZeroConfig()
    bench = make_bench(config, BATCH)
    print(f"{machine()}\n")
    rows = measure_exact(bench, PROMPTS, options.repeats)
    print(f"{exact_table(rows)}\n")
    counts = (8, 64) if options.quick else (17, 48, 96, 144, 192)
    print("Sentences into images, CPU-ms/image:\n")
    print(
        table(
            ["prompts", "folded", "projected", "chosen"], measure_break_even(bench, counts, options.repeats)
        )
    )
    chosen = option_rows(bench, rows, options.repeats)
    if not options.skip_compile:
        chosen.append(compile_row(bench, options.repeats))
    print("\nOptions beyond exactness:\n")
    header = ["option", "image, s/image", "ratio at 17", "ratio at 192", "largest error", "mean error"]
    print(table(header, chosen))
    problems = missed(rows)
    if not options.skip_memory:
        peaks = measure_memory(bench.model, (192, 1000))
        print("\nPeak memory of a process that loads the model and scores 16 images at batch 8:\n")
        print(table(["prompts", "after loading, MB", "peak, MB"], [[*map(str, peak)] for peak in peaks]))
        problems += [
            f"peak memory: {peak} MB" for count, _, peak in peaks if count == 192 and peak > MEMORY_LIMIT
        ]
    if torch.cuda.is_available():
        from carzero_cuda import cuda_report

        print(f"\n{cuda_report(bench.model)}")
    if options.quick:
        return 0
    print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0


def _agree(bench: Bench, text, memory, scorer: Scorer) -> float:
    """Largest difference of the logits of two images; attention is asked for, and its rows add up to one."""
    difference = 0.0
    for number in range(2):
        one = first_images(bench.image, number + 1)
        alone = type(one)(one.pooled[number:], one.local[number:], one.grid)
        plain = fuse(bench.model, alone, text, memory)
        sums = torch.cat([part.sum(dim=-1).flatten() for part in (plain.i2t_attention, plain.t2i_attention)])
        difference = max(
            difference,
            float((plain.logits - scorer(bench.image)[number]).abs().max()),
            float((sums - 1).abs().max()),
        )
    if difference > TOLERANCE:
        raise DifferentError(f"the two ways differ by {difference:.1e}")
    return difference


if __name__ == "__main__":
    sys.exit(main())

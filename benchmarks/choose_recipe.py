"""Chooses the default recipe on validation phantoms, never on the test phantoms of the demo.

    python benchmarks/choose_recipe.py --out runs/recipe

The phantoms have another seed than those of `offclip demo`, and only their validate split is looked at.
Prints one line a candidate: mean over seeds of the columns of the results table.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from offclip.data.exports import studies_from_export
from offclip.data.phantom import write_phantom
from offclip.data.study import write_studies
from offclip.evaluation.ablation import (
    ABLATION,
    FULL_METHOD,
    Job,
    ablation_jobs,
    run_ablation,
    summarise,
    write_results,
)
from offclip.evaluation.run import COLUMNS
from offclip.training.config import TrainConfig

DATA_SEED = 0

# Field of the recipe -> values; one field is changed at a time, starting from the defaults.
CANDIDATES: dict[str, tuple[object, ...]] = {
    "off_diagonal_bias": (-3.0, -1.0, 0.0),
    "cell_weighting": ("balanced", "blocks"),
    "off_diagonal_weight": (1.0, 2.0, 4.0),
    "abnormal_weight": (0.5, 1.0),
}


def main() -> None:
    """Trains every candidate and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--studies", type=int, default=5700)
    parser.add_argument("--epochs", type=int, default=TrainConfig().epochs)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()

    data = arguments.out / "phantom"
    write_phantom(data, arguments.studies, seed=DATA_SEED, size=64, workers=arguments.workers)
    studies, _ = studies_from_export(data / "reports.csv")
    write_studies(studies, data / "studies.parquet")

    base = TrainConfig(model="compact-small", epochs=arguments.epochs, augment=False)
    seeds = range(arguments.seeds)
    groups: dict[str, list[Job]] = {
        variant.name: ablation_jobs(arguments.out / "ablation", base, seeds, [variant])
        for variant in ABLATION
    }
    for field, values in CANDIDATES.items():
        for value in values:
            if value != getattr(base, field):
                name = f"{field}={value}"
                recipe = dataclasses.replace(base, **{field: value})
                groups[name] = ablation_jobs(arguments.out / name, recipe, seeds, [FULL_METHOD])
    jobs = [job for group in groups.values() for job in group]
    run_ablation(
        data,
        jobs,
        arguments.out / "all.csv",
        split="validate",
        workers=arguments.workers,
        on_progress=lambda share, finished: (
            print(f"{share:4.0%} {finished}", flush=True) if finished else None
        ),
    )
    print(f"{'candidate':28s}" + " ".join(f"{column[:12]:>12s}" for column in COLUMNS))
    for name, group in groups.items():
        row = summarise(write_results(group, arguments.out / f"{name}.csv")).row(0, named=True)
        print(f"{name:28s}" + " ".join(f"{'-' if row[c] is None else f'{row[c]:.3f}':>12s}" for c in COLUMNS))


if __name__ == "__main__":
    main()

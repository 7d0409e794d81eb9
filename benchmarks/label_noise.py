"""Measures what wrong sentence labels cost: flips a share of them in the phantom and repeats the ablation.

    python benchmarks/label_noise.py --out runs/label_noise

Phantoms, recipes and measures are those of `offclip demo`. InfoNCE without filtering uses no label, so it is
trained once a seed, at level 0. Seed s of the training goes with seed s of the flips. What images are scored
against (labels.csv, boxes.csv) stays clean. The same command resumes: a finished row is not computed again,
and the labels of the reports are those of the first call; another --out starts afresh. A finished
demonstration can stand for level 0: copy its `phantom` to OUT/phantom and its `evaluations` to
OUT/epochs10/level0/evaluations.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from label_noise_flips import Damage, damage, flip_sentences
from offclip.data.exports import studies_from_export
from offclip.data.files import write_csv
from offclip.data.phantom import write_phantom
from offclip.data.study import read_studies, write_studies
from offclip.demo import DemoSettings, demo_jobs
from offclip.evaluation.ablation import ABLATION, BASELINE, Job, run_ablation, write_results

SHOWN = {
    "normal_auc": "normal AUC",
    "worst_prompt_normal_auc": "worst prompt",
    "neg_max_finding_auc": "-max(finding)",
    "abnormal_auc": "abnormal AUC",
    "abnormal_auc_among_abnormals": "among abnormals",
    "fpr_at_95_sensitivity": "FPR at 95 % sens.",
    "pointing_accuracy": "pointing",
}


@dataclass(frozen=True, slots=True)
class Group:
    """The jobs of one level and seed, and the folder with their noisy table.

    Attributes:
        level: Per cent of the sentence labels that are flipped.
        seed: Of training and flips.
        data: Folder with studies.parquet, labels.csv and boxes.csv.
        jobs: What is trained on it.
    """

    level: float
    seed: int
    data: Path
    jobs: tuple[Job, ...]

    @property
    def open_jobs(self) -> list[Job]:
        """Those without a result."""
        return [job for job in self.jobs if not (job.evaluation / "results.json").is_file()]


def plan(out: Path, settings: DemoSettings, levels: Sequence[float]) -> list[Group]:
    """All jobs, seeds outermost, so that a stopped study has whole seeds."""
    groups = []
    for seed in range(settings.seeds):
        for level in levels:
            folder = out / f"epochs{settings.epochs}" / f"level{level:g}"
            jobs = tuple(
                job
                for job in demo_jobs(folder, settings)
                if job.config.seed == seed and (level == 0 or job.variant != BASELINE)
            )
            data = out / "phantom" if level == 0 else out / f"flips{level:g}-seed{seed}"
            groups.append(Group(level, seed, data, jobs))
    return groups


def make_clean(out: Path, settings: DemoSettings) -> pl.DataFrame:
    """The phantom of the demonstration, labelled by the rules; a table that is there is kept."""
    data = out / "phantom"
    workers = max(1, settings.workers)
    write_phantom(data, settings.studies, settings.seed, size=settings.size, workers=workers)
    if not (data / "studies.parquet").is_file():
        studies, _ = studies_from_export(data / "reports.csv")
        write_studies(studies, data / "studies.parquet")
    return read_studies(data / "studies.parquet")


def make_noisy(clean: pl.DataFrame, group: Group) -> pl.DataFrame:
    """The table of a group; one that is there is kept."""
    table = group.data / "studies.parquet"
    if not table.is_file():
        group.data.mkdir(parents=True, exist_ok=True)
        for name in ("labels.csv", "boxes.csv"):
            shutil.copyfile(group.data.parent / "phantom" / name, group.data / name)
        write_studies(flip_sentences(clean, group.level / 100, group.seed), table)
    return read_studies(table)


def collect(groups: Sequence[Group], path: Path) -> pl.DataFrame:
    """One row for every finished job: `level`, then the columns of the ablation; also written as CSV."""
    rows = []
    for group in groups:
        rows.append(write_results(group.jobs, group.data / "results.csv"))
        rows[-1].insert_column(0, pl.Series("level", [group.level] * len(rows[-1]), dtype=pl.Float64))
    table = pl.concat(rows).sort("level", maintain_order=True)
    write_csv(table, path)
    return table


def results_table(table: pl.DataFrame) -> str:
    """Markdown: one line an objective and level, mean ± sd over the seeds that are finished."""
    lines = [_line(["objective", "flipped", "runs", *SHOWN.values()]), _line(["---"] * (len(SHOWN) + 3))]
    for variant in ABLATION:
        of_variant = table.filter(objective=variant.objective, filter=variant.filter_sentences)
        for level in of_variant["level"].unique().sort():
            rows = of_variant.filter(level=level)
            flipped = "any" if variant == BASELINE else f"{level:g} %"
            cells = [_spread(rows[column]) for column in SHOWN]
            lines.append(_line([variant.name, flipped, str(len(rows)), *cells]))
    return "\n".join(lines)


def damage_table(damages: Sequence[tuple[float, Damage]]) -> str:
    """Markdown: what the flips did to the training studies, mean over seeds."""
    names = {
        "sentences": "sentence labels wrong",
        "normal_pairs": "normal studies called abnormal or uncertain",
        "abnormal_pairs": "abnormal studies called normal or uncertain",
        "kept": "wrong among the sentences kept",
        "abnormal_kept": "wrong among those kept in studies called abnormal",
    }
    lines = [_line(["flipped", *names.values()]), _line(["---"] * (len(names) + 1))]
    for level in sorted({level for level, _ in damages}):
        values = [dataclasses.asdict(found) for other, found in damages if other == level]
        means = [sum(value[name] for value in values) / len(values) for name in names]
        lines.append(_line([f"{level:g} %", *(f"{mean:.1%}" for mean in means)]))
    return "\n".join(lines)


def _spread(values: pl.Series) -> str:
    mean, spread = values.mean(), values.std()
    if not isinstance(mean, float) or math.isnan(mean):
        return "-"
    return " ± ".join(f"{v:.3f}".removeprefix("0") for v in (mean, spread) if isinstance(v, float))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Runs the study and prints two Markdown tables."""
    defaults = DemoSettings()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for everything")
    parser.add_argument("--n", type=int, default=defaults.studies, help="phantoms in all")
    parser.add_argument("--epochs", type=int, default=defaults.epochs)
    parser.add_argument("--seeds", type=int, default=defaults.seeds)
    parser.add_argument("--levels", type=float, nargs="+", default=[0, 5, 10, 20], help="per cent flipped")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads a run")
    arguments = parser.parse_args()
    settings = dataclasses.replace(
        defaults,
        studies=arguments.n,
        epochs=arguments.epochs,
        seeds=arguments.seeds,
        workers=arguments.workers,
    )
    groups = plan(arguments.out, settings, arguments.levels)
    clean = make_clean(arguments.out, settings)
    damages = []
    for group in groups:
        noisy = clean if group.level == 0 else make_noisy(clean, group)
        train = [table.filter(pl.col("split") == "train") for table in (clean, noisy)]
        damages.append((group.level, damage(*train)))
    print(damage_table(damages), flush=True)
    for group in groups:
        if group.open_jobs:
            print(f"level {group.level:g} %, seed {group.seed}", flush=True)
            run_ablation(
                group.data,
                group.open_jobs,
                group.data / "open.csv",
                workers=min(arguments.workers, len(group.open_jobs)),
                threads=arguments.threads,
                on_progress=lambda _, done: print(f"  {done}", flush=True) if done else None,
            )
        collect(groups, arguments.out / "results.csv")  # after every group, for whoever looks in between
    print(results_table(collect(groups, arguments.out / "results.csv")))


if __name__ == "__main__":
    main()

"""The ablation on one protocol: a recipe from the validate split, then every variant and seed on test."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl

from offclip.data.files import write_csv
from offclip.data.study import read_studies
from offclip.errors import DataError
from offclip.evaluation.ablation import (
    ABLATION,
    BASELINE,
    FULL_METHOD,
    Job,
    Variant,
    ablation_jobs,
    run_ablation,
)
from offclip.evaluation.run import COLUMNS
from offclip.evaluation.statistics.ranks import auc
from offclip.training.config import TrainConfig
from offclip.zeroshot.prompts import NORMAL_PROMPTS, PAPER_NORMAL_PROMPT
from real_xray_export import WEAK

EPOCHS = (20, 40)
IMAGE_SIZE = 64
LEAST_PER_CLASS = 5
MAIN_COLUMNS = tuple(column for column in COLUMNS if not column.startswith("pointing_"))
VIEW_COLUMNS = (
    "normal_auc",
    "worst_prompt_normal_auc",
    "PA_normal_auc",
    "PA_worst_prompt_normal_auc",
    "AP_normal_auc",
    "AP_worst_prompt_normal_auc",
)
Tell = Callable[[str], None]


def scratch_recipes() -> dict[str, TrainConfig]:
    """The default recipe at 64 px with augmentation, for each number of epochs."""
    base = TrainConfig(model="compact-small", image_size=IMAGE_SIZE, augment=True)
    return {f"epochs{epochs}": dataclasses.replace(base, epochs=epochs) for epochs in EPOCHS}


def choose(data: Path, out: Path, recipes: Mapping[str, TrainConfig], workers: int, tell: Tell) -> str:
    """Trains the baseline and the full method, seed 0, with each recipe and takes the better one.

    Better: the mean, over the two, of worst-prompt normal AUC and abnormal AUC on the validate split.
    """
    rows = []
    for key, config in recipes.items():
        jobs = [
            dataclasses.replace(job, evaluation=out / "validate" / f"{key}-{job.variant.key}")
            for job in ablation_jobs(out / key, config, [0], (BASELINE, FULL_METHOD))
        ]
        table = run_ablation(
            data,
            jobs,
            out / "validate" / f"{key}.csv",
            split="validate",
            workers=workers,
            on_progress=_said(tell),
        )
        worst, abnormal = table["worst_prompt_normal_auc"].mean(), table["abnormal_auc"].mean()
        rows.append(
            {"pairing": WEAK, "recipe": key, "worst_prompt_normal_auc": worst, "abnormal_auc": abnormal}
        )
        tell(f"{key}, validate ({WEAK}): worst-prompt normal {worst:.3f}, abnormal {abnormal:.3f}")
    chosen = pl.DataFrame(rows).with_columns(
        ((pl.col("worst_prompt_normal_auc") + pl.col("abnormal_auc")) / 2).alias("criterion")
    )
    write_csv(chosen, out / "recipes.csv")
    return str(chosen.sort("criterion", descending=True, maintain_order=True)["recipe"][0])


def run_protocol(
    data: Path,
    out: Path,
    recipe: tuple[str, TrainConfig],
    seeds: Sequence[int],
    workers: int,
    tell: Tell,
    variants: Sequence[Variant] = ABLATION,
    results: str = "results.csv",
) -> tuple[pl.DataFrame, list[Job]]:
    """Every variant and seed; the runs of seed 0 that chose the recipe are not trained again.

    Returns:
        One row a run: the columns of the results table, then normal AUC by view. Also in the file `results`.
    """
    key, config = recipe
    jobs = ablation_jobs(out / key, config, seeds, variants)
    table = run_ablation(data, jobs, out / results, workers=workers, on_progress=_said(tell))
    views = pl.DataFrame([by_view(data, job.evaluation) for job in jobs])
    table = pl.concat([table, views], how="horizontal").with_columns(
        pl.lit(WEAK).alias("pairing"), pl.lit(config.epochs).alias("epochs")
    )
    write_csv(table, out / results)
    return table, jobs


def by_view(data: Path, evaluation: Path) -> dict[str, float | None]:
    """Normal AUC by the paper's prompt and by the worst prompt, for the films of each view.

    A view with fewer than five films in a class has no value; the counts say why.
    """
    scores = pl.read_csv(evaluation / "scores.csv", schema_overrides={"image_id": pl.String})
    truth = view_truth(data)
    table = scores.join(truth, on="image_id", how="inner").filter(pl.col("normal").is_not_null())
    row: dict[str, float | None] = {}
    for view in ("PA", "AP"):
        films = table.filter(pl.col("view") == view)
        normal = films["normal"].to_numpy() == 1
        row |= {f"{view}_normals": float(normal.sum()), f"{view}_abnormals": float((~normal).sum())}
        enough = min(normal.sum(), (~normal).sum()) >= LEAST_PER_CLASS
        values = {p: auc(films[p].to_numpy(), normal) for p in NORMAL_PROMPTS} if enough else {}
        row[f"{view}_normal_auc"] = values.get(PAPER_NORMAL_PROMPT)
        row[f"{view}_worst_prompt_normal_auc"] = min(values.values()) if values else None
    return row


def view_truth(data: Path) -> pl.DataFrame:
    """Columns `image_id`, `view`, `normal` (1, 0 or null)."""
    views = read_studies(data / "studies.parquet").select(pl.col("images").explode()).unnest("images")
    labels = pl.read_csv(data / "labels.csv", infer_schema=False).select(
        "image_id", pl.col("normal").cast(pl.Int8, strict=False)
    )
    return views.select("image_id", "view").join(labels, on="image_id")


def table_text(table: pl.DataFrame, columns: Sequence[str], variants: Sequence[Variant] = ABLATION) -> str:
    """Markdown: one line a variant, mean ± standard deviation over seeds."""
    lines = [f"| variant ({WEAK}) | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for variant in variants:
        runs = table.filter(
            (pl.col("objective") == variant.objective) & (pl.col("filter") == variant.filter_sentences)
        )
        lines.append(f"| {variant.name} | " + " | ".join(mean_sd(runs[column]) for column in columns) + " |")
    return "\n".join(lines)


def mean_sd(values: pl.Series) -> str:
    """Such as ".692 ± .012"; a dash where there is no value."""
    values = values.drop_nulls()
    if values.is_empty():
        return "-"
    mean, spread = f"{values.mean():.3f}", values.std()
    text = mean.removeprefix("0") if mean.startswith("0.") else mean
    return text if spread is None else f"{text} ± {f'{spread:.3f}'.removeprefix('0')}"


def first_run(jobs: Sequence[Job]) -> Path:
    """The run folder of OFF-CLIP, seed 0.

    Raises:
        DataError: It is not among the jobs.
    """
    for job in jobs:
        if job.variant == FULL_METHOD and job.config.seed == 0:
            return job.run
    raise DataError("OFF-CLIP with seed 0 is not among the runs.", "Run with --seeds 1 or more.")


def _said(tell: Tell) -> Callable[[float, str], None]:
    return lambda share, finished: tell(f"{share:4.0%} {finished} ({WEAK})") if finished else None

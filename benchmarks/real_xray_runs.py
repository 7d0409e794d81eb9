"""The ablation on one protocol: epochs from the validate split, then every variant and seed on test."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from offclip.data.files import write_csv
from offclip.data.study import read_studies
from offclip.errors import DataError
from offclip.evaluation.ablation import ABLATION, BASELINE, FULL_METHOD, Job, ablation_jobs, run_ablation
from offclip.evaluation.statistics.ranks import auc
from offclip.training.config import TrainConfig
from offclip.zeroshot.prompts import NORMAL_PROMPTS, PAPER_NORMAL_PROMPT
from real_xray_export import WEAK

EPOCHS = (20, 40)
IMAGE_SIZE = 64
LEAST_PER_CLASS = 5
Tell = Callable[[str], None]


def base_config(epochs: int) -> TrainConfig:
    """The default recipe at 64 px with augmentation."""
    return TrainConfig(model="compact-small", image_size=IMAGE_SIZE, augment=True, epochs=epochs)


def choose_epochs(data: Path, out: Path, workers: int, tell: Tell) -> int:
    """Trains the baseline and the full method, seed 0, for each number of epochs and takes the better one.

    Better: the mean, over the two, of worst-prompt normal AUC and abnormal AUC on the validate split.
    """
    groups = {
        epochs: [
            dataclasses.replace(job, evaluation=out / "validate" / f"epochs{epochs}-{job.variant.key}")
            for job in ablation_jobs(
                out / f"epochs{epochs}", base_config(epochs), [0], (BASELINE, FULL_METHOD)
            )
        ]
        for epochs in EPOCHS
    }
    rows = []
    for epochs, jobs in groups.items():
        table = run_ablation(
            data,
            jobs,
            out / "validate" / f"epochs{epochs}.csv",
            split="validate",
            workers=workers,
            on_progress=_said(tell),
        )
        worst, abnormal = table["worst_prompt_normal_auc"].mean(), table["abnormal_auc"].mean()
        rows.append(
            {"pairing": WEAK, "epochs": epochs, "worst_prompt_normal_auc": worst, "abnormal_auc": abnormal}
        )
        tell(f"{epochs} epochs, validate ({WEAK}): worst-prompt normal {worst:.3f}, abnormal {abnormal:.3f}")
    chosen = pl.DataFrame(rows).with_columns(
        ((pl.col("worst_prompt_normal_auc") + pl.col("abnormal_auc")) / 2).alias("criterion")
    )
    write_csv(chosen, out / "epochs.csv")
    return int(chosen.sort("criterion", descending=True)["epochs"][0])


def run_protocol(
    data: Path, out: Path, epochs: int, seeds: Sequence[int], workers: int, tell: Tell
) -> tuple[pl.DataFrame, list[Job]]:
    """Every variant and seed; the runs of seed 0 that chose the epochs are not trained again.

    Returns:
        One row a run: the columns of the results table, then normal AUC by view. Also in results.csv.
    """
    jobs = ablation_jobs(out / f"epochs{epochs}", base_config(epochs), seeds, ABLATION)
    table = run_ablation(data, jobs, out / "runs.csv", workers=workers, on_progress=_said(tell))
    views = pl.DataFrame([by_view(data, job.evaluation) for job in jobs])
    table = pl.concat([table, views], how="horizontal").with_columns(
        pl.lit(WEAK).alias("pairing"), pl.lit(epochs).alias("epochs")
    )
    write_csv(table, out / "results.csv")
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


def table_text(table: pl.DataFrame, columns: Sequence[str]) -> str:
    """Markdown: one line a variant, mean ± standard deviation over seeds."""
    lines = [f"| variant ({WEAK}) | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for variant in ABLATION:
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

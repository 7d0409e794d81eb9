"""Which ingredient does what: the same data, several objectives, several seeds, one table."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import polars as pl
import torch

from offclip.data.files import write_csv
from offclip.errors import OffclipError
from offclip.evaluation.early import early_metrics
from offclip.evaluation.run import COLUMNS, evaluate
from offclip.training.config import TrainConfig
from offclip.training.loop import StepReport, train


@dataclass(frozen=True, slots=True)
class Variant:
    """One line of the ablation.

    Attributes:
        name: For people.
        objective: As in `TrainConfig`.
        filter_sentences: As in `TrainConfig`.
    """

    name: str
    objective: str
    filter_sentences: bool

    @property
    def key(self) -> str:
        """For folder names."""
        return f"{self.objective}-{'filter' if self.filter_sentences else 'nofilter'}"


ABLATION = (
    Variant("InfoNCE", "infonce", False),
    Variant("InfoNCE + filtering", "infonce", True),
    Variant("Off-diagonal term only", "off-diagonal", False),
    Variant("OFF-CLIP", "offclip", True),
    Variant("Multi-positive + filtering", "multi-positive", True),
)
BASELINE, FULL_METHOD = ABLATION[0], ABLATION[3]


@dataclass(frozen=True, slots=True)
class Job:
    """One run of the ablation: train, then evaluate.

    Attributes:
        variant: What is trained.
        config: The whole recipe, seed included.
        run: Run folder.
        evaluation: Folder of its results.
    """

    variant: Variant
    config: TrainConfig
    run: Path
    evaluation: Path


def ablation_jobs(
    out: Path, base: TrainConfig, seeds: Sequence[int], variants: Sequence[Variant] = ABLATION
) -> list[Job]:
    """One job a variant and seed, seeds outermost, so that a stopped ablation has whole seeds."""
    return [
        Job(
            variant,
            dataclasses.replace(
                base, objective=variant.objective, filter_sentences=variant.filter_sentences, seed=seed
            ),
            out / "runs" / f"{variant.key}-seed{seed}",
            out / "evaluations" / f"{variant.key}-seed{seed}",
        )
        for seed in seeds
        for variant in variants
    ]


def run_ablation(
    data: Path,
    jobs: Sequence[Job],
    results: Path,
    *,
    split: str = "test",
    workers: int = 2,
    threads: int = 1,
    on_progress: Callable[[float, str], None] | None = None,
) -> pl.DataFrame:
    """Trains and evaluates every job, several at a time, and writes one row a job.

    A job that is finished already is not run again, so a stopped ablation resumes. When a job fails, the
    others go on; the failure is raised at the end.

    Args:
        data: Folder with studies.parquet, labels.csv and boxes.csv.
        jobs: What to run.
        results: CSV to write, after every finished job.
        split: The split that is reported.
        workers: Jobs at a time.
        threads: CPU threads a job.
        on_progress: Called with the share that is done and the name of a job that has just finished, or "".

    Returns:
        Columns `objective`, `filter`, `seed`, then those of the results table.

    Raises:
        OffclipError: A job failed.
    """
    failures: list[OffclipError] = []
    context = multiprocessing.get_context("spawn")
    steps = context.Value("q", 0)
    with ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(threads, steps)) as pool:
        # No more than the workers can take at once: what is queued in a pool cannot be called back by Ctrl-C.
        waiting = list(jobs)
        pending: dict[Future[int], Job] = {}
        total_steps, share = 0, 0.0  # jobs that were finished before take no step, so the share only rises
        try:
            while waiting or pending:
                while waiting and len(pending) < workers:
                    job = waiting.pop(0)
                    pending[pool.submit(run_job, data, job, split)] = job
                done, _ = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in done:
                    job = pending.pop(future)
                    try:
                        total_steps = max(total_steps, future.result() * len(jobs))
                    except OffclipError as error:
                        failures.append(error)
                    write_results(jobs, results)
                    share = max(share, 1 - (len(waiting) + len(pending)) / len(jobs))
                    if on_progress:
                        on_progress(share, f"{job.variant.name}, seed {job.config.seed}")
                if on_progress and total_steps:
                    share = max(share, min(steps.value / total_steps, 1.0))
                    on_progress(share, "")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failures:
        raise failures[0]
    return write_results(jobs, results)


def run_job(data: Path, job: Job, split: str = "test") -> int:
    """Trains and evaluates one job; returns the number of its steps."""
    steps = 0

    def count(report: StepReport) -> None:
        nonlocal steps
        steps = report.steps
        if _steps is not None:
            with _steps.get_lock():
                _steps.value += 1

    # A finished run is not trained again; a run with another recipe or other data is refused.
    train(data / "studies.parquet", job.config, job.run, validate=early_metrics, on_step=count)
    if not (job.evaluation / "results.json").is_file():
        evaluate(job.run, data, job.evaluation, split=split, pages=False)
    return steps


def write_results(jobs: Sequence[Job], path: Path) -> pl.DataFrame:
    """Writes one row for every job that has been evaluated."""
    rows = []
    for job in jobs:
        file = job.evaluation / "results.json"
        if file.is_file():
            metrics = json.loads(file.read_text(encoding="utf-8"))["metrics"]
            rows.append(
                [job.variant.objective, job.variant.filter_sentences, job.config.seed]
                + [metrics.get(column) for column in COLUMNS]
            )
    schema = {"objective": pl.String, "filter": pl.Boolean, "seed": pl.Int64} | dict.fromkeys(
        COLUMNS, pl.Float64
    )
    table = pl.DataFrame(rows, schema=schema, orient="row")
    write_csv(table, path)
    return table


def summarise(table: pl.DataFrame) -> pl.DataFrame:
    """Mean and standard deviation over seeds: columns `<measure>` and `<measure>_sd`, a row a variant."""
    measures = [pl.col(column).mean() for column in COLUMNS]
    spreads = [pl.col(column).std().alias(f"{column}_sd") for column in COLUMNS]
    return table.group_by("objective", "filter", maintain_order=True).agg(*measures, *spreads)


_steps: Synchronized | None = None


def _start_worker(threads: int, steps: Synchronized) -> None:
    global _steps
    _steps = steps
    torch.set_num_threads(threads)

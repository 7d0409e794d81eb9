"""The demonstration: from nothing to a report, on synthetic chest films."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from offclip.cores import available_cores
from offclip.data.exports import studies_from_export
from offclip.data.files import write_skipped
from offclip.data.phantom import write_phantom
from offclip.data.study import write_studies
from offclip.evaluation.ablation import ABLATION, Job, ablation_jobs, run_ablation
from offclip.evaluation.report import write_report
from offclip.training.config import TrainConfig


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """How large the demonstration is.

    Attributes:
        studies: Phantoms in all; 70 % train, 10 % validate, 20 % test, by patient.
        size: Side of the images in pixels.
        epochs: Passes over the training studies.
        seeds: Runs of every variant.
        workers: Runs at a time; 0 takes one a core.
        seed: Of the phantoms. The recipe was chosen on the validation phantoms of seed 0
            (benchmarks/choose_recipe.py); nothing was chosen on those of any other seed.
    """

    studies: int = 5700
    size: int = 64
    epochs: int = 10
    seeds: int = 3
    workers: int = 0
    seed: int = 1


QUICK = DemoSettings(studies=2600, epochs=8, seeds=1)


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Where the demonstration left what it made.

    Attributes:
        table: One row an objective, filter and seed.
        results: The same as CSV.
        report: The HTML page.
    """

    table: pl.DataFrame
    results: Path
    report: Path


def demo(
    out: str | Path, settings: DemoSettings, on_progress: Callable[[str, float, str], None] | None = None
) -> DemoResult:
    """Draws phantoms, labels their reports, trains and evaluates the ablation, and writes the report.

    Calling it again goes on where it was stopped.

    Args:
        out: Folder for everything.
        settings: How large.
        on_progress: Called with the stage, the share of it that is done, and a note.

    Raises:
        OffclipError: The folder holds a demonstration with other settings, or the disk is full.
    """
    out = Path(out)
    tell = on_progress or (lambda stage, share, note: None)
    workers = settings.workers or available_cores()

    data = out / "phantom"
    write_phantom(
        data,
        settings.studies,
        settings.seed,
        size=settings.size,
        workers=workers,
        on_progress=lambda done: tell("drawing phantoms", done / settings.studies, ""),
    )
    studies, skipped = studies_from_export(
        data / "reports.csv", on_progress=lambda done, total: tell("labelling reports", done / total, "")
    )
    write_studies(studies, data / "studies.parquet")
    write_skipped(data / "skipped.csv", skipped)

    jobs = demo_jobs(out, settings)
    results = out / "results.csv"
    table = run_ablation(
        data,
        jobs,
        results,
        workers=min(workers, len(jobs)),
        threads=max(1, available_cores() // workers),
        on_progress=lambda share, note: tell("training and evaluating", share, note),
    )
    tell("writing the report", 0.0, "")
    report = write_report(out / "report.html", data=data, jobs=jobs, table=table)
    tell("writing the report", 1.0, "")
    return DemoResult(table, results, report)


def demo_jobs(out: Path, settings: DemoSettings) -> list[Job]:
    """The runs of a demonstration."""
    base = TrainConfig(model="compact-small", image_size=settings.size, epochs=settings.epochs, augment=False)
    return ablation_jobs(out, base, range(settings.seeds), ABLATION)

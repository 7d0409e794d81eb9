"""The page: what the runs measured, drawn and put into the template."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from offclip.errors import OffclipError
from offclip.evaluation.ablation import BASELINE, FULL_METHOD, Job
from offclip.evaluation.drawing.page import style, write_html
from offclip.evaluation.drawing.svg import variable
from offclip.evaluation.report import figures
from offclip.evaluation.report.gallery import Card, cards, phantom_parameters
from offclip.evaluation.report.palette import colours
from offclip.evaluation.report.probe import MOST_IMAGES, Close, choose_cases, choose_normals, look
from offclip.evaluation.report.projection import projection
from offclip.evaluation.report.provenance import provenance
from offclip.evaluation.report.runs import FinishedRun, by_variant, key_of, read_runs, same_seed
from offclip.evaluation.report.sentences import headline_sentence, ingredient_sentences
from offclip.evaluation.report.table import MEASURES, table_rows
from offclip.evaluation.run import COLUMNS
from offclip.evaluation.truth import EvaluationData, read_evaluation_folder
from offclip.zeroshot.prompts import NORMAL_PROMPTS

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Closer:
    """The part of the page that looks at two models of one seed.

    Attributes:
        seed: Theirs.
        names: Of the two models.
        projections: One figure a model.
        images: Number of images in a projection.
        cases, normals: The gallery.
    """

    seed: int
    names: tuple[str, str]
    projections: list[Markup | None]
    images: int
    cases: list[Card]
    normals: list[Card]


def write_report(path: Path, *, data: Path, jobs: Sequence[Job], table: pl.DataFrame) -> Path:
    """Writes one HTML page that opens offline.

    Jobs without an evaluation are left out, and so is every part of the page that they were needed for.

    Args:
        path: The page to write.
        data: The folder that the jobs were evaluated on.
        jobs: The runs of the ablation.
        table: Columns `objective`, `filter`, `seed`, and those of the results table.

    Returns:
        The path.

    Raises:
        DataError: The data folder cannot be read, or the disk is full.
    """
    data = Path(data)
    runs = read_runs(jobs)
    truth = read_evaluation_folder(data)
    context = _context(data, truth, runs, table)
    return write_html(path, "offclip.evaluation.report", "template.html.j2", context)


def _context(
    data: Path, truth: EvaluationData, runs: Sequence[FinishedRun], table: pl.DataFrame
) -> dict[str, Any]:
    groups = by_variant(runs)
    palette = colours(list(groups))
    names = {key_of(variant): variant.name for variant in groups}
    rows = table_rows(table, names) if len(table) else []
    chosen = (key_of(BASELINE), key_of(FULL_METHOD))
    worst = COLUMNS.index("worst_prompt_normal_auc")
    synthetic = phantom_parameters(data) is not None
    return {
        "style": style(),
        "synthetic": synthetic,
        "measures": [MEASURES[column] for column in COLUMNS],
        "rows": rows,
        "legend": [(variant.name, variable(palette[variant])) for variant in groups],
        "colour_of": {key_of(variant): variable(colour) for variant, colour in palette.items()},
        "headline": [(row, row.cells[worst]) for key in chosen for row in rows if row.key == key],
        "headline_sentence": headline_sentence(table) if len(table) else "",
        "sentences": ingredient_sentences(table) if len(table) else [],
        "normal_prompts": NORMAL_PROMPTS,
        "roc_worst": figures.roc_by_worst_prompt(groups, truth.labels),
        "roc_findings": figures.roc_by_max_finding(groups, truth.labels),
        "prompt_dots": figures.prompt_dots(groups),
        "loss_curves": figures.loss_curves(groups),
        "validation_curves": figures.validation_curves(groups),
        "closer": _closer(data, truth, runs),
        "made": provenance(data, truth, runs),
    }


def _closer(data: Path, truth: EvaluationData, runs: Sequence[FinishedRun]) -> Closer | None:
    """Baseline and full method of one seed; None when either is missing or cannot be loaded."""
    pair = same_seed(runs, key_of(BASELINE), key_of(FULL_METHOD))
    if pair is None:
        return None
    split = pair[0].split
    if not truth.images.get(split):
        return None
    cases, normals = choose_cases(truth, split), choose_normals(truth, split)
    models: list[Close] = []
    try:
        models = [look(run.job.run, truth, split, cases, normals) for run in pair]
    except OffclipError as error:
        log.warning("The report has no heat maps: %s", error)
        return None
    return Closer(
        pair[0].job.config.seed,
        (pair[0].job.variant.name, pair[1].job.variant.name),
        [
            projection(close, truth.labels, f"projection-{number}")
            for number, close in enumerate(models, start=1)
        ],
        min(len(models[0].image_ids), MOST_IMAGES),
        cards(cases, models, data),
        cards(normals, models, data),
    )

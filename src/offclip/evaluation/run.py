"""A whole evaluation of a model: a folder with truth in, a folder with results out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from offclip.data.files import Skipped, write_csv, write_skipped
from offclip.data.loader import ImageRef
from offclip.data.phantom.write import PARAMETERS
from offclip.errors import DataError
from offclip.evaluation.as_json import as_json
from offclip.evaluation.classification import Classification, classify
from offclip.evaluation.evaluated import Evaluated, evaluate_cases
from offclip.evaluation.grounding import ground_model
from offclip.evaluation.grounding.tables import read_grounding_folder
from offclip.evaluation.model_cases import cases_of
from offclip.evaluation.negation import measure_negation, negation_prompts
from offclip.evaluation.outputs import write_evaluated
from offclip.evaluation.overlays import ModelMaps, films_of
from offclip.evaluation.pointing import point_all
from offclip.evaluation.progress import OnProgress, named
from offclip.evaluation.result_page import FilmMap
from offclip.evaluation.scoring import (
    kept_parts,
    load_for_scoring,
    measured_model,
    prompt_remarks,
    score_splits,
    scoring_identity,
)
from offclip.evaluation.settings import Settings
from offclip.evaluation.truth import EvaluationData, read_evaluation_folder
from offclip.grounding.regions import Box
from offclip.models.carzero.scoring import ScoringOptions
from offclip.models.interface import ClipModel
from offclip.zeroshot.ensemble import PromptSet
from offclip.zeroshot.prompts import FINDING_TEMPLATES
from offclip.zeroshot.score import Scores

COLUMNS = (
    "normal_auc",
    "worst_prompt_normal_auc",
    "neg_max_finding_auc",
    "abnormal_auc",
    "abnormal_auc_among_abnormals",
    "fpr_at_95_sensitivity",
    "false_findings_per_normal",
    "pointing_accuracy",
    "pointing_chance",
)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that one evaluation of a model on a folder measured.

    Attributes:
        classification: The columns of the ablation; None with prompts of one's own.
        pointing: Columns `image_id`, `finding`, `hit`, `chance`: one row an image and finding with boxes.
        scores: Of the evaluated split.
        skipped: What was left out, and why.
        evaluated: The measures with their intervals.
    """

    classification: Classification | None
    pointing: pl.DataFrame
    scores: Scores
    skipped: list[Skipped]
    evaluated: Evaluated

    def row(self) -> dict[str, float | None]:
        """The columns of the ablation's table; None where the data cannot give a value."""
        groups = self.pointing.group_by("finding", maintain_order=True)
        by_finding = groups.agg(pl.col("hit", "chance").mean())
        values: dict[str, Any] = dict.fromkeys(COLUMNS)
        values |= dataclasses.asdict(self.classification) if self.classification else {}
        values["pointing_accuracy"] = by_finding["hit"].mean()
        values["pointing_chance"] = by_finding["chance"].mean()
        return {column: values[column] for column in COLUMNS}


def evaluate(
    model_path: str | Path,
    folder: str | Path,
    out: str | Path | None = None,
    *,
    settings: Settings | None = None,
    split: str = "test",
    prompts: PromptSet | None = None,
    lateral: bool = False,
    negation: bool = False,
    grounding: bool = False,
    scoring: ScoringOptions | None = None,
    pages: bool = True,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Evaluates a trained model on a folder with labels and, if there are any, boxes.

    With `out`, finished parts of the scoring are kept there until the results are written: the same call
    goes on after a stop.

    Args:
        model_path: A run or model folder, or any other name of a model, see `offclip.load`.
        folder: Holds `studies.parquet` or `reports.csv`, `labels.csv`, and `boxes.csv` if there are boxes.
        out: Where the results go; None writes nothing.
        settings: How scores are measured.
        split: The split that is reported; thresholds come from the validate split.
        prompts: What is asked for each finding, and for the normal class; the paper's by default.
        lateral: Score lateral images as well.
        negation: Ask "There is X" and "There is no X" as well, and say which the model prefers.
        grounding: Measure the heat maps on boxes.csv and masks.csv as well, see `ground`.
        scoring: How a CARZero model scores: fewer bits, a cache of prompts; None is exact and keeps nothing.
        pages: Write the page, the tables and the cards beside the numbers.
        on_progress: Called with (what, done, all).

    Raises:
        ConfigError: `scoring` is given, and the model is no CARZero.
        DataError: The split is empty or holds one class only, or a file is unusable.
        CheckpointError: The model cannot be loaded.
    """
    settings = settings or Settings()
    model, data = load_for_scoring(model_path, scoring), read_evaluation_folder(folder, lateral=lateral)
    marked = read_grounding_folder(folder) if grounding else None
    if not data.images.get(split):
        filled = ", ".join(name for name, images in data.images.items() if images)
        raise DataError(
            f"{folder}: no labelled image in the split {split!r}.", f"Splits with images: {filled}."
        )
    findings = data.labels.findings
    asked = (prompts or PromptSet.of(findings, templates=FINDING_TEMPLATES[:1])).for_findings(findings)
    texts = list(dict.fromkeys((*asked.texts, *(negation_prompts(findings) if negation else ()))))
    images = {name: data.images[name] for name in dict.fromkeys((split, "validate")) if data.images.get(name)}
    with kept_parts(out) as keep:
        identity = scoring_identity(model_path, model, scoring)
        scores, unreadable = score_splits(model, images, texts, keep, identity, on_progress)
        result = _measure(model, data, asked, split, scores, settings, negation, on_progress)
        result.skipped.extend((*data.skipped, *unreadable))
        if marked is not None:
            found = ground_model(
                model, marked, split=split, resampling=settings.resampling, on_progress=on_progress
            )
            result.evaluated.document["grounding"] = found.block()
        result.evaluated.document["run"] |= {
            **measured_model(model_path, model),
            "data": str(folder),
            "split": split,
            "synthetic": (Path(folder) / PARAMETERS).is_file(),
            "precision": scoring.precision if scoring else None,
        }
        if out is not None:
            overlays = model_maps(model, result, images[split], asked, data.boxes)
            write_evaluation(result, Path(out), overlays, pages=pages)
    return result


def _measure(
    model: ClipModel,
    data: EvaluationData,
    asked: PromptSet,
    split: str,
    scores: Mapping[str, Scores],
    settings: Settings,
    negation: bool,
    on_progress: OnProgress | None,
) -> Evaluation:
    reported = scores[split]
    validated = scores.get("validate") if split != "validate" else None
    classification = None
    if asked == PromptSet.of(data.labels.findings, templates=FINDING_TEMPLATES[:1]):
        classification = classify(reported, data.labels, (validated, data.labels) if validated else None)
    readable = set(reported.image_ids)
    boxed = [image for image in data.images[split] if image.image_id in readable]
    pointing = point_all(model, boxed, data.boxes, named(on_progress, "pointing"))
    cases = cases_of(reported, data.labels, data.about, asked)
    validation = cases_of(validated, data.labels, data.about, asked) if validated else None
    films = films_of(data.images[split], {i: about.study_id for i, about in data.about.items()})
    evaluated = evaluate_cases(cases, validation, settings, films=films, on_progress=on_progress)
    result = Evaluation(classification, pointing, reported, [], evaluated)
    evaluated.document["metrics"] = result.row()
    evaluated.document["prompts"] = prompt_remarks(model, asked)
    if classification is not None:
        evaluated.document["details"] = dataclasses.asdict(classification)
    if negation:
        patients = [data.about[image_id].patient_id for image_id in reported.image_ids]
        measured = measure_negation(reported, data.labels, patients, resampling=settings.resampling)
        evaluated.document["negation"] = as_json(measured)
    return result


def write_evaluation(
    result: Evaluation,
    out: Path,
    overlays: Mapping[str, Sequence[FilmMap]] | None = None,
    *,
    pages: bool = True,
) -> None:
    """Writes scores.csv, pointing.csv, skipped.csv, and what every evaluation writes.

    Raises:
        DataError: The disk is full or the folder not writable.
    """
    scores = pl.DataFrame(
        {"image_id": result.scores.image_ids}
        | {prompt: np.asarray(result.scores.of(prompt)) for prompt in result.scores.prompts}
    )
    write_csv(scores, out / "scores.csv")
    write_csv(result.pointing, out / "pointing.csv")
    write_skipped(out / "skipped.csv", result.skipped)
    write_evaluated(result.evaluated, out, overlays=overlays, pages=pages)


def model_maps(
    model: ClipModel,
    result: Evaluation,
    images: Sequence[ImageRef],
    asked: PromptSet,
    boxes: Mapping[str, Sequence[Box]],
) -> ModelMaps | None:
    """Heat maps for the gallery; None for studies, which have no film of their own."""
    if result.evaluated.document["run"]["unit"] == "study":
        return None
    paths = {image.image_id: image.path for image in images}
    return ModelMaps(model, result.evaluated.cases, paths, asked.prompts, boxes)

"""A whole evaluation: a trained model, a folder with truth, a folder with results."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from offclip.data.files import Skipped, atomic_path, write_csv, write_skipped
from offclip.data.loader import PixelStore, load_pixels
from offclip.errors import ConfigError, DataError
from offclip.evaluation.classification import Classification, classify, evaluation_prompts
from offclip.evaluation.truth import EvaluationData, read_evaluation_folder
from offclip.grounding.maps import heat_maps
from offclip.grounding.pointing import Box, point
from offclip.models.carzero.model import CarZero
from offclip.models.carzero.precision import with_options
from offclip.models.carzero.scoring import ScoringOptions
from offclip.models.checkpoint import load_model
from offclip.models.interface import ClipModel
from offclip.zeroshot.prompts import finding_prompt
from offclip.zeroshot.score import Scores, score_images

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
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that one evaluation measured.

    Attributes:
        classification: Of the evaluated split.
        pointing: Columns `image_id`, `finding`, `hit`, `chance`: one row an image and finding with boxes.
        scores: Of the evaluated split.
        skipped: What was left out, and why.
    """

    classification: Classification
    pointing: pl.DataFrame
    scores: Scores
    skipped: list[Skipped]

    def row(self) -> dict[str, float | None]:
        """The columns of the results table; None where the data cannot give a value."""
        groups = self.pointing.group_by("finding", maintain_order=True)
        by_finding = groups.agg(pl.col("hit", "chance").mean())
        means = {
            "pointing_accuracy": by_finding["hit"].mean(),
            "pointing_chance": by_finding["chance"].mean(),
        }
        values: dict[str, Any] = dataclasses.asdict(self.classification) | means
        return {column: values[column] for column in COLUMNS}


def evaluate(
    model_path: str | Path,
    folder: str | Path,
    out: str | Path | None = None,
    *,
    split: str = "test",
    scoring: ScoringOptions | None = None,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Evaluates a trained model on a folder with labels and, if there are any, boxes.

    Args:
        model_path: A run or model folder.
        folder: Holds `studies.parquet` or `reports.csv`, `labels.csv`, and `boxes.csv` if there are boxes.
        out: Where results.json, scores.csv, pointing.csv and skipped.csv go; None writes nothing.
        split: The split that is reported; thresholds come from the validate split.
        scoring: How a CARZero model scores: fewer bits, a cache of prompts; None is exact and keeps nothing.
        on_progress: Called with (what, done, all).

    Raises:
        ConfigError: `scoring` is given, and the model is no CARZero.
        DataError: The split is empty or holds one class only, or a file is unusable.
        CheckpointError: The model cannot be loaded.
    """
    model, data = load_model(model_path), read_evaluation_folder(folder)
    if scoring is not None:
        if not isinstance(model, CarZero):
            raise ConfigError(
                f"{model_path}: no CARZero, so it has no options of scoring.", "Leave them out."
            )
        model = with_options(model, scoring)
    if not data.images.get(split):
        filled = ", ".join(name for name, images in data.images.items() if images)
        raise DataError(
            f"{folder}: no labelled image in the split {split!r}.", f"Splits with images: {filled}."
        )
    prompts = evaluation_prompts(data.labels.findings)
    skipped = list(data.skipped)
    stores: dict[str, PixelStore] = {}
    for name in dict.fromkeys((split, "validate")):
        if data.images.get(name):
            stores[name], bad = load_pixels(
                data.images[name], model.preprocess, on_progress=_named(on_progress, f"reading {name}")
            )
            skipped += bad
    scores = {
        name: score_images(model, store, prompts, on_progress=_named(on_progress, f"scoring {name}"))
        for name, store in stores.items()
    }
    result = Evaluation(
        classification=classify(
            scores[split],
            data.labels,
            (scores["validate"], data.labels) if "validate" in scores and split != "validate" else None,
        ),
        pointing=point_all(model, stores[split], data, _named(on_progress, "pointing")),
        scores=scores[split],
        skipped=skipped,
    )
    if out is not None:
        about = {"model": str(model_path), "data": str(folder), "split": split}
        if scoring is not None:  # fewer bits give other scores
            about["precision"] = scoring.precision
        write_evaluation(result, Path(out), about)
    return result


def point_all(
    model: ClipModel,
    store: PixelStore,
    data: EvaluationData,
    on_progress: Callable[[int, int], None] | None = None,
) -> pl.DataFrame:
    """Plays the pointing game for every image and finding that has boxes."""
    findings = sorted({box.finding for boxes in data.boxes.values() for box in boxes})
    rows = [row for row, image_id in enumerate(store.image_ids) if image_id in data.boxes]
    results = []
    maps = heat_maps(model, store, rows, [finding_prompt(f) for f in findings]) if rows else ()
    for done, (row, image_maps) in enumerate(maps, start=1):
        image_id = store.image_ids[row]
        for finding, boxes in _by_finding(data.boxes[image_id]).items():
            played = point(image_maps[findings.index(finding)], store.geometry[row], boxes)
            results.append((image_id, finding, played.hit, played.chance))
        if on_progress:
            on_progress(done, len(rows))
    schema = {"image_id": pl.String, "finding": pl.String, "hit": pl.Float64, "chance": pl.Float64}
    return pl.DataFrame(results, schema=schema, orient="row")


def write_evaluation(result: Evaluation, out: Path, about: dict[str, Any]) -> None:
    """Writes results.json, scores.csv, pointing.csv and skipped.csv.

    Raises:
        DataError: The disk is full or the folder not writable.
    """
    scores = pl.DataFrame(
        {"image_id": result.scores.image_ids}
        | {prompt: np.asarray(result.scores.of(prompt)) for prompt in result.scores.prompts}
    )
    summary = about | {"metrics": result.row(), "details": dataclasses.asdict(result.classification)}
    write_csv(scores, out / "scores.csv")
    write_csv(result.pointing, out / "pointing.csv")
    write_skipped(out / "skipped.csv", result.skipped)
    with atomic_path(out / "results.json") as temporary:  # the last, so that it says that all is there
        temporary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _by_finding(boxes: list[Box]) -> dict[str, list[Box]]:
    result: dict[str, list[Box]] = {}
    for box in boxes:
        result.setdefault(box.finding, []).append(box)
    return result


def _named(on_progress: OnProgress | None, what: str) -> Callable[[int, int], None] | None:
    if on_progress is None:
        return None
    return lambda done, total: on_progress(what, done, total)

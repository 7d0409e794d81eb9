"""Two trained models looked at closely: embeddings, heat maps and false findings of a few test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offclip.data.loader import ImageRef, PixelStore, load_pixels
from offclip.evaluation.statistics.thresholds import youden_threshold
from offclip.evaluation.truth import EvaluationData, Labels
from offclip.grounding.maps import heat_maps
from offclip.grounding.pointing import Box
from offclip.images.geometry import Letterbox
from offclip.models.checkpoint import load_model
from offclip.models.interface import ClipModel
from offclip.zeroshot.prompts import finding_prompt
from offclip.zeroshot.score import Scores, score_images

MOST_IMAGES, MOST_CASES, MOST_NORMALS = 1200, 10, 6


@dataclass(frozen=True, slots=True)
class Case:
    """One image of the gallery: a finding with boxes, or a normal image with an empty finding."""

    image: ImageRef
    finding: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Close:
    """One model, looked at closely.

    Attributes:
        image_ids: The N images of the projection.
        embeddings: (N, D).
        maps: For each image id of the gallery with a finding, its heat map.
        geometry: For each image id of the gallery, how it got into the model's square.
        called: For each normal image of the gallery, the findings that the model calls on it; None without
            validation labels.
    """

    image_ids: tuple[str, ...]
    embeddings: np.ndarray
    maps: dict[str, np.ndarray]
    geometry: dict[str, Letterbox]
    called: dict[str, tuple[str, ...] | None]


def choose_cases(data: EvaluationData, split: str) -> list[Case]:
    """For each finding the first image by id that shows it alone, or else the first that shows it at all.

    Only images with a box of that finding count, and no result of any model plays a part.
    """
    images = sorted(data.images.get(split, ()), key=lambda image: image.image_id)
    labels = data.labels.select([image.image_id for image in images])
    cases: list[Case] = []
    for column, finding in enumerate(labels.findings):
        alone, among = [], []
        for row, image in enumerate(images):
            boxes = tuple(b for b in data.boxes.get(image.image_id, ()) if b.finding == finding.lower())
            if boxes and labels.present[row, column] == 1 and image.image_id not in _ids(cases):
                (alone if np.nansum(labels.present[row]) == 1 else among).append((image, boxes))
        if alone or among:
            image, boxes = (alone or among)[0]
            cases.append(Case(image, finding, boxes))
    return cases[:MOST_CASES]


def choose_normals(data: EvaluationData, split: str) -> list[Case]:
    """The first normal images by id."""
    images = sorted(data.images.get(split, ()), key=lambda image: image.image_id)
    normal = data.labels.select([image.image_id for image in images]).normal == 1
    return [Case(image, "", ()) for image, is_normal in zip(images, normal, strict=True) if is_normal][
        :MOST_NORMALS
    ]


def look(
    model_path: Path, data: EvaluationData, split: str, cases: Sequence[Case], normals: Sequence[Case]
) -> Close:
    """Runs one model over the projection's images, the gallery and the validation split.

    Raises:
        DataError: No image can be read.
        CheckpointError: The model cannot be loaded.
    """
    model = load_model(model_path)
    prompts = [finding_prompt(finding) for finding in data.labels.findings]
    everything = sorted(data.images[split], key=lambda image: image.image_id)[:MOST_IMAGES]
    test, _ = load_pixels(everything, model.preprocess)
    scores = score_images(model, test, prompts)
    gallery, _ = load_pixels([case.image for case in (*cases, *normals)] or everything[:1], model.preprocess)
    findings = {case.image.image_id: prompts[data.labels.findings.index(case.finding)] for case in cases}
    maps = _maps(model, gallery, findings, prompts)
    thresholds = None
    if data.images.get("validate") and normals:
        validation, _ = load_pixels(data.images["validate"], model.preprocess)
        thresholds = _thresholds(score_images(model, validation, prompts), data.labels)
    on_gallery = score_images(model, gallery, prompts)
    return Close(
        scores.image_ids,
        scores.embeddings,
        maps,
        dict(zip(gallery.image_ids, gallery.geometry, strict=True)),
        {
            case.image.image_id: _called(on_gallery, case.image.image_id, thresholds, data.labels.findings)
            for case in normals
            if case.image.image_id in on_gallery.image_ids
        },
    )


def _maps(
    model: ClipModel, gallery: PixelStore, findings: dict[str, str], prompts: list[str]
) -> dict[str, np.ndarray]:
    rows = [row for row, image_id in enumerate(gallery.image_ids) if image_id in findings]
    if not rows:
        return {}
    found = heat_maps(model, gallery, rows, prompts)
    return {
        gallery.image_ids[row]: image_maps[prompts.index(findings[gallery.image_ids[row]])]
        for row, image_maps in found
    }


def _thresholds(scores: Scores, labels: Labels) -> dict[str, float]:
    """Youden's threshold of every finding that the validation images can set."""
    truth = labels.select(scores.image_ids)
    result = {}
    for column, finding in enumerate(truth.findings):
        usable = ~np.isnan(truth.present[:, column])
        positive = truth.present[usable, column] == 1
        if positive.any() and not positive.all():
            result[finding] = youden_threshold(scores.of(finding_prompt(finding))[usable], positive)
    return result


def _called(
    scores: Scores, image_id: str, thresholds: dict[str, float] | None, findings: Sequence[str]
) -> tuple[str, ...] | None:
    if thresholds is None:
        return None
    row = scores.image_ids.index(image_id)
    return tuple(
        f for f in findings if f in thresholds and scores.of(finding_prompt(f))[row] >= thresholds[f]
    )


def _ids(cases: Sequence[Case]) -> set[str]:
    return {case.image.image_id for case in cases}

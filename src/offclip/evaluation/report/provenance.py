"""How the numbers were made: data, recipe, versions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from offclip.evaluation.ablation import FULL_METHOD
from offclip.evaluation.report.gallery import phantom_parameters
from offclip.evaluation.report.runs import FinishedRun, key_of
from offclip.evaluation.truth import EvaluationData

_SPLITS = ("train", "validate", "test")
_NOT_RECIPE = ("objective", "filter_sentences", "seed", "save_every_s")


@dataclass(frozen=True, slots=True)
class Split:
    """How many labelled images one split has."""

    name: str
    images: int
    normal: int
    abnormal: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a reader needs to make the numbers again.

    Attributes:
        split: The one that is reported.
        splits: Sizes.
        seeds: Of the runs.
        runs: How many were evaluated.
        findings: That the labels name.
        recipe: Everything of the full method's recipe that the variants share.
        versions: Of the software, and the device.
        phantom: Parameters of the synthetic data; empty for other data.
    """

    split: str
    splits: list[Split]
    seeds: list[int]
    runs: int
    findings: tuple[str, ...]
    recipe: dict[str, Any]
    versions: dict[str, str]
    phantom: dict[str, Any]


def provenance(data: Path, truth: EvaluationData, runs: Sequence[FinishedRun]) -> Provenance:
    """Reads sizes, recipe and versions."""
    chosen = next((run for run in runs if key_of(run.job.variant) == key_of(FULL_METHOD)), None)
    chosen = chosen or (runs[0] if runs else None)
    recipe = _recipe(chosen) if chosen else {}
    return Provenance(
        split=chosen.split if chosen else "test",
        splits=[_size(truth, name) for name in (*_SPLITS, *sorted(truth.images.keys() - set(_SPLITS)))],
        seeds=sorted({run.job.config.seed for run in runs}),
        runs=len(runs),
        findings=truth.labels.findings,
        recipe={name: value for name, value in recipe.items() if name not in _NOT_RECIPE},
        versions=_versions(chosen.job.run / "environment.json") if chosen else {},
        phantom=phantom_parameters(data) or {},
    )


def _size(truth: EvaluationData, split: str) -> Split:
    images = [image.image_id for image in truth.images.get(split, ())]
    normal = truth.labels.select(images).normal if images else np.zeros(0)
    return Split(split, len(images), int((normal == 1).sum()), int((normal == 0).sum()))


def _recipe(run: FinishedRun) -> dict[str, Any]:
    """The recipe that the run folder names; the job's own when the folder names none."""
    found = _read(run.job.run / "config.json").get("config")
    return found if isinstance(found, dict) else run.job.config.as_dict()


def _versions(path: Path) -> dict[str, str]:
    found = _read(path)
    return {name: str(found[name]) for name in ("offclip", "python", "torch", "device") if name in found}


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty when there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

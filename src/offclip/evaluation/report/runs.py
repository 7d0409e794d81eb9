"""What the evaluated runs of an ablation left on disk, read once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from offclip.evaluation.ablation import Job, Variant
from offclip.training.state import RunFolder

Key = tuple[str, bool]


@dataclass(frozen=True)
class FinishedRun:
    """One job that was trained and evaluated.

    Attributes:
        job: What was run.
        results: results.json.
        history: One entry an epoch, from metrics.jsonl.
    """

    job: Job
    results: dict[str, Any]
    history: list[dict[str, Any]]

    @cached_property
    def scores(self) -> pl.DataFrame:
        """scores.csv: `image_id`, then one column a prompt; empty when the file is gone."""
        path = self.job.evaluation / "scores.csv"
        return (
            pl.read_csv(path, schema_overrides={"image_id": pl.String}) if path.is_file() else pl.DataFrame()
        )

    @property
    def split(self) -> str:
        """The split that was reported."""
        return self.results.get("run", {}).get("split") or "test"

    @property
    def normal_auc_by_prompt(self) -> dict[str, float]:
        """One AUC a normal prompt."""
        return self.results.get("details", {}).get("normal_auc_by_prompt", {})

    @property
    def worst_prompt(self) -> str | None:
        """The normal prompt with the lowest AUC."""
        by_prompt = self.normal_auc_by_prompt
        return min(by_prompt, key=by_prompt.__getitem__) if by_prompt else None

    def logits(self, prompts: Sequence[str], image_ids: Sequence[str]) -> np.ndarray | None:
        """(N, T) logits of the given images in that order; None where a prompt or an image is missing."""
        if not set(prompts) <= set(self.scores.columns) or not len(image_ids):
            return None
        wanted = pl.DataFrame({"image_id": list(image_ids)})
        joined = wanted.join(self.scores, on="image_id", how="left", maintain_order="left")
        values = joined.select(pl.col(list(prompts)).cast(pl.Float64)).to_numpy()
        return values if np.isfinite(values).all() else None


def key_of(variant: Variant) -> Key:
    """How the results table names a variant.

    Example:
        >>> key_of(Variant("OFF-CLIP", "offclip", True))
        ('offclip', True)
    """
    return variant.objective, variant.filter_sentences


def read_runs(jobs: Sequence[Job]) -> list[FinishedRun]:
    """The jobs that have been evaluated, in their order; the others are left out."""
    runs = []
    for job in jobs:
        file = job.evaluation / "results.json"
        if file.is_file():
            results = json.loads(file.read_text(encoding="utf-8"))
            runs.append(FinishedRun(job, results, RunFolder(job.run).read_metrics()))
    return runs


def by_variant(runs: Sequence[FinishedRun]) -> dict[Variant, list[FinishedRun]]:
    """The runs of each variant, variants in the order of their first run."""
    grouped: dict[Variant, list[FinishedRun]] = {}
    for run in runs:
        grouped.setdefault(run.job.variant, []).append(run)
    return grouped


def same_seed(runs: Sequence[FinishedRun], first: Key, second: Key) -> tuple[FinishedRun, FinishedRun] | None:
    """A run of each of two variants with the same, lowest possible seed; None when there is no such pair."""
    found = {
        key: {r.job.config.seed: r for r in runs if key_of(r.job.variant) == key} for key in (first, second)
    }
    shared = sorted(found[first].keys() & found[second].keys())
    return (found[first][shared[0]], found[second][shared[0]]) if shared else None

"""compare.json: runs and their paired differences as plain objects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from offclip.evaluation.findings import Comparison, MeanComparison
from offclip.evaluation.results.reading import at
from offclip.evaluation.results.summary import summary_estimates
from offclip.evaluation.statistics.estimate import Estimate
from offclip.version import __version__

FORMAT = "offclip comparison 1"


def comparison_document(
    runs: Sequence[tuple[str, Path, Mapping[str, Any]]],
    baseline: str,
    pairs: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
) -> dict[str, Any]:
    """The content of `compare.json`.

    Args:
        runs: (name, folder, results) of each run.
        baseline: Name of the run that the others are compared with.
        pairs: What `pair_document` gave for each other run.
        notes: What differs between the runs and was let pass.
    """
    return {
        "format": FORMAT,
        "offclip": __version__,
        "baseline": baseline,
        "runs": [
            {
                "name": name,
                "folder": str(folder),
                "protocol": at(results, "protocol", "name"),
                "protocol_hash": at(results, "protocol", "hash"),
                "data_fingerprint": at(results, "run", "data_fingerprint"),
                "unit": at(results, "run", "unit"),
                "cases": at(results, "run", "cases"),
                "measures": {
                    measure: {side: value.get(side) for side in ("value", "low", "high")}
                    for measure, value in summary_estimates(results).items()
                },
            }
            for name, folder, results in runs
        ],
        "comparisons": list(pairs),
        "notes": list(notes),
    }


def pair_document(
    run: str, baseline: str, comparison: Comparison, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """One comparison; differences are run - baseline, numbers that cannot be had are null."""
    resampling = comparison.resampling
    return {
        "a": run,
        "b": baseline,
        "cases": comparison.cases,
        "patients": comparison.patients,
        "resamples": resampling.resamples,
        "seed": resampling.seed,
        "level": resampling.level,
        "normal_auc": _mean(comparison.normal_auc),
        "normal_scores": list(comparison.normal_scores) if comparison.normal_scores else None,
        "macro_auc": _mean(comparison.macro_auc),
        "per_class": {
            name: {
                "first": _estimate(found.first),
                "second": _estimate(found.second),
                "difference": _estimate(found.difference),
                "z": _finite(found.z),
                "p": _finite(found.p),
                "p_holm": _finite(found.p_holm),
                "positives": found.positives,
                "negatives": found.negatives,
            }
            for name, found in comparison.per_class.items()
        },
        "left_out": dict(comparison.left_out),
        "notes": list(notes),
    }


def _mean(found: MeanComparison | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "first": _estimate(found.first),
        "second": _estimate(found.second),
        "difference": _estimate(found.difference),
        "p": _finite(found.p),
        "p_delong": _finite(found.p_delong),
    }


def _estimate(found: Estimate) -> dict[str, float | None]:
    return {"value": _finite(found.value), "low": _finite(found.low), "high": _finite(found.high)}


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)

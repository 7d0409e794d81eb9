"""compare.json: runs and their paired differences as plain objects."""

from __future__ import annotations

import math
from typing import Any

from offclip.evaluation.findings import MeanComparison
from offclip.evaluation.results.compared import ComparedRuns, Pair
from offclip.evaluation.results.reading import at
from offclip.evaluation.results.summary import summary_estimates
from offclip.evaluation.statistics.estimate import Estimate
from offclip.version import __version__

FORMAT = "offclip comparison 1"


def comparison_document(compared: ComparedRuns) -> dict[str, Any]:
    """The content of `compare.json`."""
    return {
        "format": FORMAT,
        "offclip": __version__,
        "baseline": compared.baseline,
        "runs": [
            {
                "name": run.name,
                "folder": str(run.folder),
                "protocol": at(run.results, "protocol", "name"),
                "protocol_hash": at(run.results, "protocol", "hash"),
                "data_fingerprint": at(run.results, "run", "data_fingerprint"),
                "unit": at(run.results, "run", "unit"),
                "cases": at(run.results, "run", "cases"),
                "measures": {
                    measure: {side: value.get(side) for side in ("value", "low", "high")}
                    for measure, value in summary_estimates(run.results).items()
                },
            }
            for run in compared.runs
        ],
        "comparisons": pair_documents(compared),
        "notes": list(compared.notes),
    }


def pair_documents(compared: ComparedRuns) -> list[dict[str, Any]]:
    """One object a comparison; differences are run - baseline, numbers that cannot be had are null."""
    return [_pair(pair) for pair in compared.pairs]


def _pair(pair: Pair) -> dict[str, Any]:
    comparison = pair.comparison
    resampling = comparison.resampling
    return {
        "a": pair.run,
        "b": pair.baseline,
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
        "notes": list(pair.notes),
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

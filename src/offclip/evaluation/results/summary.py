"""The summary of an evaluation: one row a measure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from offclip.evaluation.results.reading import at, block, estimate, is_estimate, number, text, whole
from offclip.evaluation.results.table import ResultTable, estimates
from offclip.evaluation.results_format import MEANS

# For people; also in comparisons.
MEASURES: Mapping[str, str] = {
    "macro_auc": "AUC, macro",
    "micro_auc": "AUC, micro",
    "weighted_auc": "AUC, weighted by positives",
    "macro_auprc": "AUPRC, macro",
    "micro_auprc": "AUPRC, micro",
    "normal_auc": "Normal AUC",
    "normal_auc_worst_prompt": "Normal AUC, worst prompt",
    "false_findings_per_normal": "False findings per normal case",
    "normals_with_any_finding": "Normal cases with any false finding",
    "normal_ece": "ECE of the calibrated normal score",
    "neg_max_finding_auc": "Normal AUC, minus the largest finding",
    "abnormal_auc_among_abnormals": "AUC, macro, among abnormal cases",
    "fpr_at_95_sensitivity": "Normal cases flagged at 95 % sensitivity",
    "pointing_accuracy": "Pointing game",
    "pointing_chance": "Pointing game, chance",
}
# Measures of a model run that the schema holds with an interval, under another name.
_SAME = {"worst_prompt_normal_auc": "normal_auc_worst_prompt", "abnormal_auc": "macro_auc"}


def summary_estimates(results: Mapping[str, Any]) -> dict[str, Any]:
    """The measures of the summary that are there, with the objects that hold value, low and high.

    Measures of a model run that have no interval come as a bare value.
    """
    found: dict[str, Any] = {name: at(results, name) for name in MEANS}
    found |= {
        "normal_auc": at(results, "normal", "auc"),
        "normal_auc_worst_prompt": at(results, "normal", "worst_prompt", "auc"),
        "false_findings_per_normal": at(results, "normal", "false_findings", "per_normal"),
        "normals_with_any_finding": at(results, "normal", "false_findings", "normals_with_any"),
        "normal_ece": at(results, "normal", "calibration", "ece"),
    }
    for name, value in block(results, "metrics").items():
        if estimate(found.get(_SAME.get(name, name))) is None:
            found[name] = value
    shaped = {
        name: value if is_estimate(value) else {"value": number(value), "low": None, "high": None}
        for name, value in found.items()
    }
    return {name: value for name, value in shaped.items() if estimate(value)}


def summary_table(results: Mapping[str, Any]) -> ResultTable | None:
    """Means over classes and the headline; None where there is nothing."""
    found = summary_estimates(results)
    if not found:
        return None
    about = {
        "normal_auc": text(at(results, "normal", "score")),
        "normal_auc_worst_prompt": text(at(results, "normal", "worst_prompt", "prompt")),
        "false_findings_per_normal": text(at(results, "normal", "false_findings", "from")),
        "normal_ece": text(at(results, "normal", "calibration", "from")),
    }
    frame = pl.DataFrame(
        {
            "measure": list(found),
            "title": [MEASURES.get(name, name.replace("_", " ")) for name in found],
            **estimates("value", list(found.values())),
            "classes": pl.Series([whole(value.get("classes")) for value in found.values()], dtype=pl.Int64),
            "about": pl.Series([about.get(name) for name in found], dtype=pl.String),
        }
    )
    left_out = block(results, "left_out")
    notes = [f"In no mean: {name} ({reason})." for name, reason in left_out.items()]
    printed = ("title", "value", "classes", "about")
    return ResultTable("summary", "Summary.", frame, printed, {"title": "measure"}, tuple(notes))

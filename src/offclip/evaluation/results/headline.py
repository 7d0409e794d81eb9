"""The tables of the normal block: scores, rule-out, subgroups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from offclip.evaluation.results.columns import estimate_columns, number_column, text_column, whole_column
from offclip.evaluation.results.reading import at, block
from offclip.evaluation.results.table import ResultTable


def normal_scores_table(results: Mapping[str, Any]) -> ResultTable | None:
    """One row a normal score; None where no case is known to be normal."""
    scores = block(results, "normal", "scores")
    if not scores:
        return None
    rows = [block(scores, name) for name in scores]
    reported = at(results, "normal", "score")
    frame = pl.DataFrame(
        {
            "score": list(scores),
            "reported": [name == reported for name in scores],
            **estimate_columns(rows, "auc", "auc_delong"),
        }
    )
    return ResultTable("normal_scores", "Normal against abnormal cases, by score.", frame)


def rule_out_table(results: Mapping[str, Any]) -> ResultTable | None:
    """One row a target sensitivity; None where there is none."""
    rows = _objects(at(results, "normal", "rule_out"))
    if not rows:
        return None
    frame = pl.DataFrame(
        {
            "sensitivity": number_column(rows, "sensitivity"),
            "claim": text_column(rows, "claim"),
            "reason": text_column(rows, "reason"),
            "normals": whole_column(rows, "normals"),
            "abnormals": whole_column(rows, "abnormals"),
            "abnormals_needed": whole_column(rows, "abnormals_needed"),
            "threshold": number_column(rows, "threshold"),
            "from": text_column(rows, "from"),
            **estimate_columns(rows, "reached", "reached_by_patient", "cleared", "cleared_by_patient"),
            "missed": whole_column(rows, "missed"),
            "cleared_in_sample": number_column(rows, "cleared_in_sample"),
            "prevalence": number_column(rows, "prevalence"),
            "prevalence_from": text_column(rows, "prevalence_origin"),
            **estimate_columns(rows, "npv", "ppv"),
        }
    )
    printed = ["sensitivity", "claim", "abnormals", "abnormals_needed", "reached", "cleared", "missed"]
    printed += [name for name in ("npv", "ppv") if frame[name].count()]
    notes = tuple(
        f"At {row['sensitivity']:g} {row.get('claim')}: {row['reason']}" for row in rows if row.get("reason")
    )
    return ResultTable(
        "rule_out",
        "Normal cases cleared at fixed sensitivity for abnormal ones.",
        frame,
        tuple(printed),
        {"sensitivity": "target sensitivity", "reached": "sensitivity reached", "cleared": "normals cleared"},
        notes,
    )


def subgroup_table(results: Mapping[str, Any]) -> ResultTable | None:
    """Normal AUC per subgroup; None where the cases have no attributes."""
    rows = _objects(at(results, "normal", "subgroups"))
    if not rows:
        return None
    frame = pl.DataFrame(
        {
            "attribute": text_column(rows, "attribute"),
            "subgroup": text_column(rows, "value"),
            "cases": whole_column(rows, "cases"),
            "normals": whole_column(rows, "normals"),
            "abnormals": whole_column(rows, "abnormals"),
            **estimate_columns(rows, "auc"),
            "reason": text_column(rows, "reason"),
        }
    )
    printed = tuple(name for name in frame.columns if name not in ("auc_low", "auc_high"))
    if not frame["reason"].count():
        printed = printed[:-1]
    return ResultTable("subgroups", "Normal AUC per subgroup.", frame, printed)


def _objects(found: Any) -> list[Mapping[str, Any]]:
    return (
        [row for row in found if isinstance(row, Mapping)]
        if isinstance(found, Sequence) and not isinstance(found, str)
        else []
    )

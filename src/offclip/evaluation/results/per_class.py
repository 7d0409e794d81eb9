"""Results per class, and per group of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from offclip.evaluation.results.columns import estimate_columns, number_column, text_column, whole_column
from offclip.evaluation.results.reading import at, block, text
from offclip.evaluation.results.table import ResultTable

_COUNTS = ("positives", "negatives", "unknown")
_CELLS = ("tp", "fp", "tn", "fn")


def per_class_table(results: Mapping[str, Any]) -> ResultTable | None:
    """One row a class; classes that were left out come last, with the reason. None where there is none."""
    measured, left_out = block(results, "per_class"), block(results, "left_out")
    names = [*measured, *(name for name in left_out if name not in measured)]
    if not names:
        return None
    rows = [block(measured, name) for name in names]
    points = [block(row, "operating_point") for row in rows]
    fits = [block(row, "calibration") for row in rows]
    frame = pl.DataFrame(
        {
            "finding": names,
            **{name: whole_column(rows, name) for name in _COUNTS},
            **estimate_columns(rows, "auc", "auc_delong", "auprc"),
            "threshold": number_column(points, "threshold"),
            "threshold_from": text_column(points, "from"),
            **estimate_columns(points, "sensitivity", "specificity"),
            "accuracy": number_column(points, "accuracy"),
            **{name: whole_column(points, name) for name in _CELLS},
            "calibration": text_column(fits, "method"),
            "calibration_from": text_column(fits, "from"),
            **estimate_columns(fits, "ece", "ece_before", "brier"),
            "no_threshold": text_column(rows, "no_operating_point"),
            "no_calibration": text_column(rows, "no_calibration"),
            "left_out": pl.Series([text(left_out.get(name)) for name in names], dtype=pl.String),
        }
    )
    printed = ["finding", "positives", "negatives", "auc", "auprc"]
    notes = []
    if any(points):
        printed += ["threshold", "sensitivity", "specificity"]
        sources = {source for source in frame["threshold_from"] if source}
        if len(sources) == 1:
            notes.append(f"Thresholds from {sources.pop()}.")
        else:
            printed.append("threshold_from")
    if any(fits):
        printed.append("ece")
    if left_out:
        printed.append("left_out")
    return ResultTable("per_class", "Results per class.", frame, tuple(printed), notes=tuple(notes))


def group_table(results: Mapping[str, Any]) -> ResultTable | None:
    """Mean AUC over head, medium and tail classes; None where the protocol has no groups."""
    groups = block(results, "groups")
    if not groups:
        return None
    classes = [list(at(groups, name, "classes") or ()) for name in groups]
    frame = pl.DataFrame(
        {
            "group": list(groups),
            "classes": pl.Series([len(names) for names in classes], dtype=pl.Int64),
            **estimate_columns([block(groups, name) for name in groups], "auc", "auprc"),
            "names": pl.Series(["; ".join(map(str, names)) for names in classes], dtype=pl.String),
        }
    )
    printed = ("group", "classes", "auc", *(["auprc"] if frame["auprc"].count() else []))
    return ResultTable("groups", "Mean AUC per group of classes.", frame, printed)

"""The table of misses."""

from __future__ import annotations

import numpy as np
import polars as pl

from offclip.evaluation.cases import Cases
from offclip.evaluation.normal.misses import misses_table


def _cases():
    return Cases.of(
        ["a", "b", "c", "d"],
        ["mass", "edema"],
        np.zeros((4, 2)),
        [[1, 1], [0, 0], [np.nan, 0], [1, 0]],
        normal=[0, 1, 0, 0],
        study_ids=["s1", "s2", "s3", "s3"],
        patient_ids=["p", "p", "q", "q"],
    )


def test_abnormal_cases_that_are_cleared_stand_by_confidence():
    cleared = {0.95: np.array([True, True, True, False]), 0.99: np.array([False, True, True, False])}
    table = misses_table(_cases(), np.array([0.5, 0.9, 0.8, 0.1]), cleared, {"c": "films/c.png"})
    assert table.columns == [
        "rank", "id", "study_id", "patient_id", "normal_score", "findings", "path",
        "cleared at 95 %", "cleared at 99 %", "grade", "comment",
    ]  # fmt: skip
    assert table.rows() == [
        (1, "c", "s3", "q", 0.8, "not one of the classes", "films/c.png", True, True, "", ""),
        (2, "a", "s1", "p", 0.5, "mass; edema", "", True, False, "", ""),
    ]


def test_no_miss_leaves_an_empty_table_with_its_columns():
    table = misses_table(_cases(), np.zeros(4), {0.999: np.array([False, True, False, False])})
    assert len(table) == 0
    assert table.schema["findings"] == pl.String
    assert "cleared at 99.9 %" in table.columns

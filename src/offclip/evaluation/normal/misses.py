"""The abnormal cases that a rule would clear, as a table that a radiologist grades."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from offclip.evaluation.cases import Cases
from offclip.evaluation.normal.claims import percent


def misses_table(
    cases: Cases,
    score: np.ndarray,
    cleared: Mapping[float, np.ndarray],
    paths: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """One row for each abnormal case that at least one operating point clears.

    Args:
        cases: Reported cases.
        score: (N,) the reported normal score.
        cleared: From sensitivity to (N,) bool, the cases that this operating point clears.
        paths: From image id to file; a study has the files of its images where its id stands here.

    Returns:
        Columns `rank`, `id`, `study_id`, `patient_id`, `normal_score`, `findings` (those present, separated
        by "; "), `path`, one Boolean column `cleared at 95 %` an operating point, then `grade` and `comment`,
        empty, for the reader. The case that looks most normal stands first.

    Example:
        >>> cases = Cases.of(["a", "b"], ["mass"], [[0.2], [0.1]], [[1], [0]])
        >>> misses_table(cases, np.array([0.7, 0.9]), {0.95: np.array([True, True])}).row(0)
        (1, 'a', 'a', 'a', 0.7, 'mass', '', True, '', '')
    """
    any_cleared = np.zeros(len(cases), bool)
    for mask in cleared.values():
        any_cleared |= mask
    rows = np.flatnonzero(any_cleared & (cases.normal == 0))
    rows = rows[np.argsort(-score[rows], kind="stable")]
    known_paths = paths or {}
    columns = {
        "rank": np.arange(1, len(rows) + 1),
        "id": [cases.ids[row] for row in rows],
        "study_id": [cases.study_ids[row] for row in rows],
        "patient_id": [cases.patient_ids[row] for row in rows],
        "normal_score": score[rows],
        "findings": [_present(cases, row) for row in rows],
        "path": [known_paths.get(cases.ids[row], "") for row in rows],
    }
    columns |= {f"cleared at {percent(level)}": mask[rows] for level, mask in cleared.items()}
    columns |= {"grade": [""] * len(rows), "comment": [""] * len(rows)}
    texts = ("id", "study_id", "patient_id", "findings", "path", "grade", "comment")
    return pl.DataFrame(columns, schema_overrides=dict.fromkeys(texts, pl.String))


def _present(cases: Cases, row: int) -> str:
    present = [name for name, value in zip(cases.findings, cases.truth[row], strict=True) if value == 1]
    return "; ".join(present) or "not one of the classes"

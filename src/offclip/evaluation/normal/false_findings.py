"""False findings: what the finding classifiers claim to see on normal films."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offclip.evaluation.cases import Cases
from offclip.evaluation.statistics.bootstrap import Bootstrap
from offclip.evaluation.statistics.estimate import Estimate


@dataclass(frozen=True, slots=True)
class FalseFindings:
    """False findings of the normal cases, at the operating points of the findings.

    Attributes:
        per_normal: Mean number a normal case.
        normals_with_any: Share of the normal cases with at least one.
        by_finding: From finding to the share of normal cases that carry it falsely.
        normals: Number of normal cases with at least one finding that is decided and known to be absent.
        origin: Where the thresholds of the findings were fitted.
    """

    per_normal: Estimate
    normals_with_any: Estimate
    by_finding: dict[str, float]
    normals: int
    origin: str


def false_findings(
    cases: Cases, decisions: np.ndarray, bootstrap: Bootstrap, origin: str
) -> FalseFindings | None:
    """Counts the findings that are decided present in normal cases.

    Only findings that are known to be absent count, and only in cases that are known to be normal.

    Args:
        cases: N cases.
        decisions: (N, C) 1 present, 0 absent, NaN not decided.
        bootstrap: Of the patients of the cases.
        origin: Where the thresholds were fitted.

    Returns:
        None when there is no such finding in any normal case.

    Example:
        >>> cases = Cases.of(["a", "b"], ["mass", "edema"], [[0.0, 0.0]] * 2, [[0, 0]] * 2)
        >>> patients = Bootstrap.of(cases.patient_ids)
        >>> found = false_findings(cases, np.array([[1, 1], [0, 0]]), patients, "validation")
        >>> found.per_normal.value, found.normals_with_any.value
        (1.0, 0.5)
    """
    counted = (cases.normal == 1)[:, None] & (cases.truth == 0) & ~np.isnan(decisions)
    usable = counted.any(axis=1)
    if not usable.any():
        return None
    false = counted & (decisions == 1)
    number = np.where(usable, false.sum(axis=1), np.nan)
    any_false = np.where(usable, false.any(axis=1), np.nan)
    shares = {
        name: float(false[:, i].sum() / counted[:, i].sum())
        for i, name in enumerate(cases.findings)
        if counted[:, i].any()
    }
    return FalseFindings(
        bootstrap.mean(number).estimate,
        bootstrap.mean(any_false).estimate,
        shares,
        int(usable.sum()),
        origin,
    )

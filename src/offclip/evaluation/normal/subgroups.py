"""Does it hold for everybody: normal detection in the subgroups of view, sex, age and source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offclip.evaluation.cases import Cases
from offclip.evaluation.normal.groups import Group, groups_of
from offclip.evaluation.normal.rules import Rule
from offclip.evaluation.statistics.bootstrap import Bootstrap
from offclip.evaluation.statistics.estimate import Estimate, clopper_pearson

MIN_CASES = 10  # of each class; an AUC of fewer says nothing


@dataclass(frozen=True, slots=True)
class GroupRule:
    """What the overall operating point does in a group.

    Attributes:
        sensitivity: What its threshold was fitted to keep among all cases.
        reached: Share of the group's abnormal cases that is kept; None without one.
        cleared: Share of its normal cases that is cleared; None without one.
        missed: Number of its abnormal cases that are cleared.
    """

    sensitivity: float
    reached: Estimate | None
    cleared: Estimate | None
    missed: int


@dataclass(frozen=True, slots=True)
class Subgroup:
    """One group.

    Attributes:
        attribute: Such as "view".
        value: Such as "PA", or "unknown".
        cases, normals, abnormals: Number of cases.
        auc: Of the reported normal score, by the bootstrap over patients; None for the reason given.
        reason: Why there is no AUC; empty where there is one.
        rule_out: At each operating point, whose thresholds are those of all cases.
    """

    attribute: str
    value: str
    cases: int
    normals: int
    abnormals: int
    auc: Estimate | None
    reason: str
    rule_out: tuple[GroupRule, ...]


def subgroups(
    cases: Cases, score: np.ndarray, rules: Sequence[Rule], bootstrap: Bootstrap
) -> tuple[Subgroup, ...]:
    """Measures every group of the cases' attributes.

    Args:
        cases: N cases, each known to be normal or abnormal.
        score: (N,) the reported normal score.
        rules: With `cleared` of these cases.
        bootstrap: Of their patients.
    """
    groups = list(groups_of(cases))
    reasons = [_too_few(cases.normal[group.rows]) for group in groups]
    measured = [group for group, reason in zip(groups, reasons, strict=True) if not reason]
    truth = np.full((len(cases), len(measured)), np.nan)
    for column, group in enumerate(measured):
        truth[group.rows, column] = cases.normal[group.rows]
    areas = bootstrap.areas(np.repeat(score[:, None], len(measured), axis=1), truth) if measured else []
    aucs = iter(area.auc.estimate for area in areas)
    return tuple(
        _subgroup(cases, group, None if reason else next(aucs), reason, rules)
        for group, reason in zip(groups, reasons, strict=True)
    )


def _subgroup(
    cases: Cases, group: Group, auc: Estimate | None, reason: str, rules: Sequence[Rule]
) -> Subgroup:
    normal = cases.normal[group.rows] == 1
    normals, abnormals = int(normal.sum()), int((~normal).sum())
    at = []
    for rule in rules:
        cleared = rule.cleared[group.rows]
        missed = int((cleared & ~normal).sum())
        at.append(
            GroupRule(
                rule.sensitivity,
                clopper_pearson(abnormals - missed, abnormals) if abnormals else None,
                clopper_pearson(int((cleared & normal).sum()), normals) if normals else None,
                missed,
            )
        )
    return Subgroup(group.attribute, group.value, len(group.rows), normals, abnormals, auc, reason, tuple(at))


def _too_few(normal: np.ndarray) -> str:
    normals, abnormals = int((normal == 1).sum()), int((normal == 0).sum())
    if min(normals, abnormals) >= MIN_CASES:
        return ""
    return f"{normals} normal and {abnormals} abnormal cases; an AUC needs {MIN_CASES} of each"

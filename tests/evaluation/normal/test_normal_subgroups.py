"""Subgroups: AUC where there are enough cases, and the overall rule in each group."""

from __future__ import annotations

import numpy as np
import pytest

from offclip.evaluation.cases import Cases
from offclip.evaluation.findings.resamples import bootstrap_of
from offclip.evaluation.normal.rules import Rule
from offclip.evaluation.normal.subgroups import subgroups
from offclip.evaluation.statistics.bootstrap import Resampling
from offclip.evaluation.statistics.estimate import clopper_pearson
from offclip.evaluation.statistics.ranks import auc


def _groups():
    rng = np.random.default_rng(0)
    n = 140
    normal = np.tile([1.0, 0.0], n // 2)
    view = ["PA"] * 100 + ["AP"] * 20 + [None] * 19 + ["lateral"]
    score = normal + rng.normal(size=n)
    cases = Cases.of(
        [f"i{i}" for i in range(n)],
        ["mass"],
        np.zeros((n, 1)),
        (1 - normal)[:, None],
        attributes={"view": view, "sex": [None] * n},
    )
    cleared = score > 1.2
    rule = Rule(0.95, 1.2, (1.2,), "validation", cleared, cleared)
    return (
        cases,
        score,
        cleared,
        subgroups(cases, score, [rule], bootstrap_of(cases, Resampling(resamples=50))),
    )


def test_every_case_is_in_one_group_of_a_known_attribute():
    cases, _, _, groups = _groups()
    assert [(g.attribute, g.value, g.cases) for g in groups] == [
        ("view", "PA", 100),
        ("view", "AP", 20),
        ("view", "lateral", 1),
        ("view", "unknown", 19),
    ]
    assert sum(g.normals + g.abnormals for g in groups) == len(cases)


def test_auc_and_rule_are_those_of_the_group_alone():
    cases, score, cleared, groups = _groups()
    ap = slice(100, 120)
    group = groups[1]
    assert group.reason == ""
    assert group.auc is not None
    assert group.auc.value == pytest.approx(auc(score[ap], cases.normal[ap] == 1))
    assert group.auc.low <= group.auc.value <= group.auc.high
    missed = int((cleared[ap] & (cases.normal[ap] == 0)).sum())
    assert group.rule_out[0].missed == missed
    assert group.rule_out[0].reached == clopper_pearson(10 - missed, 10)
    assert group.rule_out[0].cleared == clopper_pearson(
        int((cleared[ap] & (cases.normal[ap] == 1)).sum()), 10
    )


def test_few_cases_have_a_reason_in_place_of_an_auc():
    _, _, _, groups = _groups()
    lateral, unknown = groups[2:]
    assert lateral.auc is None
    assert lateral.reason == "0 normal and 1 abnormal cases; an AUC needs 10 of each"
    assert lateral.rule_out[0].cleared is None
    assert lateral.rule_out[0].reached is not None
    assert unknown.reason == "10 normal and 9 abnormal cases; an AUC needs 10 of each"

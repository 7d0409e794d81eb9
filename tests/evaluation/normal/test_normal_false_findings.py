"""False findings by hand: only known-absent findings of known-normal cases count."""

from __future__ import annotations

import numpy as np
import pytest

from offclip.evaluation.cases import Cases
from offclip.evaluation.normal.false_findings import false_findings
from offclip.evaluation.statistics.bootstrap import Bootstrap, Resampling

NAN = np.nan


def _found(truth, normal, decisions, patients=None):
    truth = np.asarray(truth, float)
    n, c = truth.shape
    cases = Cases.of(
        [f"i{i}" for i in range(n)],
        ["mass", "edema", "nodule"][:c],
        np.zeros((n, c)),
        truth,
        normal=normal,
        patient_ids=patients,
    )
    bootstrap = Bootstrap.of(cases.patient_ids, resampling=Resampling(resamples=200))
    return false_findings(cases, np.asarray(decisions, float), bootstrap, "validation")


def test_by_hand():
    found = _found(
        [[0, 0, 0], [0, NAN, 0], [1, 0, 0], [0, 0, 0]],
        [1, 1, 0, NAN],
        [[1, 1, 0], [0, 1, 1], [1, 1, 1], [1, 1, 1]],
    )
    assert found is not None
    # The first normal has two; of the second only the nodule counts; the others are not known to be normal.
    assert found.per_normal.value == 1.5
    assert found.normals_with_any.value == 1.0
    assert found.by_finding == {"mass": 0.5, "edema": 1.0, "nodule": 0.5}
    assert found.normals == 2


def test_findings_without_a_threshold_do_not_count():
    found = _found([[0, 0], [0, 0]], [1, 1], [[1, NAN], [0, NAN]])
    assert found is not None
    assert found.per_normal.value == 0.5
    assert list(found.by_finding) == ["mass"]


def test_no_false_finding_is_zero_and_not_missing():
    found = _found([[0, 0]], [1], [[0, 0]])
    assert found is not None
    assert found.per_normal.value == found.per_normal.high == 0.0


@pytest.mark.parametrize(
    ("truth", "normal", "decisions"),
    [([[0]], [0], [[1]]), ([[NAN]], [1], [[1]]), ([[0]], [1], [[NAN]])],
)
def test_without_a_decided_and_absent_finding_in_a_normal_case_there_is_nothing(truth, normal, decisions):
    assert _found(truth, normal, decisions) is None


def test_the_films_of_one_patient_widen_the_interval():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(30), 10)
    decisions = (rng.random(30) < 0.5)[patients][:, None]
    truth, normal = np.zeros((300, 1)), np.ones(300)
    apart = _found(truth, normal, decisions)
    together = _found(truth, normal, decisions, [f"p{i}" for i in patients])
    assert apart is not None
    assert together is not None
    width = apart.per_normal.high - apart.per_normal.low
    assert together.per_normal.high - together.per_normal.low > 2 * width

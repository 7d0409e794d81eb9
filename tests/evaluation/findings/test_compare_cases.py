"""Two models on the same cases: joined by id, tested in pairs."""

import numpy as np
import pytest

from offclip.errors import DataError
from offclip.evaluation.cases import Cases
from offclip.evaluation.findings import compare_cases
from offclip.evaluation.findings.compare import bootstrap_p
from offclip.evaluation.statistics import Draws, Resampling, delong_test, holm

FEW = Resampling(200)
N = 160


def make(shift=1.5, *, seed=0, ids=None, findings=("edema", "mass", "cyst"), normal_scores=True):
    rng = np.random.default_rng(7)
    truth = (rng.random((N, 3)) < [0.4, 0.2, 0.1]).astype(float)
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(N, 3)) + shift * truth
    columns = [("edema", "mass", "cyst").index(name) for name in findings]
    normal = (truth == 0).all(axis=1).astype(float)
    prompt = {"There is no finding.": shift * normal + rng.normal(size=N)} if normal_scores else {}
    return Cases.of(
        ids or [f"i{i}" for i in range(N)], findings, scores[:, columns], truth[:, columns],
        patient_ids=[f"p{i // 2}" for i in range(N)], normal=normal, normal_scores=prompt,
    )  # fmt: skip


def test_the_better_model_is_found_and_the_tests_are_delongs_with_holm():
    a, b = make(2.0), make(0.5, seed=1)
    found = compare_cases(a, b, names=("new", "old"), resampling=FEW)
    assert (found.names, found.cases, found.patients) == (("new", "old"), N, N // 2)
    p_values = []
    for i, name in enumerate(a.findings):
        test = delong_test(a.scores[:, i], b.scores[:, i], a.truth[:, i] == 1, clusters=a.patient_ids)
        got = found.per_class[name]
        assert got.p == pytest.approx(test.p)
        assert got.difference == test.difference
        assert (got.first.value, got.second.value) == pytest.approx((test.first, test.second), abs=1e-12)
        assert got.positives == a.truth[:, i].sum()
        p_values.append(test.p)
    assert [c.p_holm for c in found.per_class.values()] == pytest.approx(holm(p_values).tolist())
    macro = found.macro_auc
    assert macro.difference.value == pytest.approx(macro.first.value - macro.second.value)
    assert macro.difference.low > 0
    assert macro.p == pytest.approx(2 / 201)  # no resample on the other side
    assert macro.p_delong is None
    assert found.normal_auc.difference.low > 0
    assert found.normal_auc.p_delong < 0.01
    assert found.normal_scores == ("There is no finding.", "There is no finding.")


def test_rows_are_joined_by_id():
    a, b = make(2.0), make(0.5, seed=1)
    straight = compare_cases(a, b, resampling=FEW)
    shuffled = compare_cases(a, b.select(np.random.default_rng(0).permutation(N)), resampling=FEW)
    assert straight == shuffled


def test_pairing_narrows_the_interval_of_the_difference():
    a = make(1.0)
    noise = np.random.default_rng(3).normal(size=a.scores.shape)
    b = Cases.of(
        a.ids, a.findings, a.scores + 0.1 * noise, a.truth, patient_ids=a.patient_ids, normal=a.normal
    )
    found = compare_cases(a, b, resampling=FEW).macro_auc
    width = found.difference.high - found.difference.low
    assert width < 0.3 * (found.first.high - found.first.low)


def test_a_model_against_itself_is_no_difference():
    found = compare_cases(make(), make(), resampling=FEW)
    assert all(c.p == c.p_holm == 1.0 and c.difference.value == 0.0 for c in found.per_class.values())
    assert (found.macro_auc.difference.low, found.macro_auc.difference.high) == (0.0, 0.0)
    assert found.macro_auc.p == found.normal_auc.p == 1.0


def test_findings_that_only_one_scored_are_named():
    found = compare_cases(
        make(), make(seed=1, findings=("cyst", "edema")), names=("a", "b"), resampling=FEW, counts=["edema"]
    )
    assert list(found.per_class) == ["edema", "cyst"]
    assert found.left_out == {"mass": "not scored by b"}
    assert found.macro_auc.first.value == found.per_class["edema"].first.value


def test_without_a_prompt_the_reported_normal_score_is_made_of_the_findings():
    found = compare_cases(make(), make(seed=1, normal_scores=False), resampling=FEW)
    assert found.normal_scores == ("There is no finding.", "-mean(findings)")


def test_other_ids_are_refused_and_both_lists_are_printed():
    other = [f"i{i}" for i in range(N - 12)] + [f"x{i}" for i in range(12)]
    with pytest.raises(DataError) as caught:
        compare_cases(make(), make(ids=other), names=("a", "b"))
    assert "only in a: i148, i149, i150" in caught.value.message
    assert "... (12 in all); only in b: x0, x1" in caught.value.message
    assert "x9" in caught.value.message
    assert "x10" not in caught.value.message
    half = make().select(range(3, N))
    with pytest.raises(DataError, match=r"only in first: i0, i1, i2 \(3\); only in second: none"):
        compare_cases(make(), half)
    with pytest.raises(DataError, match="second holds an id more than once"):
        compare_cases(make(), make(ids=["i0", *[f"i{i}" for i in range(N - 1)]]))


def test_another_truth_is_refused_with_the_cells():
    a, b = make(), make()
    b.truth[4, 1] = 1 - a.truth[4, 1]
    a.truth[9, 2] = np.nan
    with pytest.raises(DataError) as caught:
        compare_cases(a, b)
    said = f"first: i4 mass = {a.truth[4, 1]:g}, i9 cyst = unknown (2); second: i4 mass = {b.truth[4, 1]:g}"
    assert said in caught.value.message
    b.truth[4, 1], b.truth[9, 2] = a.truth[4, 1], np.nan
    assert compare_cases(a, b, resampling=FEW).per_class["cyst"].p == 1.0
    b.normal[0] = 1 - a.normal[0]
    with pytest.raises(DataError, match="i0 normal = "):
        compare_cases(a, b)


def test_nothing_in_common_is_refused():
    ids = ["a", "b", "c"]
    first = Cases.of(ids, ["edema"], [[1], [2], [3]], [[1], [1], [1]])
    second = Cases.of(ids, ["mass"], [[1], [2], [3]], [[1], [1], [1]])
    with pytest.raises(DataError, match="nothing that can be compared"):
        compare_cases(first, second)


def test_missing_scores_are_refused():
    a, b = make(), make()
    b.scores[5, 0] = np.nan
    with pytest.raises(DataError, match="1 scores are not finite: of edema, in i5"):
        compare_cases(a, b)


def test_the_bootstrap_p_value_counts_both_sides():
    assert bootstrap_p(Draws(0.1, np.array([-1.0, 1, 1, 1, 1, 1, 1, 1, 1]))) == pytest.approx(0.4)
    assert bootstrap_p(Draws(-0.1, np.full(99, -1.0))) == pytest.approx(0.02)
    assert bootstrap_p(Draws(0.0, np.zeros(99))) == 1.0
    assert bootstrap_p(Draws(0.1, np.array([np.nan, 1, 1, 1]))) == pytest.approx(0.5)

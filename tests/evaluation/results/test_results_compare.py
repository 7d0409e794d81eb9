"""Comparisons whose answer is known, and runs that must not be compared."""

import json

import numpy as np
import polars as pl
import pytest
from result_documents import HASH, e, small_cases, small_results, write_folder

from offclip.errors import ConfigError, DataError
from offclip.evaluation.results import compare as comparing
from offclip.evaluation.results.compare import compare_runs, write_comparison
from offclip.evaluation.results.compare_tables import comparison_tables
from offclip.evaluation.results.runs import run_names
from offclip.evaluation.statistics.bootstrap import Resampling

FEW = Resampling(resamples=100)


@pytest.fixture
def two(tmp_path):
    """Two folders with equal scores, the second with its rows in another order."""
    cases = small_cases(1)
    shuffled = cases.select(np.random.default_rng(3).permutation(len(cases)))
    return write_folder(tmp_path / "a", cases), write_folder(tmp_path / "b", shuffled)


def test_equal_scores_in_another_order_do_not_differ(two):
    (pair,) = compare_runs(two, resampling=FEW).pairs
    found = pair.comparison
    assert (pair.run, pair.baseline) == ("b", "a")
    for mean in (found.macro_auc, found.normal_auc):
        assert (mean.difference.value, mean.difference.low, mean.difference.high, mean.p) == (0, 0, 0, 1)
    assert found.normal_auc.p_delong == 1
    assert set(found.per_class) == {"edema", "nodule"}
    for one in found.per_class.values():
        assert (one.difference.value, one.p, one.p_holm) == (0, 1, 1)


def test_a_better_run_is_better(tmp_path):
    cases = small_cases(1)
    perfect = small_cases(1)
    perfect.scores[:] = np.nan_to_num(perfect.truth)
    folders = [write_folder(tmp_path / "base", cases), write_folder(tmp_path / "perfect", perfect)]
    (pair,) = compare_runs(folders, resampling=FEW).pairs
    assert pair.comparison.macro_auc.second.value < 1
    assert pair.comparison.macro_auc.first.value == 1
    assert pair.comparison.macro_auc.difference.low > 0
    assert all(one.difference.value > 0 and one.p_holm < 0.05 for one in pair.comparison.per_class.values())
    # The other way round: the sign turns, nothing else.
    (turned,) = compare_runs(folders, baseline="perfect", resampling=FEW).pairs
    for name, one in pair.comparison.per_class.items():
        other = turned.comparison.per_class[name]
        assert one.difference.value == -other.difference.value
        assert one.p == pytest.approx(other.p)


def test_a_missing_id_is_told_with_both_lists(tmp_path):
    cases = small_cases(1)
    a = write_folder(tmp_path / "a", cases.select(np.arange(1, 120)))
    b = write_folder(tmp_path / "b", cases.select(np.arange(0, 119)))
    with pytest.raises(DataError) as caught:
        compare_runs([a, b], resampling=FEW)
    assert "only in a: image119" in caught.value.message
    assert "only in b: image0" in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": {"name": "other", "hash": "beef"}}, f"protocol hash (a: {HASH}, b: beef)"),
        ({"run": {"unit": "image", "data_fingerprint": "abab"}}, "data fingerprint (a: fefe, b: abab)"),
        ({"run": {"unit": "study", "data_fingerprint": "fefe"}}, "unit (a: image, b: study)"),
        ({"run": {"unit": "image"}}, "data fingerprint (a: fefe, b: none)"),
    ],
)
def test_runs_that_differ_in_more_than_the_model_are_refused(tmp_path, changes, message):
    a = write_folder(tmp_path / "a", small_cases(1))
    b = write_folder(tmp_path / "b", small_cases(2), **changes)
    with pytest.raises(DataError) as caught:
        compare_runs([a, b], resampling=FEW)
    assert message in caught.value.message
    if "unit" in message:
        with pytest.raises(DataError):
            compare_runs([a, b], resampling=FEW, allow_different_protocol=True)
        assert "--allow-different-protocol" not in caught.value.remedy
    else:
        assert "--allow-different-protocol" in caught.value.remedy


def test_of_two_protocols_the_equal_part_is_compared(tmp_path):
    cases, other = small_cases(1), small_cases(2)
    other.truth[:5, 1] = np.nan  # nodule is labelled differently, and so are some normal cases
    other.normal[:5] = np.nan
    a = write_folder(tmp_path / "a", cases)
    b = write_folder(tmp_path / "b", other.select(np.arange(100)), protocol={"name": "o", "hash": "beef"})
    compared = compare_runs([a, b], allow_different_protocol=True, resampling=FEW)
    (pair,) = compared.pairs
    assert set(pair.comparison.per_class) == {"edema"}
    assert pair.comparison.normal_auc is None
    assert pair.comparison.cases == 100
    assert compared.notes == (f"The runs differ in their protocol hash (a: {HASH}, b: beef).",)
    assert pair.notes == (
        "20 cases of a are not in b.",
        "Findings labelled differently, so not compared: nodule.",
        "Normal cases are labelled differently; normal scores are not compared.",
    )


def test_two_protocols_with_nothing_in_common(tmp_path):
    cases = small_cases(1)
    a = write_folder(tmp_path / "a", cases)
    elsewhere = small_cases(1, n=80)
    elsewhere = type(elsewhere).of(
        [f"other{i}" for i in range(80)], elsewhere.findings, elsewhere.scores, elsewhere.truth
    )
    b = write_folder(tmp_path / "b", elsewhere, protocol={"hash": "beef"})
    with pytest.raises(DataError, match="share no case"):
        compare_runs([a, b], allow_different_protocol=True)


def test_labels_that_differ_under_one_protocol_are_an_error(tmp_path):
    cases, other = small_cases(1), small_cases(2)
    other.truth[0, 0] = 1 - other.truth[0, 0]
    folders = [write_folder(tmp_path / "a", cases), write_folder(tmp_path / "b", other)]
    with pytest.raises(DataError, match="truth"):
        compare_runs(folders, resampling=FEW)


def test_names(tmp_path):
    paths = [tmp_path / "a" / "results", tmp_path / "b" / "results", tmp_path / "c"]
    assert run_names(paths) == ["a/results", "b/results", "c"]
    with pytest.raises(ConfigError, match="given twice"):
        run_names([tmp_path / "c", tmp_path / "b" / ".." / "c"])


def test_what_is_no_comparison(two, tmp_path):
    with pytest.raises(ConfigError, match="Give two or more"):
        compare_runs(two[:1])
    with pytest.raises(ConfigError, match="No run is named 'z'") as caught:
        compare_runs(two, baseline="z")
    assert "a, b" in caught.value.remedy
    with pytest.raises(DataError, match="no such file"):
        compare_runs([two[0], tmp_path / "none"])
    (two[1] / "cases.parquet").unlink()
    with pytest.raises(DataError, match=r"cases\.parquet"):
        compare_runs(two)
    for text in ("[", "[]", '{"format": "else"}'):
        (two[1] / "results.json").write_text(text)
        with pytest.raises(DataError, match=r"results\.json"):
            compare_runs(two)


def test_the_mean_is_over_the_findings_that_count(tmp_path):
    rows = {"edema": {"counts": True}, "nodule": {"counts": False}}
    folders = [write_folder(tmp_path / name, small_cases(i), per_class=rows) for i, name in enumerate("ab")]
    (pair,) = compare_runs(folders, resampling=FEW).pairs
    assert set(pair.comparison.per_class) == {"edema", "nodule"}
    assert pair.comparison.macro_auc.first.value == pair.comparison.per_class["edema"].first.value


def test_a_normal_class_that_counts_is_compared_like_a_finding(tmp_path):
    rows = {name: {"counts": True} for name in ("edema", "nodule", "No finding")}
    folders = [write_folder(tmp_path / name, small_cases(i), per_class=rows) for i, name in enumerate("ab")]
    found = compare_runs(folders, resampling=FEW).pairs[0].comparison
    assert set(found.per_class) == set(rows)
    assert found.per_class["No finding"].first.value == pytest.approx(found.normal_auc.first.value)
    mean = np.mean([one.first.value for one in found.per_class.values()])
    assert found.macro_auc.first.value == pytest.approx(mean)


def test_other_data_are_told_with_the_ids_that_differ(tmp_path):
    a = write_folder(tmp_path / "a", small_cases(1))
    run = {"unit": "image", "data_fingerprint": "abab"}
    b = write_folder(tmp_path / "b", small_cases(2).select(np.arange(100)), run=run)
    with pytest.raises(DataError) as caught:
        compare_runs([a, b], resampling=FEW)
    assert "Only in a: image100, image101" in caught.value.message
    assert "(20 in all); only in b: none." in caught.value.message


def test_files(tmp_path, monkeypatch):
    pages = []
    monkeypatch.setattr(
        "offclip.evaluation.result_page.write_comparison_page",
        lambda *given: pages.append(given),
        raising=False,
    )
    names = ["base", "measure", "second"]  # one is named like a column
    folders = [write_folder(tmp_path / name, small_cases(i)) for i, name in enumerate(names)]
    compared = compare_runs(folders, resampling=FEW)
    written = write_comparison(compared, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert document["format"] == "offclip comparison 1"
    assert document["baseline"] == "base"
    assert [run["name"] for run in document["runs"]] == names
    assert document["runs"][0]["measures"]["macro_auc"] == e(0.8114, 0.803, 0.8171)
    first = document["comparisons"][0]
    assert (first["a"], first["b"]) == ("measure", "base")
    assert set(first["per_class"]["edema"]) >= {"difference", "p", "p_holm"}
    assert set(first["normal_auc"]) >= {"difference", "p", "p_delong"}
    ((path, runs, pairs),) = pages
    assert path == tmp_path / "out" / "report.html"
    assert [run["run"]["name"] for run in runs] == names  # the names of the folders, not of the results
    assert pairs == document["comparisons"]
    tables = tmp_path / "out" / "tables"
    assert {path.stem for path in tables.iterdir()} == {
        "measures", "side_by_side", "auc_per_class", "differences", "differences_per_class"
    }  # fmt: skip
    assert len([path for path in written if path.parent == tables]) == 20
    wide = pl.read_parquet(tables / "side_by_side.parquet")
    assert {"base", "base_low", "run 2", "second"} <= set(wide.columns)
    assert "| measure | base | measure | second |" in (tables / "side_by_side.md").read_text()
    differences = pl.read_parquet(tables / "differences_per_class.parquet")
    assert differences.select("run", "finding").rows() == [
        ("measure", "edema"), ("measure", "nodule"), ("second", "edema"), ("second", "nodule")
    ]  # fmt: skip
    assert all(name in {t.name for t in comparison_tables(compared)} for name in ("differences", "measures"))


def test_intervals_are_drawn_as_in_the_results_of_the_baseline(two):
    results = small_results(interval={"method": "bootstrap", "level": 0.9, "resamples": 120, "seed": 5})
    (two[0] / "results.json").write_text(json.dumps(results))
    (pair,) = compare_runs(two).pairs
    assert pair.comparison.resampling == Resampling(120, 5, 0.9)
    assert comparing._resampling_of({}) == Resampling()

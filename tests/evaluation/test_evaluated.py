"""Everything that is measured of cases, and the published numbers of CARZero."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from offclip.errors import DataError
from offclip.evaluation import Cases, evaluate_cases, evaluate_scores, make_settings
from offclip.evaluation.as_json import as_json
from offclip.evaluation.evaluated import fingerprint
from offclip.evaluation.outputs import write_evaluated
from offclip.evaluation.statistics.estimate import Estimate

LOGITS = Path(__file__).parents[3] / "shared/data/carzero_logits/chestxray14_test.csv.gz"
FAST = make_settings(resamples=100)


@pytest.fixture(scope="module")
def cases() -> Cases:
    rng = np.random.default_rng(3)
    truth = (rng.random((300, 3)) < [0.3, 0.15, 0.05]).astype(float)
    truth[rng.random((300, 3)) < 0.05] = np.nan
    scores = np.nan_to_num(truth) * 1.2 + rng.normal(size=truth.shape)
    return Cases.of(
        [f"i{n}" for n in range(300)],
        ["edema", "mass", "hernia"],
        scores,
        truth,
        patient_ids=[f"p{n // 2}" for n in range(300)],
        attributes={"view": [("PA", "AP")[n % 2] for n in range(300)]},
    )


def test_means_are_those_of_scikit_learn(cases):
    document = evaluate_cases(cases, settings=FAST).document
    aucs, precisions = [], []
    for column in range(3):
        known = ~np.isnan(cases.truth[:, column])
        aucs.append(roc_auc_score(cases.truth[known, column], cases.scores[known, column]))
        precisions.append(average_precision_score(cases.truth[known, column], cases.scores[known, column]))
    assert document["macro_auc"]["value"] == pytest.approx(np.mean(aucs), abs=1e-12)
    assert document["macro_auprc"]["value"] == pytest.approx(np.mean(precisions), abs=1e-12)
    assert [c["auc"]["value"] for c in document["per_class"].values()] == pytest.approx(aucs, abs=1e-12)


def test_the_order_of_the_cases_changes_nothing(cases):
    turned = cases.select(np.random.default_rng(0).permutation(len(cases)))
    one, other = (evaluate_cases(c, settings=FAST).document for c in (cases, turned))
    assert one["run"]["data_fingerprint"] == other["run"]["data_fingerprint"]
    for measure in ("macro_auc", "micro_auc", "macro_auprc"):
        assert one[measure]["low"] == pytest.approx(other[measure]["low"], abs=1e-12)
    assert one["normal"]["auc"] == pytest.approx(other["normal"]["auc"], abs=1e-12)


def test_the_fingerprint_is_of_the_truth_and_not_of_the_scores(cases):
    other_scores = Cases.of(
        cases.ids, cases.findings, cases.scores + 1, cases.truth, patient_ids=cases.patient_ids
    )
    assert fingerprint(other_scores) == fingerprint(cases)
    other_truth = cases.truth.copy()
    other_truth[0, 0] = 1 - np.nan_to_num(other_truth[0, 0])
    changed = Cases.of(cases.ids, cases.findings, cases.scores, other_truth, patient_ids=cases.patient_ids)
    assert fingerprint(changed) != fingerprint(cases)


def test_the_document_is_strict_json(cases, tmp_path):
    evaluated = evaluate_cases(cases, settings=FAST)
    write_evaluated(evaluated, tmp_path)
    text = (tmp_path / "results.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["run"]["name"] == tmp_path.name
    again = Cases.read(tmp_path / "cases.parquet")
    assert again.ids == cases.ids
    assert np.array_equal(again.truth, cases.truth, equal_nan=True)
    assert again.attributes == dict(cases.attributes)
    assert {row["value"] for row in json.loads(text)["normal"]["subgroups"]} == {"PA", "AP"}


def test_results_of_an_earlier_evaluation_do_not_stay(cases, tmp_path, full_disk):
    evaluated = evaluate_cases(cases, settings=FAST)
    write_evaluated(evaluated, tmp_path, pages=False)
    full_disk("misses.csv")
    with pytest.raises(DataError, match="the disk is full"):
        write_evaluated(evaluated, tmp_path, pages=False)
    assert not (tmp_path / "results.json").exists()


def test_nothing_to_measure_says_what_is_missing():
    cases = Cases.of(["a", "b"], ["edema"], [[0.1], [0.2]], [[0], [0]])
    with pytest.raises(DataError, match="edema: no positive among 2 cases"):
        evaluate_cases(cases)


def test_validation_cases_set_the_thresholds(cases):
    half = np.arange(300) < 150
    document = evaluate_cases(cases.select(half), cases.select(~half), FAST).document
    assert document["per_class"]["edema"]["operating_point"]["from"] == "validation"
    assert document["normal"]["rule_out"][0]["from"] == "validation"
    assert document["run"]["validation_cases"] == 150
    with pytest.raises(DataError, match="patient"):
        evaluate_cases(cases.select(half), cases.select(np.arange(300) > 140), FAST)


def test_as_json_drops_what_is_not_finite_and_what_is_not_shown():
    assert as_json([np.float64(1), np.int64(2), np.array([1.0, np.nan]), Estimate(1.0, 0.5, np.inf)]) == [
        1.0, 2, [1.0, None], {"value": 1.0, "low": 0.5, "high": None},
    ]  # fmt: skip


@pytest.mark.skipif(not LOGITS.is_file(), reason="the CARZero logits of ../shared are not here")
def test_the_published_numbers_of_carzero(tmp_path):
    table = pl.read_csv(LOGITS, infer_schema=False)
    names = [column.removeprefix("logit_") for column in table.columns if column.startswith("logit_")]
    keys = ["image_id", "patient_id"]
    table.select(*keys, *(pl.col(f"logit_{n}").alias(n) for n in names)).write_csv(tmp_path / "s.csv")
    table.sample(fraction=1.0, shuffle=True, seed=0).select(
        *keys, *(pl.col(f"label_{n}").alias(n) for n in names)
    ).write_csv(tmp_path / "l.csv")
    document = evaluate_scores(
        tmp_path / "s.csv", tmp_path / "l.csv", None, make_settings(resamples=300)
    ).document
    assert document["macro_auc"]["value"] == pytest.approx(0.8113, abs=5e-5)
    assert document["macro_auc"]["low"] == pytest.approx(0.803, abs=2e-3)
    assert document["macro_auc"]["high"] == pytest.approx(0.817, abs=2e-3)
    expected = {"Atelectasis": 0.819, "Infiltration": 0.670, "Hernia": 0.928, "Pleural_Thickening": 0.770}
    for name, value in expected.items():
        assert document["per_class"][name]["auc"]["value"] == pytest.approx(value, abs=6e-4)
    scores = document["normal"]["scores"]
    assert scores["-mean(findings)"]["auc"]["value"] == pytest.approx(0.7477, abs=5e-5)
    assert scores["-max(findings)"]["auc"]["value"] == pytest.approx(0.7481, abs=5e-5)
    cleared = {row["sensitivity"]: row["cleared_in_sample"] for row in document["normal"]["rule_out"]}
    assert cleared[0.95] == pytest.approx(0.219, abs=5e-4)
    assert cleared[0.99] == pytest.approx(0.045, abs=5e-4)

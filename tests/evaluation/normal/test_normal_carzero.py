"""The real logits of a published model: numbers that were computed apart from this code."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from offclip.evaluation.cases import Cases
from offclip.evaluation.normal import measure_normal
from offclip.evaluation.statistics.bootstrap import Resampling

TABLE = Path(__file__).resolve().parents[4] / "shared/data/carzero_logits/chestxray14_test.csv.gz"


@pytest.fixture(scope="module")
def cases() -> Cases:
    if not TABLE.is_file():
        pytest.skip("the real logits are not there (../shared/data/carzero_logits)")
    table = pl.read_csv(TABLE, schema_overrides={"patient_id": pl.String})
    findings = [name.removeprefix("logit_") for name in table.columns if name.startswith("logit_")]
    return Cases.of(
        table["image_id"].to_list(),
        findings,
        table.select([f"logit_{name}" for name in findings]).to_numpy(),
        table.select([f"label_{name}" for name in findings]).to_numpy(),
        patient_ids=table["patient_id"].to_list(),
    )


def test_auc_rule_out_and_false_findings_of_the_published_logits(cases):
    found = measure_normal(cases, thresholds="in-sample-youden", resampling=Resampling(resamples=50))
    assert found.score == "-mean(findings)"
    assert found.auc.value == pytest.approx(0.7477, abs=5e-5)
    assert found.scores["-max(findings)"].auc.value == pytest.approx(0.7481, abs=5e-5)
    cleared = {rule.sensitivity: rule.cleared_in_sample for rule in found.rule_out}
    assert cleared[0.95] == pytest.approx(0.219, abs=5e-4)
    assert cleared[0.99] == pytest.approx(0.045, abs=5e-4)
    assert found.rule_out[0].claim == "not supported"
    assert found.false_findings is not None
    assert found.false_findings.normals_with_any.value == pytest.approx(0.550, abs=5e-4)
    assert found.false_findings.per_normal.value == pytest.approx(2.53, abs=5e-3)


def test_nested_thresholds_clear_about_as_many_and_miss_about_as_many(cases):
    found = measure_normal(cases, resampling=Resampling(resamples=50), sensitivities=(0.95,))
    (rule,) = found.rule_out
    assert rule.origin == "nested cross-validation"
    assert rule.cleared.value == pytest.approx(0.219, abs=0.01)
    assert rule.reached.value == pytest.approx(0.95, abs=0.003)

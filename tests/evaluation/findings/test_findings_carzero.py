"""The published checkpoint's logits of ChestX-ray14: numbers that were checked with scikit-learn."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from offclip.evaluation.cases import Cases
from offclip.evaluation.findings import bootstrap_of, measure_findings, measure_normal_auc

TABLE = Path(__file__).parents[4] / "shared" / "data" / "carzero_logits" / "chestxray14_test.csv.gz"
AUC = {
    "Atelectasis": 0.819, "Cardiomegaly": 0.852, "Effusion": 0.873, "Infiltration": 0.670, "Mass": 0.854,
    "Nodule": 0.718, "Pneumonia": 0.737, "Pneumothorax": 0.871, "Consolidation": 0.786, "Edema": 0.884,
    "Emphysema": 0.808, "Fibrosis": 0.788, "Pleural_Thickening": 0.770, "Hernia": 0.928,
}  # fmt: skip


@pytest.fixture(scope="module")
def cases():
    if not TABLE.is_file():
        pytest.skip("no logits of ChestX-ray14 beside this checkout (../shared/data)")
    table = pl.read_csv(TABLE, schema_overrides={"patient_id": pl.String})
    return Cases.of(
        table["image_id"].to_list(), list(AUC), table.select(f"logit_{name}" for name in AUC).to_numpy(),
        table.select(f"label_{name}" for name in AUC).to_numpy(), patient_ids=table["patient_id"].to_list(),
    )  # fmt: skip


def test_carzeros_logits_give_the_known_numbers(cases):
    drawn = bootstrap_of(cases)
    found = measure_findings(cases, bootstrap=drawn)
    assert {name: round(c.auc.value, 3) for name, c in found.per_class.items()} == AUC
    macro = found.macro_auc
    assert round(macro.value, 4) == 0.8113
    assert (macro.low, macro.high) == pytest.approx((0.803, 0.817), abs=0.0015)
    scores = {"mean": -cases.scores.mean(axis=1), "max": -cases.scores.max(axis=1)}
    normal = {name: measure_normal_auc(s, cases.normal, drawn) for name, s in scores.items()}
    assert (round(normal["mean"].auc.value, 4), round(normal["max"].auc.value, 4)) == (0.7477, 0.7481)
    assert normal["mean"].auc_delong.low == pytest.approx(normal["mean"].auc.low, abs=0.003)
    assert round(float(np.mean(cases.normal)), 4) == 0.5317

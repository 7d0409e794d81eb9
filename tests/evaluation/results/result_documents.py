"""A small results.json, and evaluation folders on the disk, for the tests of what is made of them."""

import json
from pathlib import Path

import numpy as np

from offclip.evaluation.cases import Cases

HASH = "0123456789abcdef"


def e(value, low, high):
    return {"value": value, "low": low, "high": high}


def small_results(**changes) -> dict:
    """Everything that the schema knows, small."""
    results = {
        "format": "offclip results 1",
        "offclip": "0.1.0",
        "protocol": {
            "name": "vindr-cxr-clean",
            "title": "VinDr-CXR",
            "variant": "clean",
            "hash": HASH,
            "quirks": ["Junk classes are out."],
            "source": "PROTOCOLS.md, section 3",
        },
        "run": {
            "name": "first",
            "model": None,
            "scores": "scores.csv",
            "labels": "labels.csv",
            "data": None,
            "split": "test",
            "unit": "image",
            "fuse": "mean",
            "cases": 3000,
            "images": 3000,
            "studies": 2900,
            "patients": 2500,
            "validation_cases": 400,
            "data_fingerprint": "fefe",
            "created": "2026-11-24T20:00:00+00:00",
            "versions": {"offclip": "0.1.0", "python": "3.11.7", "numpy": "2.4.6"},
        },
        "interval": {
            "method": "patient-cluster bootstrap, percentile",
            "level": 0.95,
            "resamples": 1000,
            "seed": 0,
        },
        "macro_auc": {**e(0.8114, 0.803, 0.8171), "classes": 2, "protocol_hash": HASH},
        "micro_auc": None,
        "groups": {"head": {"classes": ["A&B_1 #2", "edema"], "auc": e(0.9, 0.8, 0.95)}},
        "per_class": {
            "A&B_1 #2": {
                "auc": e(0.9, 0.8, 0.95),
                "auc_delong": e(0.9, 0.81, 0.96),
                "auprc": e(0.5, 0.4, 0.6),
                "positives": 30,
                "negatives": 2970,
                "unknown": 0,
                "operating_point": {
                    "threshold": -1.5,
                    "from": "validation",
                    "sensitivity": e(0.7, 0.5, 0.85),
                    "specificity": e(0.8, 0.79, 0.81),
                    "accuracy": 0.799,
                    "tp": 21,
                    "fp": 594,
                    "tn": 2376,
                    "fn": 9,
                },
                "calibration": None,
            },
            "edema": {
                "auc": e(0.7228, 0.7, 0.74),
                "auprc": e(0.3, 0.25, 0.35),
                "positives": 300,
                "negatives": 2690,
                "unknown": 10,
                "operating_point": None,
                "calibration": {
                    "method": "platt",
                    "from": "validation",
                    "ece": e(0.02, 0.01, 0.03),
                    "ece_before": e(0.2, 0.1, 0.3),
                    "parameters": {},
                    "bins": [],
                },
            },
        },
        "left_out": {"Hernia": "no positive among 3000 cases"},
        "normal": {
            "score": "There is no finding.",
            "auc": e(0.85, 0.84, 0.86),
            "auc_delong": e(0.85, 0.841, 0.859),
            "normals": 2000,
            "abnormals": 990,
            "unknown": 10,
            "worst_prompt": {"prompt": "The lungs are clear.", "auc": e(0.7, 0.69, 0.71)},
            "scores": {
                "There is no finding.": {"auc": e(0.85, 0.84, 0.86), "auc_delong": e(0.85, 0.841, 0.859)},
                "-max(findings)": {"auc": e(0.8, 0.79, 0.81), "auc_delong": None},
            },
            "rule_out": [
                {
                    "sensitivity": 0.95,
                    "claim": "supported",
                    "reason": "",
                    "abnormals": 990,
                    "abnormals_needed": 59,
                    "threshold": 1.25,
                    "from": "validation",
                    "reached": e(0.96, 0.95, 0.97),
                    "cleared": e(0.3, 0.28, 0.32),
                    "missed": 40,
                    "cleared_in_sample": 0.31,
                    "prevalence": 0.1,
                    "npv": e(0.985, 0.98, 0.99),
                    "ppv": e(0.13, 0.12, 0.14),
                },
                {
                    "sensitivity": 0.999,
                    "claim": "refused",
                    "reason": "2,995 abnormal cases are needed, there are 990",
                    "abnormals": 990,
                    "abnormals_needed": 2995,
                    "threshold": None,
                    "from": None,
                    "reached": None,
                    "cleared": None,
                    "missed": None,
                    "cleared_in_sample": 0.01,
                    "prevalence": 0.1,
                    "npv": None,
                    "ppv": None,
                },
            ],
            "false_findings": {
                "per_normal": e(0.4, 0.37, 0.43),
                "normals_with_any": e(0.3, 0.28, 0.32),
                "from": "validation",
            },
            "decision_curve": None,
            "calibration": None,
            "subgroups": [
                {
                    "attribute": "sex",
                    "value": "F",
                    "cases": 1500,
                    "normals": 1000,
                    "abnormals": 500,
                    "auc": e(0.86, 0.85, 0.87),
                    "reason": "",
                },
                {
                    "attribute": "sex",
                    "value": "not known",
                    "cases": 3,
                    "normals": 3,
                    "abnormals": 0,
                    "auc": None,
                    "reason": "no abnormal case",
                },
            ],
            "misses": 40,
        },
        "extras": {},
        "negation": {
            "macro": e(0.9, 0.88, 0.92),
            "per_class": {"edema": {"balanced": e(0.9, 0.8, 0.95), "n_present": 300, "present": 0.9}},
        },
        "prompts": [],
        "grounding": None,
        "metrics": {},
    }
    return results | changes


def small_cases(seed: int, n: int = 120) -> Cases:
    """Cases of 40 patients with two findings; the truth is the same for every seed, the scores are not."""
    fixed = np.random.default_rng(7)
    truth = (fixed.random((n, 2)) < 0.3).astype(float)
    noise = np.random.default_rng(seed)
    scores = truth + noise.normal(size=truth.shape)
    said = -truth.max(axis=1) + noise.normal(size=n)
    return Cases.of(
        [f"image{i}" for i in range(n)],
        ["edema", "nodule"],
        scores,
        truth,
        patient_ids=[f"patient{i % 40}" for i in range(n)],
        normal_scores={"There is no finding.": said},
    )


def write_folder(folder: Path, cases: Cases, **changes) -> Path:
    """An evaluation folder: results.json and cases.parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {name: {"auc": e(0.8, 0.7, 0.9)} for name in cases.findings}
    results = small_results(**{"per_class": rows} | changes)
    (folder / "results.json").write_text(json.dumps(results))
    cases.write(folder / "cases.parquet")
    return folder

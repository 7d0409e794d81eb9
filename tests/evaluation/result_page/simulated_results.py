"""A run that looks like a real one: simulated cases, and what `results.json` says of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from offclip.evaluation.cases import Cases
from offclip.evaluation.statistics.precision_recall import average_precision
from offclip.evaluation.statistics.ranks import auc
from offclip.evaluation.statistics.thresholds import threshold_at_sensitivity, youden_threshold

FINDINGS = ("Atelectasis", "Cardiomegaly", "Pleural_Thickening", "Pneumothorax", "Edema")
PROMPTS = ("There is no finding.", "The lungs are clear.")


def simulated(n: int = 400, findings: tuple[str, ...] = FINDINGS, seed: int = 0) -> Cases:
    """N cases of about n / 1.5 patients; positives score higher, and normals have higher normal scores."""
    rng = np.random.default_rng(seed)
    rates = (
        np.geomspace(0.22, 0.03, len(findings))
        if len(findings) < 20
        else np.geomspace(0.1, 0.004, len(findings))
    )
    truth = (rng.random((n, len(findings))) < rates).astype(float)
    scores = rng.normal(size=truth.shape) + 1.4 * truth
    truth[rng.random(truth.shape) < 0.01] = np.nan
    normal = np.where((truth == 1).any(axis=1), 0.0, 1.0)
    normal[rng.random(n) < 0.02] = np.nan
    signal = np.nan_to_num(normal, nan=0.5)
    normal_scores = {
        prompt: strength * signal + rng.normal(size=n)
        for prompt, strength in zip(PROMPTS, (1.5, 0.8), strict=True)
    }
    patients = [f"secret-patient-{i}" for i in rng.integers(0, max(1, int(n / 1.5)), n)]
    return Cases.of(
        [f"film-{seed}-{i:04d}" for i in range(n)],
        findings,
        scores,
        truth,
        normal=normal,
        patient_ids=patients,
        normal_scores=normal_scores,
        attributes={"view": ["AP" if a else "PA" for a in rng.random(n) < 0.4]},
    )


def results_of(cases: Cases, validation: Cases | None = None) -> dict[str, Any]:
    """The content of `results.json`; intervals are guessed, everything else is measured."""
    tuning = validation if validation is not None else cases
    origin = "validation" if validation is not None else "the test set itself (optimistic)"
    per_class, left_out = {}, {}
    for column, name in enumerate(cases.findings):
        known = ~np.isnan(cases.truth[:, column])
        positive, scores = cases.truth[known, column] == 1, cases.scores[known, column]
        if not positive.any() or positive.all():
            left_out[name] = f"no positive among {known.sum()} cases"
            continue
        per_class[name] = _class(scores, positive, int((~known).sum()), tuning, column, origin)
    aucs = [c["auc"]["value"] for c in per_class.values()]
    return {
        "format": "offclip results 1",
        "offclip": "0.6.0",
        "protocol": {
            "name": "open",
            "title": "Any scores with labels: the classes are the columns of the files",
            "variant": "open",
            "hash": "0123456789abcdef",
            "quirks": [],
            "source": "",
        },
        "run": {
            "name": "simulated",
            "model": None,
            "scores": "scores.csv",
            "labels": "my labels.csv",
            "data": None,
            "split": "test",
            "unit": "image",
            "fuse": "mean",
            "cases": len(cases),
            "images": len(cases),
            "studies": len(set(cases.study_ids)),
            "patients": len(set(cases.patient_ids)),
            "validation_cases": len(validation) if validation is not None else 0,
            "data_fingerprint": "fedcba98" * 8,
            "created": "2026-11-24T20:00:00+00:00",
            "versions": {"offclip": "0.6.0", "python": "3.12.3", "numpy": "2.4.6"},
        },
        "interval": {
            "method": "patient-cluster bootstrap, percentile",
            "level": 0.95,
            "resamples": 1000,
            "seed": 0,
        },
        "macro_auc": {**estimate(float(np.mean(aucs)), 0.01), "classes": len(aucs), "protocol_hash": "0123"}
        if aucs
        else None,
        "macro_auprc": estimate(0.412, 0.03) if aucs else None,
        "groups": {"head": {"classes": list(per_class)[:2], "auc": estimate(0.83, 0.02)}},
        "per_class": per_class,
        "left_out": left_out,
        "normal": _normal(cases, tuning, origin),
        "extras": {},
        "negation": None,
        "prompts": [
            {"prompt": PROMPTS[0], "warnings": []},
            {"prompt": "Edema", "warnings": ["a prompt of one word"]},
        ],
        "grounding": None,
    }


def estimate(value: float, half: float) -> dict[str, float]:
    return {"value": value, "low": max(0.0, value - half), "high": min(1.0, value + half)}


def bins(probability: np.ndarray, positive: np.ndarray) -> list[dict[str, float]]:
    places = np.minimum((probability * 10).astype(int), 9)
    return [
        {
            "predicted": float(probability[places == b].mean()),
            "observed": float(positive[places == b].mean()),
            "count": int((places == b).sum()),
        }
        for b in range(10)
        if (places == b).any()
    ]


def _class(
    scores: np.ndarray, positive: np.ndarray, unknown: int, tuning: Cases, column: int, origin: str
) -> dict[str, Any]:
    fit = ~np.isnan(tuning.truth[:, column])
    threshold = youden_threshold(tuning.scores[fit, column], tuning.truth[fit, column] == 1)
    called = scores >= threshold
    value = auc(scores, positive)
    probability = 1 / (1 + np.exp(-(2 * scores - 3)))
    return {
        "auc": estimate(value, 0.8 / positive.sum() ** 0.5 * 0.2),
        "auc_delong": estimate(value, 0.75 / positive.sum() ** 0.5 * 0.2),
        "auprc": estimate(average_precision(scores, positive), 0.05),
        "positives": int(positive.sum()),
        "negatives": int((~positive).sum()),
        "unknown": unknown,
        "protocol_hash": "0123456789abcdef",
        "operating_point": {
            "threshold": threshold,
            "from": origin,
            "sensitivity": estimate(float(called[positive].mean()), 0.06),
            "specificity": estimate(float((~called)[~positive].mean()), 0.03),
            "accuracy": float((called == positive).mean()),
            "tp": int((called & positive).sum()),
            "fp": int((called & ~positive).sum()),
            "tn": int((~called & ~positive).sum()),
            "fn": int((~called & positive).sum()),
        },
        "calibration": {
            "method": "platt",
            "from": origin,
            "ece": estimate(0.031, 0.01),
            "ece_before": estimate(0.14, 0.01),
            "parameters": {"a": 1.0, "b": 0.0},
            "bins": bins(probability, positive),
        },
    }


def _normal(cases: Cases, tuning: Cases, origin: str) -> dict[str, Any] | None:
    known = ~np.isnan(cases.normal)
    normal = cases.normal[known] == 1
    if not cases.normal_scores or not normal.any() or normal.all():
        return None
    name = PROMPTS[0]
    score = cases.normal_scores[name][known]
    rules = []
    for wanted in (0.95, 0.98, 0.99, 0.999):
        fit = ~np.isnan(tuning.normal)
        kept = -threshold_at_sensitivity(-tuning.normal_scores[name][fit], tuning.normal[fit] == 0, wanted)
        threshold = float(np.nextafter(kept, np.inf))
        cleared = score >= threshold
        needed = int(np.ceil(np.log(0.025) / np.log(wanted)))
        abnormals = int((~normal).sum())
        reached = float((~cleared)[~normal].mean())
        claim = "refused" if abnormals < needed else "supported" if wanted < 0.96 else "not supported"
        rules.append(
            {
                "sensitivity": wanted,
                "claim": claim,
                "reason": f"{abnormals} abnormal cases cannot show it: {needed} are needed"
                if claim == "refused"
                else f"the lower limit is {reached - 0.03:.3f}",
                "abnormals": abnormals,
                "abnormals_needed": needed,
                "threshold": threshold,
                "from": origin,
                "reached": estimate(reached, 0.025),
                "cleared": estimate(float(cleared[normal].mean()), 0.05),
                "missed": int((cleared & ~normal).sum()),
                "cleared_in_sample": 0.3,
                "prevalence": 0.5,
                "npv": estimate(0.93, 0.03),
                "ppv": estimate(0.6, 0.03),
            }
        )
    thresholds = np.round(np.arange(0.01, 1.0, 0.01), 2)
    share, odds = float((~normal).mean()), thresholds / (1 - thresholds)
    probability = 1 / (1 + np.exp(2 * score - 1))
    called = probability[:, None] >= thresholds
    model = (called & ~normal[:, None]).mean(axis=0) - (called & normal[:, None]).mean(axis=0) * odds
    return {
        "score": name,
        "auc": estimate(auc(score, normal), 0.02),
        "auc_delong": estimate(auc(score, normal), 0.019),
        "normals": int(normal.sum()),
        "abnormals": int((~normal).sum()),
        "unknown": int((~known).sum()),
        "protocol_hash": "0123456789abcdef",
        "worst_prompt": {
            "prompt": PROMPTS[1],
            "auc": estimate(auc(cases.normal_scores[PROMPTS[1]][known], normal), 0.03),
        },
        "scores": {
            **{
                p: {"auc": estimate(auc(s[known], normal), 0.02), "auc_delong": None}
                for p, s in cases.normal_scores.items()
            },
            "-max(findings)": {"auc": estimate(0.741, 0.03), "auc_delong": estimate(0.741, 0.029)},
        },
        "rule_out": rules,
        "false_findings": {
            "per_normal": {"value": 1.312, "low": 1.2, "high": 1.42},
            "normals_with_any": estimate(0.61, 0.04),
            "from": origin,
        },
        "decision_curve": {
            "thresholds": thresholds.tolist(),
            "model": model.tolist(),
            "treat_all": (share - (1 - share) * odds).tolist(),
            "score": name,
            "calibration": "platt",
        },
        "calibration": {
            "method": "platt",
            "from": origin,
            "ece": estimate(0.028, 0.01),
            "ece_before": estimate(0.2, 0.02),
            "parameters": {},
            "bins": bins(1 - probability, normal),
        },
        "subgroups": [
            {
                "attribute": "view",
                "value": "AP",
                "cases": 150,
                "normals": 70,
                "abnormals": 80,
                "auc": estimate(0.81, 0.05),
                "reason": "",
            },
            {
                "attribute": "view",
                "value": "PA",
                "cases": 240,
                "normals": 140,
                "abnormals": 100,
                "auc": estimate(0.87, 0.04),
                "reason": "",
            },
            {
                "attribute": "age",
                "value": "under 18",
                "cases": 4,
                "normals": 4,
                "abnormals": 0,
                "auc": None,
                "reason": "no abnormal case",
            },
        ],
        "misses": 9,
    }

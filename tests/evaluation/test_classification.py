"""The columns of the results table, against scikit-learn and by hand."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from offclip.errors import DataError
from offclip.evaluation import classify, evaluation_prompts
from offclip.evaluation.statistics.thresholds import youden_threshold
from offclip.evaluation.truth import Labels
from offclip.zeroshot import NORMAL_PROMPTS, Scores

FINDINGS = ("nodule", "pneumothorax", "edema")


def random_data(seed: int, n: int = 200, unknown: float = 0.15) -> tuple[Scores, Labels]:
    rng = np.random.default_rng(seed)
    normal = (rng.random(n) < 0.5).astype(float)
    present = ((rng.random((n, 3)) < 0.5) & (normal == 0)[:, None]).astype(float)
    logits = rng.integers(-9, 9, (n, 8)) / 3 + np.hstack([normal[:, None].repeat(5, 1), present])
    present[rng.random(present.shape) < unknown] = np.nan
    normal[rng.random(n) < unknown] = np.nan
    ids = tuple(f"{seed}-{i}" for i in range(n))
    scores = Scores(ids, evaluation_prompts(FINDINGS), logits.astype(np.float32), np.zeros((n, 2)))
    return scores, Labels(ids, FINDINGS, present, normal)


@pytest.mark.parametrize("seed", range(5))
def test_every_auc_is_scikit_learns_with_unknown_labels_left_out(seed):
    scores, labels = random_data(seed)
    result = classify(scores, labels)
    known = ~np.isnan(labels.normal)
    truth = labels.normal[known]
    by_prompt = [roc_auc_score(truth, scores.logits[known, i]) for i in range(5)]
    assert result.normal_auc == pytest.approx(by_prompt[0], abs=1e-12)
    assert result.worst_prompt_normal_auc == pytest.approx(min(by_prompt), abs=1e-12)
    assert list(result.normal_auc_by_prompt) == list(NORMAL_PROMPTS)
    largest = scores.logits[:, 5:].max(axis=1)
    assert result.neg_max_finding_auc == pytest.approx(roc_auc_score(truth, -largest[known]), abs=1e-12)
    everyone, abnormals = [], []
    for column in range(3):
        usable = ~np.isnan(labels.present[:, column])
        for rows, into in ((usable, everyone), (usable & (labels.normal == 0), abnormals)):
            into.append(roc_auc_score(labels.present[rows, column], scores.logits[rows, 5 + column]))
    assert result.abnormal_auc == pytest.approx(np.mean(everyone), abs=1e-12)
    assert result.abnormal_auc_among_abnormals == pytest.approx(np.mean(abnormals), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_thresholds_are_applied_by_hand(seed):
    (scores, labels), (chosen, truth) = random_data(seed), random_data(seed + 100)
    result = classify(scores, labels, (chosen, truth))
    largest = chosen.logits[:, 5:].max(axis=1)[truth.normal == 0]
    cut = max(t for t in np.unique(largest) if (largest >= t).mean() >= 0.95)
    flagged = scores.logits[:, 5:].max(axis=1) >= cut
    assert result.fpr_at_95_sensitivity == flagged[labels.normal == 1].mean()
    assert result.sensitivity_reached == flagged[labels.normal == 0].mean()
    count = np.zeros((labels.normal == 1).sum())
    for column in range(3):
        usable = ~np.isnan(truth.present[:, column])
        cut = youden_threshold(chosen.logits[usable, 5 + column], truth.present[usable, column] == 1)
        count += scores.logits[labels.normal == 1, 5 + column] >= cut
    assert result.false_findings_per_normal == pytest.approx(count.mean(), abs=1e-12)


def test_thresholds_come_from_validation_alone():
    (scores, labels), validation = random_data(0, unknown=0), random_data(1, unknown=0)
    before = classify(scores, labels, validation)
    normal = labels.normal == 1
    shifted = scores.logits.copy()
    shifted[~normal] += 50  # thresholds refitted on the test images would now clear every normal
    after = classify(dataclasses.replace(scores, logits=shifted), labels, validation)
    assert after.fpr_at_95_sensitivity == before.fpr_at_95_sensitivity > 0
    assert after.false_findings_per_normal == before.false_findings_per_normal > 0
    assert after.sensitivity_reached == 1


def test_without_validation_nothing_that_needs_a_threshold_is_measured():
    result = classify(*random_data(0))
    assert result.fpr_at_95_sensitivity is None
    assert result.false_findings_per_normal is None


def test_a_validation_split_without_findings_gives_no_false_findings_rather_than_zero():
    validation = random_data(1)
    blank = dataclasses.replace(validation[1], present=np.full((200, 3), np.nan))
    result = classify(*random_data(0), (validation[0], blank))
    assert result.false_findings_per_normal is None
    assert result.fpr_at_95_sensitivity is not None
    normals = dataclasses.replace(validation[1], normal=np.ones(200))
    assert classify(*random_data(0), (validation[0], normals)).fpr_at_95_sensitivity is None


def test_a_finding_without_both_classes_is_named_and_not_averaged():
    scores, labels = random_data(0)
    present = labels.present.copy()
    present[:, 1] = np.where(np.isnan(present[:, 1]), np.nan, 0)
    result = classify(scores, dataclasses.replace(labels, present=present))
    assert result.left_out == ("pneumothorax",)
    assert list(result.auc_by_finding) == ["nodule", "edema"]
    assert result.abnormal_auc == pytest.approx(np.mean(list(result.auc_by_finding.values())))


def test_images_are_joined_by_id():
    scores, labels = random_data(0)
    order = np.random.default_rng(9).permutation(200)
    shuffled = Labels(
        tuple(labels.image_ids[i] for i in order), FINDINGS, labels.present[order], labels.normal[order]
    )
    assert classify(scores, shuffled) == classify(scores, labels)
    fewer = Labels(labels.image_ids[:-2], FINDINGS, labels.present[:-2], labels.normal[:-2])
    with pytest.raises(DataError, match=r"2 image\(s\) have no labels, such as 0-198"):
        classify(scores, fewer)


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_one_class_only_is_refused_with_the_counts(value):
    scores, labels = random_data(0)
    with pytest.raises(DataError, match=r"has (0|200) normal and (0|200) abnormal images"):
        classify(scores, dataclasses.replace(labels, normal=np.full(200, value)))

"""The negation test gives known numbers on scores that were made for it."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.errors import DataError, InputError
from offclip.evaluation.negation import measure_negation, negation_prompts, pairwise
from offclip.evaluation.statistics.bootstrap import Resampling
from offclip.evaluation.truth import Labels
from offclip.zeroshot.prompts import NEGATION_TEMPLATES, fill_template, finding_prompt
from offclip.zeroshot.score import Scores

FEW = Resampling(resamples=60)
FINDINGS = ("edema", "Lung_Mass")


def labels_of(present, normal=None, findings=FINDINGS) -> Labels:
    present = np.asarray(present, np.float64)
    if normal is None:
        normal = np.where(np.nansum(present, axis=1) > 0, 0.0, 1.0)
    return Labels(
        tuple(f"i{row}" for row in range(len(present))), tuple(findings), present, np.asarray(normal, float)
    )


def scores_of(labels: Labels, assertion, denial, others=None) -> Scores:
    """`assertion` and `denial` are (N, F); so is `others`, for the denials after the first."""
    columns = {}
    for column, finding in enumerate(labels.findings):
        columns[finding_prompt(finding)] = np.asarray(assertion, float)[:, column]
        for number, template in enumerate(NEGATION_TEMPLATES):
            values = denial if others is None or not number else others
            columns[fill_template(template, finding)] = np.asarray(values, float)[:, column]
    logits = np.stack(list(columns.values()), axis=1).astype(np.float32)
    return Scores(labels.image_ids, tuple(columns), logits, np.zeros((len(logits), 1), np.float32))


def random_labels(n: int, seed: int = 0) -> Labels:
    rng = np.random.default_rng(seed)
    present = (rng.random((n, 2)) < 0.3).astype(float)
    present[0], present[1] = (1, 0), (0, 1)
    present[2] = 0
    return labels_of(present)


def test_the_prompts_are_every_pair_once():
    prompts = negation_prompts(FINDINGS)
    assert len(prompts) == len(set(prompts)) == 2 * (1 + len(NEGATION_TEMPLATES))
    assert prompts[5:8] == ("There is lung mass.", "There is no lung mass.", "No lung mass.")
    assert negation_prompts(["edema", "Edema"]) == negation_prompts(["edema"])


def test_a_model_that_understands():
    labels = random_labels(40)
    result = measure_negation(scores_of(labels, labels.present, 1 - labels.present), labels, resampling=FEW)
    test = result.per_class["Lung_Mass"]
    assert (test.present, test.absent, test.balanced.value, test.pairwise) == (1, 1, 1, 1)
    assert (test.absent_in_normals, test.absent_in_abnormals) == (1, 1)
    assert (test.auc_of_difference.value, test.auc_of_difference.low) == (1, 1)
    assert result.macro is not None
    assert (result.macro.value, result.macro.low, result.macro.high) == (1, 1, 1)
    assert all(value.value == 1 for value in result.templates.values())
    assert tuple(result.templates) == NEGATION_TEMPLATES
    assert test.n_present + test.n_absent == 40


def test_a_bag_of_words_is_at_chance_and_finds_no_pair():
    labels = random_labels(60)
    same = np.random.default_rng(1).normal(size=(60, 2)) + 3 * labels.present
    result = measure_negation(scores_of(labels, same, same), labels, resampling=FEW)
    test = result.per_class["edema"]
    assert (test.present, test.absent, test.balanced.value) == (0.5, 0.5, 0.5)
    assert test.auc_of_difference.value == 0.5
    assert test.pairwise == 0


def test_a_model_that_always_asserts_is_at_chance_but_may_order_well():
    labels = random_labels(60)
    result = measure_negation(
        scores_of(labels, 9 + labels.present, 0 * labels.present), labels, resampling=FEW
    )
    test = result.per_class["edema"]
    assert (test.present, test.absent, test.balanced.value) == (1, 0, 0.5)
    assert test.auc_of_difference.value == 1


def test_a_model_that_knows_sick_from_well_only():
    labels = random_labels(200)
    sick = np.repeat(1 - labels.normal[:, None], 2, axis=1)
    result = measure_negation(scores_of(labels, sick, 1 - sick), labels, resampling=FEW)
    test = result.per_class["edema"]
    assert (test.present, test.absent_in_normals, test.absent_in_abnormals) == (1, 1, 0)
    assert 0.5 < test.absent < 1
    assert test.balanced_in_abnormals is not None
    assert test.balanced_in_abnormals.value == 0.5
    assert result.macro_in_abnormals is not None
    assert result.macro_in_abnormals.value == 0.5
    assert result.macro is not None
    assert result.macro.value > 0.8


def test_the_other_ways_to_deny_have_a_score_of_their_own():
    labels = random_labels(50)
    result = measure_negation(
        scores_of(labels, labels.present, 1 - labels.present, labels.present * 3 - 1), labels, resampling=FEW
    )
    assert [value.value for value in result.templates.values()] == [1, 0, 0, 0]
    assert result.macro is not None
    assert result.macro.value == 1


def test_numbers_against_a_loop():
    rng = np.random.default_rng(3)
    present = rng.choice([0.0, 1.0, np.nan], (80, 2), p=[0.5, 0.3, 0.2])
    normal = np.where(np.nansum(present, axis=1) > 0, 0, rng.choice([0, 1, np.nan], 80))
    labels = labels_of(present, normal)
    # Coarse scores, so that there are ties.
    assertion, denial = rng.integers(0, 5, (80, 2)), rng.integers(0, 5, (80, 2))
    test = measure_negation(scores_of(labels, assertion, denial), labels, resampling=FEW).per_class[
        "Lung_Mass"
    ]

    def win(a, b):
        return 1.0 if a > b else 0.5 if a == b else 0.0

    a, d, p = assertion[:, 1], denial[:, 1], present[:, 1]
    yes = [i for i in range(80) if p[i] == 1]
    no = [i for i in range(80) if p[i] == 0]
    assert (test.n_present, test.n_absent) == (len(yes), len(no))
    assert test.present == pytest.approx(np.mean([win(a[i], d[i]) for i in yes]))
    assert test.absent == pytest.approx(np.mean([win(d[i], a[i]) for i in no]))
    assert test.balanced.value == pytest.approx((test.present + test.absent) / 2)
    for value, kind in ((test.absent_in_normals, 1), (test.absent_in_abnormals, 0)):
        assert value == pytest.approx(np.mean([win(d[i], a[i]) for i in no if normal[i] == kind]))
    assert test.auc_of_difference.value == pytest.approx(
        np.mean([win(a[i] - d[i], a[j] - d[j]) for i in yes for j in no])
    )
    assert test.pairwise == pytest.approx(
        np.mean([win(a[i], a[j]) * win(d[j], d[i]) for i in yes for j in no])
    )
    assert test.balanced_in_abnormals is not None
    assert test.balanced_in_abnormals.value == pytest.approx((test.present + test.absent_in_abnormals) / 2)


def test_labels_are_joined_by_image_and_rows_may_come_in_any_order():
    labels = random_labels(40)
    rng = np.random.default_rng(5)
    scores = scores_of(labels, rng.normal(size=(40, 2)), rng.normal(size=(40, 2)))
    turn = rng.permutation(40)
    turned = Scores(
        tuple(scores.image_ids[i] for i in turn), scores.prompts, scores.logits[turn], scores.embeddings
    )
    patients = [f"p{i // 2}" for i in range(40)]
    one = measure_negation(scores, labels, patients, resampling=FEW)
    other = measure_negation(turned, labels, [patients[i] for i in turn], resampling=FEW)
    assert one.macro is not None
    assert other.macro is not None
    assert dataclasses.astuple(one.macro) == pytest.approx(dataclasses.astuple(other.macro))


def test_images_of_one_patient_count_as_one_in_the_interval():
    labels = random_labels(60)
    rng = np.random.default_rng(6)
    values = rng.normal(size=(2, 60, 2))
    scores = scores_of(labels, *values)
    ten = labels_of(np.tile(labels.present, (10, 1)))
    copies = scores_of(ten, *np.tile(values, (1, 10, 1)))
    patients = [f"p{i % 60:02d}" for i in range(600)]
    alone = measure_negation(scores, labels, patients[:60], resampling=FEW)
    together = measure_negation(copies, ten, patients, resampling=FEW)
    apart = measure_negation(copies, ten, resampling=FEW)
    for result in (alone, together, apart):
        assert result.macro is not None
    width = [result.macro.high - result.macro.low for result in (alone, together, apart)]
    assert width[1] == pytest.approx(width[0])
    assert width[2] < 0.6 * width[0]
    assert alone.macro.low <= alone.macro.value <= alone.macro.high


def test_a_finding_that_cannot_be_tested_is_named():
    labels = labels_of([[1, 0], [np.nan, 0], [0, 0]])
    scores = scores_of(labels, np.zeros((3, 2)), np.zeros((3, 2)))
    result = measure_negation(scores, labels, resampling=FEW)
    assert result.left_out == {"Lung_Mass": "no positive among 3 cases"}
    assert list(result.per_class) == ["edema"]
    labels = labels_of([[1, 1], [1, np.nan]])
    result = measure_negation(scores_of(labels, np.zeros((2, 2)), np.zeros((2, 2))), labels, resampling=FEW)
    assert result.left_out == {
        "edema": "no negative among 2 cases",
        "Lung_Mass": "no negative among 1 cases",
    }
    assert (result.macro, result.macro_in_abnormals, result.per_class, result.templates) == (
        None,
        None,
        {},
        {},
    )


def test_without_other_findings_there_is_nothing_to_say_of_abnormals():
    labels = labels_of([[1], [0], [1], [0]], findings=("edema",))
    result = measure_negation(scores_of(labels, labels.present, 1 - labels.present), labels, resampling=FEW)
    test = result.per_class["edema"]
    assert (test.absent_in_abnormals, test.balanced_in_abnormals, result.macro_in_abnormals) == (
        None,
        None,
        None,
    )


def test_the_result_is_plain_json():
    labels = random_labels(30)
    rng = np.random.default_rng(0)
    scores = scores_of(labels, rng.normal(size=(30, 2)), rng.normal(size=(30, 2)))
    block = dataclasses.asdict(measure_negation(scores, labels, resampling=FEW))
    assert json.loads(json.dumps(block, allow_nan=False)) == block
    assert block["macro"].keys() == {"value", "low", "high"}
    assert {"present", "absent", "balanced", "auc_of_difference", "n_present", "n_absent"} <= block[
        "per_class"
    ]["edema"].keys()


def test_mistakes():
    labels = random_labels(10)
    scores = scores_of(labels, np.zeros((10, 2)), np.zeros((10, 2)))
    with pytest.raises(InputError, match="3 patients for 10 images"):
        measure_negation(scores, labels, ["a", "b", "c"], resampling=FEW)
    fewer = Scores(scores.image_ids, scores.prompts[:-1], scores.logits[:, :-1], scores.embeddings)
    with pytest.raises(
        InputError, match=r"1 prompt\(s\) were not scored, such as 'No evidence of lung mass.'"
    ):
        measure_negation(fewer, labels, resampling=FEW)
    with pytest.raises(DataError, match="have no labels"):
        measure_negation(scores, labels.select(labels.image_ids[1:]), resampling=FEW)


values = st.lists(st.integers(-2, 2), min_size=8, max_size=8)


@settings(derandomize=True, deadline=None)
@given(values, values)
def test_pairwise_turns_round_with_the_labels(assertion, denial):
    a, d, present = np.array(assertion, float), np.array(denial, float), np.array([1, 0] * 4, float)
    right = pairwise(a, d, present)
    assert 0 <= right <= 1
    # Both sentences exchanged and both labels exchanged: the same question.
    assert pairwise(d, a, 1 - present) == pytest.approx(right)

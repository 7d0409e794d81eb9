"""Study-level fusion: hand-computed means and extremes, what is true of a study, and what can be learned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.errors import DataError, InputError
from offclip.evaluation.cases import Cases
from offclip.evaluation.fusion import MIN_STUDIES, fuse, fuse_studies
from offclip.evaluation.statistics.ranks import auc

NAN = np.nan


def _images():
    """Three studies of two patients, out of order: s1 has two images, s2 one, s3 three."""
    return Cases.of(
        ["a", "b", "c", "d", "e", "f"],
        ["mass", "edema"],
        [[1.0, 0.0], [5.0, 5.0], [3.0, -2.0], [0.0, 1.0], [2.0, 2.0], [7.0, 3.0]],
        [[0, NAN], [0, 0], [1, 0], [0, 0], [NAN, 0], [0, 0]],
        normal=[1, 1, 0, 1, NAN, 1],
        study_ids=["s1", "s2", "s1", "s3", "s3", "s3"],
        patient_ids=["p", "q", "p", "p", "p", "p"],
        normal_scores={"There is no finding.": np.array([4.0, 1.0, 2.0, 9.0, 6.0, 0.0])},
        attributes={
            "view": ["PA", "AP", "lateral", None, "PA", "PA"],
            "sex": ["F", "M", "F", "F", "F", "F"],
            "age": ["40", "50", "41", "42", "42", "42"],
        },
    )


def test_means_and_truth_by_hand():
    studies = fuse(_images())
    assert studies.ids == studies.study_ids == ("s1", "s2", "s3")
    assert studies.patient_ids == ("p", "q", "p")
    assert studies.scores.tolist() == [[2.0, -1.0], [5.0, 5.0], [3.0, 2.0]]
    assert studies.normal_scores["There is no finding."].tolist() == [3.0, 1.0, 5.0]
    # Any positive; all absent; one unknown among absent ones.
    np.testing.assert_array_equal(studies.truth, [[1, NAN], [0, 0], [NAN, 0]])
    np.testing.assert_array_equal(studies.normal, [0, 1, NAN])


def test_the_largest_finding_and_the_least_normal_view():
    studies = fuse(_images(), "max")
    assert studies.scores.tolist() == [[3.0, 0.0], [5.0, 5.0], [7.0, 3.0]]
    assert studies.normal_scores["There is no finding."].tolist() == [2.0, 1.0, 0.0]


def test_attributes_are_kept_where_all_images_agree():
    studies = fuse(_images())
    assert studies.attributes["view"] == ("mixed", "AP", None)
    assert studies.attributes["sex"] == ("F", "M", "F")
    assert studies.attributes["age"] == (None, "50", "42")


def test_one_unknown_image_does_not_hide_an_abnormal_one():
    cases = Cases.of(["a", "b"], ["m"], [[0.0], [0.0]], [[0], [0]], normal=[NAN, 0], study_ids=["s", "s"])
    assert fuse(cases).normal.tolist() == [0.0]


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.permutations(range(6)), st.sampled_from(["mean", "max"]))
def test_the_order_of_the_images_changes_nothing(order, how):
    whole, shuffled = fuse(_images(), how), fuse(_images().select(list(order)), how)
    back = [shuffled.ids.index(study) for study in whole.ids]
    again = shuffled.select(back)
    np.testing.assert_allclose(again.scores, whole.scores)
    np.testing.assert_array_equal(again.truth, whole.truth)
    np.testing.assert_array_equal(again.normal, whole.normal)
    assert again.attributes == whole.attributes


def test_studies_of_one_image_are_the_images():
    cases = _images()
    single = Cases.of(
        cases.ids, cases.findings, cases.scores, cases.truth, normal=cases.normal, study_ids=list("uvwxyz")
    )
    for how in ("mean", "max"):
        studies = fuse(single, how)
        np.testing.assert_array_equal(studies.scores, cases.scores)
        np.testing.assert_array_equal(studies.truth, cases.truth)


def test_a_study_in_two_patients_is_refused():
    cases = Cases.of(
        ["a", "b"], ["m"], [[0.0], [0.0]], [[0], [0]], study_ids=["s", "s"], patient_ids=["p", "q"]
    )
    with pytest.raises(DataError, match="Study s has images of two patients, p and q"):
        fuse(cases)


def test_unknown_studies_are_refused_unless_the_table_named_them():
    cases = Cases.of(["a", "b"], ["m"], [[0.0], [1.0]], [[0], [1]])
    with pytest.raises(DataError, match="study_id is missing"):
        fuse(cases)
    assert fuse(cases, studies_known=True).ids == ("a", "b")
    with pytest.raises(DataError, match="study_id is missing"):
        fuse(_images(), studies_known=False)


def test_no_case_and_an_unknown_way_are_refused():
    with pytest.raises(DataError, match="no case"):
        fuse(_images().select([]))
    with pytest.raises(InputError, match="median"):
        fuse(_images(), "median")  # pyright: ignore[reportArgumentType]


def _views(n, seed, *, prefix="s", lateral_signal=2.0, positives=0.4):
    """n studies of a noisy frontal and a telling lateral image, on different scales."""
    rng = np.random.default_rng(seed)
    present = (rng.random(n) < positives).astype(float)
    frontal = 5 + 0.3 * present + rng.normal(size=n)
    lateral = lateral_signal * present + rng.normal(size=n)
    studies = [f"{prefix}{i}" for i in range(n)]
    return Cases.of(
        [f"{s}-f" for s in studies] + [f"{s}-l" for s in studies],
        ["mass"],
        np.concatenate([frontal, lateral])[:, None],
        np.tile(present, 2)[:, None],
        study_ids=studies * 2,
        normal_scores={"normal": -np.concatenate([frontal, lateral])},
        attributes={"view": ["PA"] * n + ["Lateral"] * n},
    )


def test_learned_fusion_finds_the_view_that_tells():
    images = _views(600, 0)
    learned = fuse_studies(images, "learned", validation=_views(600, 1, prefix="v"))
    assert learned.fell_back == ()
    studies, mean = learned.cases, fuse(images)
    positive = studies.truth[:, 0] == 1
    assert auc(studies.scores[:, 0], positive) > auc(mean.scores[:, 0], positive) + 0.03
    # The normal score rises with normality, as it came.
    assert auc(studies.normal_scores["normal"], studies.normal == 1) > 0.85


def test_learned_fusion_of_noise_is_no_better_than_chance_when_cross_fitted():
    rng = np.random.default_rng(5)
    images = _views(300, 2)
    truth = np.tile(rng.integers(0, 2, 300), 2).astype(float)[:, None]
    noise = Cases.of(
        images.ids, ["mass"], images.scores, truth, study_ids=images.study_ids, attributes=images.attributes
    )
    studies = fuse(noise, "learned")
    # Fitted and applied to the same studies it would lie well above one half.
    assert auc(studies.scores[:, 0], studies.truth[:, 0] == 1) < 0.56


def test_cross_fitting_depends_on_the_seed_only():
    images = _views(200, 3)
    once, again = fuse(images, "learned", seed=1), fuse(images, "learned", seed=1)
    np.testing.assert_array_equal(once.scores, again.scores)
    assert not np.array_equal(once.scores, fuse(images, "learned", seed=2).scores)


def test_classes_that_are_too_small_keep_their_mean_and_are_named():
    images = _views(200, 4)
    rare = np.zeros((400, 1))
    rare[: MIN_STUDIES - 1] = 1
    both = Cases.of(
        images.ids,
        ["mass", "hernia"],
        np.hstack([images.scores, images.scores]),
        np.hstack([images.truth, rare]),
        study_ids=images.study_ids,
    )
    fused = fuse_studies(both, "learned")
    assert fused.fell_back == ("hernia",)
    np.testing.assert_allclose(fused.cases.scores[:, 1], fuse(both).scores[:, 1])


def test_a_handful_of_studies_keep_their_means():
    fused = fuse_studies(_images(), "learned")
    assert fused.fell_back == ("mass", "edema", "There is no finding.")
    np.testing.assert_allclose(fused.cases.scores, fuse(_images()).scores)


def test_learned_fusion_works_without_views_and_with_single_images():
    images = _views(200, 6)
    plain = Cases.of(images.ids, ["mass"], images.scores, images.truth, study_ids=images.study_ids)
    some = plain.select(np.r_[0:200, 250:300])  # most studies keep the frontal image alone
    studies = fuse(some, "learned", validation=_without_views(_views(200, 7, prefix="v")))
    assert np.isfinite(studies.scores).all()


def _without_views(cases):
    return Cases.of(cases.ids, ["mass"], cases.scores, cases.truth, study_ids=cases.study_ids)


def test_learned_fusion_refuses_a_patient_on_both_sides_and_other_classes():
    images = _views(60, 8)
    with pytest.raises(DataError, match="60 patient"):
        fuse(images, "learned", validation=images)
    with pytest.raises(InputError, match="other findings"):
        fuse(images, "learned", validation=_without_views(_views(60, 8, prefix="v")))

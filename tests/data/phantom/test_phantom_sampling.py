"""Who has what: shares, patients, splits, refusals."""

import collections

import numpy as np
import pytest

from offclip.data.phantom import FINDINGS, phantom_case
from offclip.data.phantom.acquisition import draw_pose
from offclip.data.phantom.findings import KINDS, draw_findings
from offclip.data.phantom.streams import Purpose, patient_number, split_of, stream
from offclip.errors import ConfigError


@pytest.fixture(scope="module")
def drawn():
    return [draw_findings(stream(0, index, Purpose.FINDINGS)) for index in range(4000)]


def test_a_little_more_than_half_is_normal(drawn):
    assert 0.52 < np.mean([not findings for findings in drawn]) < 0.58


def test_every_finding_occurs_about_as_often_as_its_weight(drawn):
    counts = collections.Counter(finding.name for findings in drawn for finding in findings)
    assert set(counts) == set(FINDINGS)
    assert all(0.02 < counts[name] / len(drawn) < 0.16 for name in FINDINGS)
    assert counts["pleural effusion"] > counts["hiatal hernia"]


def test_no_finding_comes_twice(drawn):
    for findings in drawn:
        names = [finding.name for finding in findings]
        assert len(names) == len(set(names)) <= 3


def test_side_zone_and_severity_are_what_the_kind_says(drawn):
    kinds = {kind.name: kind for kind in KINDS}
    for finding in (finding for findings in drawn for finding in findings):
        kind = kinds[finding.name]
        assert (finding.side is None) == (kind.left_share is None)
        assert (finding.zone is None) == (not kind.zones)
        assert 0.0 <= finding.severity < 1.0


def test_severity_is_worded_in_thirds(drawn):
    words = {finding.size_word for findings in drawn for finding in findings}
    assert words == {"small", "moderate", "large"}
    assert {finding.degree_word for findings in drawn for finding in findings} == {
        "mild",
        "moderate",
        "severe",
    }


def test_a_fifth_of_the_patients_has_more_than_one_study():
    studies = collections.Counter(patient_number(0, index) for index in range(5000))
    assert 0.17 < np.mean([count > 1 for count in studies.values()]) < 0.23


def test_a_patients_number_is_that_of_the_first_study():
    for index in range(500):
        patient = patient_number(3, index)
        assert patient <= index
        assert patient_number(3, patient) == patient


def test_studies_of_a_patient_share_the_anatomy_and_nothing_else():
    index = next(i for i in range(1, 100) if patient_number(0, i) == i - 1)
    first, second = phantom_case(0, index - 1, 64), phantom_case(0, index, 64)
    assert first.patient_id == second.patient_id
    assert first.study_id != second.study_id
    assert not np.array_equal(first.image, second.image)


def test_splits_are_by_patient_and_near_their_fractions():
    patients = {patient_number(0, index) for index in range(6000)}
    splits = collections.Counter(split_of(0, patient) for patient in patients)
    shares = {name: count / len(patients) for name, count in splits.items()}
    assert shares == pytest.approx({"train": 0.7, "validate": 0.1, "test": 0.2}, abs=0.03)


@pytest.mark.parametrize(
    ("fractions", "allowed"),
    [((1.0, 0.0, 0.0), {"train"}), ((0.0, 1.0, 0.0), {"validate"}), ((0.5, 0.0, 0.5), {"train", "test"})],
)
def test_an_empty_split_stays_empty(fractions, allowed):
    assert {split_of(1, patient, fractions) for patient in range(300)} == allowed


def test_both_views_occur_in_normal_and_abnormal_studies():
    share = {
        normal: np.mean([draw_pose(stream(0, i, Purpose.POSE), normal).view == "AP" for i in range(2000)])
        for normal in (True, False)
    }
    assert 0.25 < share[True] < 0.35
    assert 0.40 < share[False] < 0.50


def test_ids_have_their_shape():
    case = phantom_case(0, 123, 32)
    assert case.study_id == "S000123"
    assert case.image_id == f"S000123_{case.view}"
    assert case.patient_id == f"P{patient_number(0, 123):05d}"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"seed": -1, "index": 0}, "seed"),
        ({"seed": 0, "index": -1}, "index"),
        ({"seed": 0, "index": 0, "size": 31}, "31 pixels"),
        ({"seed": 0, "index": 0, "size": 2049}, "2049 pixels"),
        ({"seed": 0, "index": 0, "style": "terse"}, "terse"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_a_remedy(arguments, word):
    with pytest.raises(ConfigError, match=word) as caught:
        phantom_case(**arguments)
    assert caught.value.remedy

"""Which group a case belongs to."""

from __future__ import annotations

import pytest

from offclip.evaluation.cases import Cases
from offclip.evaluation.normal.groups import age_in_years, group_value, groups_of


def _groups(**attributes):
    n = len(next(iter(attributes.values())))
    cases = Cases.of([f"i{i}" for i in range(n)], ["mass"], [[0.0]] * n, [[0]] * n, attributes=attributes)
    return [(group.attribute, group.value, group.rows.tolist()) for group in groups_of(cases)]


@pytest.mark.parametrize(
    ("age", "band"),
    [
        ("0", "<18"),
        ("17.9", "<18"),
        ("18", "18-39"),
        ("39", "18-39"),
        ("40", "40-59"),
        ("060Y", "60-79"),
        ("79", "60-79"),
        ("80", ">=80"),
        (">89", ">=80"),
        ("90+", ">=80"),
        ("011M", "<18"),
        ("411", "unknown"),
        ("adult", "unknown"),
        ("-3", "unknown"),
        (None, "unknown"),
        ("  ", "unknown"),
    ],
)
def test_age_bands(age, band):
    assert group_value("age", age) == band


def test_units_of_dicom_ages():
    assert age_in_years("006M") == 0.5
    assert age_in_years("010D") == pytest.approx(10 / 365.25)
    assert age_in_years("052W") == pytest.approx(1, abs=0.01)


def test_age_bands_stand_in_order_and_the_unknown_last():
    assert _groups(age=["85", None, "20", "70", "20"]) == [
        ("age", "18-39", [2, 4]),
        ("age", "60-79", [3]),
        ("age", ">=80", [0]),
        ("age", "unknown", [1]),
    ]


def test_other_groups_stand_by_size_and_sexes_have_one_spelling():
    assert _groups(sex=["M", "female", "F", None, "f"]) == [
        ("sex", "F", [1, 2, 4]),
        ("sex", "M", [0]),
        ("sex", "unknown", [3]),
    ]


def test_an_attribute_that_nobody_knows_makes_no_group():
    assert _groups(view=[None, ""], source=["a", "b"]) == [("source", "a", [0]), ("source", "b", [1])]

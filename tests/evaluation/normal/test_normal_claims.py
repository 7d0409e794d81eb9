"""What a set of so many abnormal cases can claim, against Clopper-Pearson itself."""

from __future__ import annotations

import pytest

from offclip.errors import InputError
from offclip.evaluation.normal.claims import abnormals_needed, judge, percent
from offclip.evaluation.statistics.estimate import clopper_pearson


@pytest.mark.parametrize(
    ("sensitivity", "needed"), [(0.95, 72), (0.98, 183), (0.99, 368), (0.995, 736), (0.999, 3688)]
)
def test_the_least_number_is_the_first_whose_exact_limit_reaches_the_sensitivity(sensitivity, needed):
    assert abnormals_needed(sensitivity) == needed
    assert clopper_pearson(needed, needed).low >= sensitivity
    assert clopper_pearson(needed - 1, needed - 1).low < sensitivity


def test_too_few_abnormals_refuse_the_claim_even_without_a_miss():
    claim = judge(0.999, 1.0, clopper_pearson(3687, 3687).low, 3687)
    assert claim.verdict == "refused"
    assert "3,688 are needed" in claim.reason
    assert judge(0.999, 1.0, clopper_pearson(3688, 3688).low, 3688).verdict == "supported"


def test_enough_abnormals_with_too_many_misses_do_not_support_the_claim():
    claim = judge(0.99, 0.9905, 0.9885, 10505)
    assert claim.verdict == "not supported"
    assert (
        claim.reason
        == "99.05 % of 10,505 abnormal cases are kept, and the lower limit is 98.85 %, below 99 %"
    )


@pytest.mark.parametrize("sensitivity", [0.0, 1.0, 1.5, -0.1])
def test_a_sensitivity_out_of_range_is_refused(sensitivity):
    with pytest.raises(InputError):
        abnormals_needed(sensitivity)


def test_shares_are_written_without_useless_digits():
    assert [percent(s) for s in (0.9, 0.995, 0.9999)] == ["90 %", "99.5 %", "99.99 %"]

"""Rules that sort classes by their positives."""

import numpy as np
import pytest

from offclip.errors import ConfigError
from offclip.evaluation.findings import assign_groups

CARZERO = {"head": "positives > percentile 65", "medium": "between", "tail": "positives <= 10"}


def test_carzeros_groups():
    counts = {f"c{i}": count for i, count in enumerate([0, 3, 10, 11, 20, 30, 40, 500, 600, 700])}
    found = assign_groups(CARZERO, counts)
    border = np.percentile(list(counts.values()), 65)
    assert found["head"] == tuple(name for name, count in counts.items() if count > border)
    assert found["tail"] == ("c0", "c1", "c2")
    assert found["medium"] == ("c3", "c4", "c5")
    assert list(found) == ["head", "medium", "tail"]


def test_conditions_are_joined_by_and_and_may_overlap():
    rules = {"some": "positives > 1 and positives < 4", "few": "positives <=2", "two": "positives == 2"}
    found = assign_groups(rules, {"a": 1, "b": 2, "c": 3, "d": 4})
    assert found == {"some": ("b", "c"), "few": ("a", "b"), "two": ("b",)}


def test_no_rule_and_no_class():
    assert assign_groups({}, {"a": 1}) == {}
    assert assign_groups(CARZERO, {}) == {"head": (), "medium": (), "tail": ()}


@pytest.mark.parametrize(
    "rule",
    ["", "all", "positives", "positives <= ten", "positives <= 10 or positives > 20", "negatives > 3",
     "positives <= 10)", "__import__('os').getpid() > 0", "positives > percentile", "positives > 10 and"],
)  # fmt: skip
@pytest.mark.parametrize("counts", [{"a": 1}, {}])
def test_other_rules_are_refused(rule, counts):
    with pytest.raises(ConfigError, match="cannot be read"):
        assign_groups({"head": rule}, counts)


def test_a_percentile_above_100_is_refused():
    with pytest.raises(ConfigError, match="cannot be read"):
        assign_groups({"head": "positives > percentile 650"}, {"a": 1})

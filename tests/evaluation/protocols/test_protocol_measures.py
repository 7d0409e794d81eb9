"""Exclusions, groups of classes and extra measures, against independent computations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import softmax
from sklearn.metrics import accuracy_score, f1_score

from offclip.errors import ConfigError, InputError
from offclip.evaluation.protocols.exclusions import exclude
from offclip.evaluation.protocols.extras import protocol_extras
from offclip.evaluation.protocols.groups import assign_groups
from offclip.evaluation.protocols.load import load_protocol
from offclip.evaluation.protocols.protocol import Protocol

NAN = np.nan


@pytest.mark.parametrize(
    ("rule", "left_out"),
    [
        ("no-class-present", [True, False, False, False, False]),
        ("no-label", [False, False, False, True, False]),
        ("not-exactly-one-class", [True, False, True, True, False]),
    ],
)
def test_exclusions(rule, left_out):
    truth = np.array([[0, 0], [0, 1], [1, 1], [NAN, NAN], [1, NAN]])
    assert exclude(Protocol("a", "A", exclude=(rule,)), truth).tolist() == left_out


def test_exclusions_need_a_column_for_every_class():
    with pytest.raises(InputError, match="17 classes"):
        exclude(load_protocol("vindr-cxr-peer"), np.zeros((3, 16)))
    with pytest.raises(ConfigError, match="no exclusion 'all'"):
        exclude(Protocol("a", "A", exclude=("all",)), np.zeros((3, 2)))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.data())
def test_f1_of_the_argmax_is_that_of_scikit_learn(data):
    n, c = data.draw(st.integers(1, 30)), data.draw(st.integers(2, 5))
    scores = data.draw(hnp.arrays(np.float64, (n, c), elements=st.floats(-3, 3)))
    truth = data.draw(hnp.arrays(np.int64, (n, c), elements=st.integers(0, 1)))
    called = np.zeros((n, c), int)
    called[np.arange(n), scores.argmax(axis=1)] = 1
    found = protocol_extras(Protocol("a", "A", extras=("argmax-f1",)), list("vwxyz")[:c], scores, truth)
    for average in ("micro", "macro", "weighted"):
        expected = f1_score(truth, called, average=average, zero_division=0)
        assert found[f"{average} F1 of the argmax"] == pytest.approx(expected, abs=1e-12)


def test_the_quirk_of_5x200():
    protocol = load_protocol("chexpert-5x200-peer")
    names = [rule.name for rule in protocol.classes]
    rng = np.random.default_rng(5)
    scores, truth = rng.normal(size=(200, 5)), np.eye(5)[rng.integers(0, 5, 200)]
    found = protocol_extras(protocol, names, scores, truth)
    shares = softmax(scores, axis=1)
    assert found.pop("argmax accuracy") == accuracy_score(truth.argmax(1), shares.argmax(1))
    for place, name in enumerate(names):
        expected = accuracy_score(truth[:, place], shares[:, place].round())
        assert found.pop(f"accuracy of {name} by rounded softmax") == pytest.approx(expected)
    assert found == {}
    # A share below one half counts as nothing, so a wrong answer can be right for every class but one.
    even = protocol_extras(protocol, names, np.zeros((1, 5)), np.eye(5)[:1])
    assert even["accuracy of Atelectasis by rounded softmax"] == 0
    assert even["accuracy of Edema by rounded softmax"] == 1


def test_unknown_labels_are_left_out_of_the_extras():
    protocol = Protocol("a", "A", extras=("argmax-accuracy",))
    scores, truth = np.array([[2.0, 1], [3, 1]]), np.array([[1, 0], [0, NAN]])
    assert protocol_extras(protocol, ["x", "y"], scores, truth) == {"argmax accuracy": 1.0}
    with pytest.raises(InputError, match="no case has all labels"):
        protocol_extras(protocol, ["x", "y"], scores, np.full((2, 2), NAN))
    with pytest.raises(InputError, match="do not fit"):
        protocol_extras(protocol, ["x"], scores, truth)
    assert protocol_extras(Protocol("a", "A"), ["x", "y"], scores, truth) == {}


def test_head_medium_and_tail():
    protocol = load_protocol("padchest-192-peer")
    names = [rule.name for rule in protocol.classes]
    rng = np.random.default_rng(1)
    counts = rng.permutation(np.arange(3, 195))
    groups = assign_groups(protocol.groups, dict(zip(names, counts.tolist(), strict=True)))
    limit = np.percentile(counts, 65)
    assert set(groups["head"]) == {n for n, c in zip(names, counts, strict=True) if c > limit}
    assert set(groups["tail"]) == {n for n, c in zip(names, counts, strict=True) if c <= 10}
    assert len(groups["head"]) + len(groups["medium"]) + len(groups["tail"]) == 192
    assert set(groups["100 rarest"]) == {n for n, c in zip(names, counts, strict=True) if c < 103}
    assert groups["five asked"][-1] == "pneumonia"


@pytest.mark.parametrize(
    "rule",
    ["positives > p200", "positives = 3", "tail", "rarest few", "positives > 3 or", "", "positives <= ten",
     "__import__('os').getpid() > 0", "positives <= 10 or positives > 20", "positives > p",
     "positives > 10 and"],
)  # fmt: skip
def test_a_group_that_cannot_be_understood(rule):
    with pytest.raises(ConfigError, match="cannot be understood"):
        assign_groups({"g": rule}, {"x": 1})


def test_groups_may_overlap_or_be_empty():
    rules = {"some": "positives > 1 and positives < 4", "few": "positives <= 2", "none": "positives > 9"}
    assert assign_groups(rules, {"a": 1, "b": 2, "c": 3}) == {
        "some": ("b", "c"),
        "few": ("a", "b"),
        "none": (),
    }
    assert assign_groups(rules, {}) == {"some": (), "few": (), "none": ()}

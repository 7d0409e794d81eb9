"""How rules and classifier become one label."""

import numpy as np
import pytest

from offclip.errors import ConfigError
from offclip.reports import Conventions, RuleLabeller, SentenceLabel
from offclip.reports.classifier import ClassifierLabeller, Thresholds
from offclip.reports.classifier.combine import combine
from offclip.reports.classifier.training_set import sentence_key

UNKNOWN = "The thymus juts out."  # no word of it is in the lexicon


class Fixed:
    """A model that always says the same, and remembers what it was asked."""

    def __init__(self, *chances: float) -> None:
        self.chances = chances
        self.asked: list[str] = []

    def probabilities(self, sentences):
        self.asked += sentences
        return np.tile(np.float32(self.chances), (len(sentences), 1))


def label(chances, undecided="uncertain", reason="undecided", rule="uncertain", **thresholds):
    found = combine(SentenceLabel(rule, reason), np.array(chances), Thresholds(**thresholds), undecided)
    return found.label, found.reason


def test_the_sentence_used_here_is_unknown_to_the_rules():
    assert RuleLabeller()(UNKNOWN).reason == "undecided"


@pytest.mark.parametrize(
    ("chances", "undecided", "expected"),
    [
        ((0.02, 0.03, 0.95), "uncertain", ("abnormal", "classifier:0.95")),
        ((0.97, 0.03, 0.0), "uncertain", ("normal", "classifier:0.97")),
        ((0.4, 0.0, 0.6), "uncertain", ("uncertain", "undecided")),
        ((0.4, 0.0, 0.6), "abnormal", ("abnormal", "classifier:0.60")),
        ((0.8, 0.0, 0.2), "abnormal", ("uncertain", "classifier:0.20")),
        ((0.98, 0.0, 0.02), "abnormal", ("normal", "classifier:0.98")),
    ],
)
def test_undecided_sentences(chances, undecided, expected):
    assert label(chances, undecided) == expected


def test_what_the_rules_decided_stays_unless_a_threshold_allows_more():
    surely_abnormal, surely_normal = (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)
    for rule, reason, chances in (
        ("normal", "negated:mass", surely_abnormal),
        ("abnormal", "asserted:mass", surely_normal),
        ("uncertain", "non-finding:views", surely_abnormal),
    ):
        assert label(chances, reason=reason, rule=rule) == (rule, reason)
        assert label(chances, "abnormal", reason, rule) == (rule, reason)
    assert label(surely_abnormal, reason="negated:mass", rule="normal", veto_from=0.9)[0] == "abnormal"
    assert label(surely_normal, reason="asserted:mass", rule="abnormal", veto_from=0.9)[0] == "normal"
    assert label(surely_abnormal, reason="non-finding:views", non_finding_from=0.9)[0] == "abnormal"


@pytest.mark.parametrize(
    "wrong", [{"abnormal_from": 0.5}, {"normal_from": "0.9"}, {"recall_first_from": 0}, {"veto_from": True}]
)
def test_a_wrong_threshold_is_named(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))) as caught:
        Thresholds(**wrong)
    assert caught.value.remedy


def test_only_undecided_sentences_are_given_to_the_model():
    model = Fixed(0.0, 0.0, 1.0)
    sentences = ["No effusion.", UNKNOWN, "Small effusion.", "PA and lateral views of the chest."]
    labels = ClassifierLabeller(model, RuleLabeller()).label_many(sentences)
    assert model.asked == [UNKNOWN]
    assert [found.label for found in labels] == ["normal", "abnormal", "abnormal", "uncertain"]
    assert labels[2] == RuleLabeller()("Small effusion.")
    everything = Thresholds(veto_from=0.99, non_finding_from=0.99)
    ClassifierLabeller(model, RuleLabeller(), everything).label_many(sentences)
    assert model.asked == [UNKNOWN, *sentences]


def test_one_sentence_is_labelled_as_many_are():
    labeller = ClassifierLabeller(Fixed(0.0, 0.0, 1.0), RuleLabeller())
    for sentence in (UNKNOWN, "No effusion.", ""):
        assert labeller(sentence) == labeller.label_many([sentence])[0]
    assert labeller.label_many([]) == []


def test_the_recall_first_convention_reaches_the_classifier():
    rules = RuleLabeller(conventions=Conventions(undecided="abnormal"))
    assert rules(UNKNOWN).label == "abnormal"
    assert ClassifierLabeller(Fixed(0.2, 0.7, 0.1), rules)(UNKNOWN).label == "uncertain"


def test_hand_labels_win_over_everything_and_keep_the_mentions():
    corrections = {sentence_key("Small effusion."): "normal", sentence_key("No mass."): "normal"}
    labeller = ClassifierLabeller(Fixed(0.0, 0.0, 1.0), RuleLabeller(), corrections=corrections)
    corrected, agreed = labeller.label_many(["SMALL  effusion.", "No mass."])
    assert (corrected.label, corrected.reason) == ("normal", "classifier:hand")
    assert [mention.finding for mention in corrected.mentions] == ["pleural effusion"]
    assert agreed.reason == "negated:lung mass" or agreed.reason.startswith("negated:")

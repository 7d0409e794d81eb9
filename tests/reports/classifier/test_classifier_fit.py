"""Fitting: what is taught, what is held out, and that the same input gives the same weights."""

import random
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from offclip.errors import ConfigError, DataError
from offclip.reports import RuleLabeller
from offclip.reports.classifier import CLASSES, HandLabel
from offclip.reports.classifier.features import near_duplicate_key, sentence_features
from offclip.reports.classifier.fit import fit_classifier, fit_linear
from offclip.reports.classifier.metrics import agreement
from offclip.reports.classifier.settings import FitConfig
from offclip.reports.classifier.training_set import make_training_set, split_validation

RULES = RuleLabeller()
UNKNOWN = "The thymus juts out."


def dense_features(sentences, config) -> np.ndarray:
    table = np.zeros((len(sentences), config.columns))
    for i, sentence in enumerate(sentences):
        features = sentence_features([sentence], config)
        np.add.at(table[i], features.columns, features.values)
    return table


def targets(data) -> dict[str, str]:
    return {text: CLASSES[target] for text, target in zip(data.sentences, data.targets, strict=True)}


def test_rules_teach_and_undecided_sentences_are_left_out():
    data = make_training_set(["No mass.", "A mass.", "NO  MASS.", "PA view.", UNKNOWN, "", " "], RULES)
    assert data.undecided == 1
    labels = targets(data)
    assert UNKNOWN not in labels
    assert labels == {"A mass.": "abnormal", "NO  MASS.": "normal"} | (
        {"PA view.": "uncertain"} if "PA view." in labels else {}
    )


def test_hand_labels_win_and_weigh_more():
    hand = [HandLabel("no MASS.", "uncertain"), HandLabel(UNKNOWN, "abnormal"), HandLabel("Fine.", "normal")]
    data = make_training_set(["No mass.", "A mass.", UNKNOWN], RULES, hand, 7.0)
    labels = targets(data)
    assert labels == {
        "no MASS.": "uncertain",
        UNKNOWN: "abnormal",
        "Fine.": "normal",
        "A mass.": "abnormal",
    }
    assert dict(zip(data.sentences, data.weights, strict=True)) == {
        "no MASS.": 7.0,
        UNKNOWN: 7.0,
        "Fine.": 7.0,
        "A mass.": 1.0,
    }
    assert data.undecided == 0


@pytest.mark.parametrize(
    ("sentences", "hand", "message"),
    [
        ([], [], "no sentence to learn from"),
        (["", "  "], [], "no sentence to learn from"),
        (["A mass.", "Edema."], [], "No sentence to learn from is normal"),
        (["No mass."], [], "No sentence to learn from is abnormal"),
        ([UNKNOWN], [], "1 undecided"),
        (["A mass."], [HandLabel("x", "sick", "hand.csv: row 4")], r"hand.csv: row 4: unknown label 'sick'"),
        (["A mass."], [HandLabel(" ", "normal", "hand.csv: row 2")], "row 2: there is no sentence"),
        (
            ["A mass."],
            [HandLabel("X y.", "normal", "row 2"), HandLabel("x  Y.", "abnormal", "row 9")],
            "row 9: the sentence is abnormal, but normal at row 2",
        ),
    ],
)
def test_what_cannot_be_learnt_from_is_explained(sentences, hand, message):
    with pytest.raises(DataError, match=message) as caught:
        make_training_set(sentences, RULES, hand)
    assert caught.value.remedy


def test_the_limit_draws_by_seed_and_spares_hand_labels(corpus):
    hand = [HandLabel("Seen by hand.", "normal")]
    first, again, other = (
        make_training_set(corpus, RULES, hand, limit=30, seed=seed).sentences for seed in (0, 0, 1)
    )
    assert first == again != other
    assert len(first) == 31
    assert "Seen by hand." in first


def test_near_duplicates_never_cross_the_split(corpus):
    twins = [text.replace("There is a ", "A ").replace(".", "") for text in corpus]
    data = make_training_set([*corpus, *twins], RULES)
    held = split_validation(data, 0.3, 0)
    assert 0.15 < held.mean() < 0.45
    sides = [{near_duplicate_key(s) for s in data.subset(side).sentences} for side in (held, ~held)]
    assert not sides[0] & sides[1]
    assert not (held == split_validation(data, 0.3, 1)).all()


def test_the_same_input_gives_the_same_weights_in_any_order(corpus, small, fitted):
    shuffled = random.Random(3).sample(corpus, len(corpus))
    again = fit_classifier(shuffled, RULES, config=FitConfig(validation=0.3), linear=small)
    assert again.model.weights.tobytes() == fitted.model.weights.tobytes()
    assert again.model.bias.tobytes() == fitted.model.bias.tobytes()
    assert again.report == fitted.report


def test_it_learns_the_rules_and_reports_it(fitted):
    report = fitted.report
    assert report.sentences == {"normal": 48, "uncertain": 4, "abnormal": 48}
    assert report.validation.accuracy > 0.9
    assert report.validation.sentences > 15
    assert report.hand is None
    chances = fitted.model.probabilities(["There is a new left opacity.", "No right opacity is seen."])
    assert chances.argmax(axis=1).tolist() == [2, 0]
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_those_of_scikit_learn(corpus, small, classes):
    data = make_training_set([text for text in corpus if classes == 3 or " of the chest" not in text], RULES)
    assert len(set(data.targets)) == classes
    dense = dense_features(data.sentences, small.features)
    reference = LogisticRegression(class_weight="balanced", max_iter=1000).fit(dense, data.targets)
    unseen = ["There is a large left effusion.", "No effusion today.", "Two views submitted.", ""]
    expected = np.zeros((4, 3))
    expected[:, reference.classes_] = reference.predict_proba(dense_features(unseen, small.features))
    np.testing.assert_allclose(fit_linear(data, small).probabilities(unseen), expected, atol=2e-3)


def test_a_class_that_never_occurs_gets_no_probability(small):
    data = make_training_set(["No mass.", "No edema.", "A mass.", "Edema."], RULES)
    assert data.counts()["uncertain"] == 0
    model = fit_linear(data, small)
    chances = model.probabilities(["No nodule.", "Nodule.", ""])
    assert not chances[:, 1].any()
    assert chances[0, 0] > 0.5 > chances[1, 0]


def test_hand_labels_are_judged_by_models_that_were_not_taught_them(corpus, small):
    # Every hand label contradicts the rules; only a model that was taught the sentence itself can agree.
    hand = [HandLabel(corpus[i], "normal") for i in (0, 9, 20)]
    config = FitConfig(validation=0.3, folds=10, hand_weight=1.0)
    fitted = fit_classifier(corpus, RULES, hand, config, replace(small, regularisation=1e4))
    assert fitted.model.probabilities([item.sentence for item in hand]).argmax(axis=1).tolist() == [0, 0, 0]
    found = fitted.report.hand
    assert (found.rules, found.combined, found.classifier.accuracy) == (0, 0, 0)
    assert found.classifier.sentences == fitted.report.by_hand == 3


def test_too_few_sentences_to_hold_out_are_still_fitted(small):
    report = fit_classifier(["No mass.", "A mass."], RULES, linear=small).report
    assert report.validation is None


def test_calibration_error():
    sure = np.tile(np.float32([1, 0, 0]), (4, 1))
    assert agreement(sure, np.array([0, 0, 0, 2])).calibration_error == 0.25
    assert agreement(sure, np.array([0, 0, 0, 2])).recall == {"normal": 1.0, "abnormal": 0.0}
    assert agreement(sure[:0], np.zeros(0, int)) is None


@pytest.mark.parametrize(
    "wrong",
    [{"seed": -1}, {"hand_weight": 0}, {"validation": 0.9}, {"limit": 1}, {"folds": 1}, {"seed": 0.5}],
)
def test_a_wrong_setting_is_named(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        replace(FitConfig(), **wrong)

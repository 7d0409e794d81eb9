"""Fits the linear classifier: distilled from the rules, corrected by hand, measured on held-out sentences."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from offclip.reports.classifier.features import FEATURES, sentence_features
from offclip.reports.classifier.linear import LinearModel
from offclip.reports.classifier.metrics import FitReport, HandAgreement, agreement, hand_agreement
from offclip.reports.classifier.settings import FitConfig, LinearConfig
from offclip.reports.classifier.training_set import (
    CLASSES,
    HandLabel,
    TrainingSet,
    check_classes,
    make_training_set,
    share_of,
    split_validation,
)
from offclip.reports.rules import RuleLabeller

OnStep = Callable[[str], None]
_MAX_STEPS = 1_000
# A logit so low that a class which was never seen gets no probability.
_NEVER = -1e4


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted labeller, ready to be written.

    Attributes:
        kind: `"linear"` or `"encoder"`.
        model: What gives the probabilities.
        settings: What the card must say for it to be loaded.
        report: What was taught and how well it went.
    """

    kind: str
    model: Any
    settings: Mapping[str, Any]
    report: FitReport


def fit_linear(data: TrainingSet, config: LinearConfig) -> LinearModel:
    """Fit softmax regression; the same data and configuration give the same weights.

    Args:
        data: At least one normal and one abnormal sentence.
        config: Features and regularisation.

    Returns:
        The model.

    Raises:
        DataError: There is only one class.
    """
    from scipy.sparse import csr_matrix
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    check_classes(data)
    rows = sentence_features(data.sentences, config.features)
    columns = config.features.columns
    table = csr_matrix((rows.values, rows.columns, rows.offsets), shape=(len(data.sentences), columns))
    classifier = LogisticRegression(C=config.regularisation, class_weight="balanced", max_iter=_MAX_STEPS)
    # One thread: sums in another order would change the last bits of the weights.
    with threadpool_limits(1), warnings.catch_warnings():
        # Stopped after 1,000 steps the weights are as good as converged.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(table, data.targets, sample_weight=data.weights)
    weights = np.zeros((len(CLASSES), columns), np.float32)
    bias = np.full(len(CLASSES), _NEVER, np.float32)
    if len(classifier.classes_) == 2:  # scikit-learn keeps one row: the logit of the second against the first
        weights[classifier.classes_[1]] = classifier.coef_[0]
        bias[classifier.classes_] = (0.0, np.ravel(classifier.intercept_)[0])
    else:
        weights[classifier.classes_] = classifier.coef_
        bias[classifier.classes_] = classifier.intercept_
    return LinearModel(config.features, weights, bias)


def cross_validate_hand(
    data: TrainingSet, rules: RuleLabeller, config: FitConfig, linear: LinearConfig, on_step: OnStep
) -> HandAgreement | None:
    """Judge every hand-labelled sentence by a model that was taught neither it nor a near-duplicate of it."""
    fold = np.array([int(share_of(group, config.seed) * config.folds) for group in data.groups])
    groups = {group for group, by_hand in zip(data.groups, data.by_hand, strict=True) if by_hand}
    near_hand = np.array([group in groups for group in data.groups])
    chances = np.zeros((len(data.sentences), len(CLASSES)), np.float32)
    for number in np.unique(fold[data.by_hand]):
        on_step(f"cross-validation on the hand labels, part {number + 1} of {config.folds}")
        model = fit_linear(data.subset(~(near_hand & (fold == number))), linear)
        judged = data.by_hand & (fold == number)
        chances[judged] = model.probabilities(data.subset(judged).sentences)
    hand = data.subset(data.by_hand)
    return hand_agreement(hand.sentences, chances[data.by_hand], hand.targets, rules, config.thresholds)


def fit_classifier(
    sentences: Iterable[str],
    rules: RuleLabeller,
    hand: Iterable[HandLabel] = (),
    config: FitConfig | None = None,
    linear: LinearConfig | None = None,
    on_step: OnStep = lambda _: None,
) -> Fitted:
    """Label, split, fit, measure, and fit again on everything.

    Args:
        sentences: Sentences of reports.
        rules: The labeller to distil.
        hand: Labels by a person.
        config: What is taught, and how it is measured.
        linear: Features and regularisation.
        on_step: Called with what is being done.

    Returns:
        The model fitted on all sentences, with the measurements of models that did not see what they judged.

    Raises:
        DataError: There is nothing to learn from, or the hand labels are faulty.

    Example:
        >>> texts = ["No effusion.", "No mass.", "Clear lungs.", "Effusion.", "A mass.", "Large effusion."]
        >>> fitted = fit_classifier(texts, RuleLabeller())
        >>> fitted.model.probabilities(["Bilateral effusion."])[0].argmax().item()
        2
    """
    config, linear = config or FitConfig(), linear or LinearConfig()
    on_step("labelling by rule")
    data = make_training_set(sentences, rules, hand, config.hand_weight, config.limit, config.seed)
    held = split_validation(data, config.validation, config.seed)
    validation = None
    if held.any():
        on_step("fitting without the validation sentences")
        model, judged = fit_linear(data.subset(~held), linear), data.subset(held)
        validation = agreement(model.probabilities(judged.sentences), judged.targets)
    by_hand = cross_validate_hand(data, rules, config, linear, on_step)
    on_step("fitting on all sentences")
    model = fit_linear(data, linear)
    report = FitReport(data.counts(), int(data.by_hand.sum()), data.undecided, validation, by_hand)
    settings = {"version": FEATURES, **dataclasses.asdict(linear.features)}
    return Fitted("linear", model, settings, report)

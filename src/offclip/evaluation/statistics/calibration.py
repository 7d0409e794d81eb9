"""Calibration: from a score to a probability. Three ways, one interface in the style of scikit-learn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
from scipy.optimize import root_scalar
from scipy.special import expit

from offclip.errors import DataError, InputError

Method = Literal["temperature", "platt", "isotonic"]


class Calibrator(ABC):
    """Learns what probability a score stands for.

    `fit` on data that the result is not measured on, then `predict`. What was learned stands in attributes
    with a trailing underscore and, for JSON, in `parameters`.
    """

    method: ClassVar[Method]

    def fit(self, scores: np.ndarray, positive: np.ndarray) -> Self:
        """Learns from scores and their truth.

        Args:
            scores: (N,) finite values, higher where the class is likelier.
            positive: (N,) bool.

        Raises:
            InputError: Shapes differ, or a score is not finite.
            DataError: There is one class only, or the scores are constant or useless for the method.
        """
        scores, positive = np.asarray(scores, np.float64), np.asarray(positive, bool)
        _require_usable(scores, positive)
        self._fit(scores, positive)
        return self

    @abstractmethod
    def predict(self, scores: np.ndarray) -> np.ndarray:
        """(N,) probabilities of (N,) scores.

        Raises:
            InputError: `fit` was not called.
        """

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """What was learned, as JSON can hold it; `restore` takes it back."""

    @abstractmethod
    def _fit(self, scores: np.ndarray, positive: np.ndarray) -> None: ...

    @abstractmethod
    def _set(self, parameters: Mapping[str, Any]) -> None: ...

    def _learned(self, name: str) -> Any:
        if not hasattr(self, name):
            raise InputError(f"{type(self).__name__} is not fitted.", "Call fit first.")
        return getattr(self, name)


class Temperature(Calibrator):
    """`sigmoid(score / T)` with the T of the largest likelihood: one number, and the order stays the same.

    It needs logits, which are 0 where both answers are equally likely. It cannot move that point: where a
    class is rarer among the cases than the model believes, `Platt` can mend it and this cannot.

    Attributes:
        temperature_: T, above 0.

    Source:
        Guo, Pleiss, Sun and Weinberger, ICML 2017, for one logit.

    Example:
        >>> scores, positive = np.array([-4.0, -2, 2, 4]), np.array([0, 1, 0, 1], bool)
        >>> Temperature().fit(scores, positive).temperature_ > 1  # the logits were too sure
        True
    """

    method: ClassVar[Method] = "temperature"
    temperature_: float

    def predict(self, scores: np.ndarray) -> np.ndarray:
        """(N,) probabilities of (N,) scores."""
        return expit(np.asarray(scores, np.float64) / self._learned("temperature_"))

    @property
    def parameters(self) -> dict[str, Any]:
        """What was learned, as JSON can hold it."""
        return {"method": self.method, "temperature": self._learned("temperature_")}

    def _fit(self, scores: np.ndarray, positive: np.ndarray) -> None:
        if (scores >= 0).all():
            raise DataError(
                "A temperature needs logits; no score is below 0.",
                "Take 'platt', or give scores before the sigmoid.",
            )
        if (scores[positive] >= 0).all() and (scores[~positive] <= 0).all():
            raise DataError(
                "The logits separate the classes at 0, so that no temperature is too low.", "Take 'platt'."
            )

        # The log-likelihood is concave in 1 / T: its slope has one zero, or none above 0.
        def slope(inverse: float) -> float:
            return float(np.mean(scores * (expit(inverse * scores) - positive)))

        if slope(0.0) >= 0:
            raise DataError(
                "The logits say less than a coin, so that no temperature is high enough.", "Take 'platt'."
            )
        high = 1.0 / float(np.abs(scores).max())
        while slope(high) <= 0:
            high *= 2
        self.temperature_ = 1.0 / float(root_scalar(slope, bracket=(0.0, high), xtol=1e-14 * high).root)

    def _set(self, parameters: Mapping[str, Any]) -> None:
        self.temperature_ = float(parameters["temperature"])


class Platt(Calibrator):
    """`sigmoid(slope * score + intercept)`, by scikit-learn's logistic regression without a penalty.

    As in Platt's paper the targets are (P + 1) / (P + 2) for the P positives and 1 / (Q + 2) for the Q
    negatives instead of 1 and 0. So scores that separate the classes completely get a finite slope; with
    thousands of cases it makes no difference.

    Attributes:
        slope_: Below 0 where the score is lower for the positives.
        intercept_: Of a score of 0.

    Source:
        Platt, "Probabilistic outputs for support vector machines", in Advances in Large Margin Classifiers
        (1999).

    Example:
        >>> platt = Platt().fit(np.array([0.1, 0.2, 0.4, 0.5]), np.array([0, 0, 1, 1], bool))
        >>> platt.predict(np.array([0.3])).round(2).tolist()
        [0.5]
    """

    method: ClassVar[Method] = "platt"
    slope_: float
    intercept_: float

    def predict(self, scores: np.ndarray) -> np.ndarray:
        """(N,) probabilities of (N,) scores."""
        return expit(self._learned("slope_") * np.asarray(scores, np.float64) + self._learned("intercept_"))

    @property
    def parameters(self) -> dict[str, Any]:
        """What was learned, as JSON can hold it."""
        return {
            "method": self.method,
            "slope": self._learned("slope_"),
            "intercept": self._learned("intercept_"),
        }

    def _fit(self, scores: np.ndarray, positive: np.ndarray) -> None:
        from sklearn.linear_model import LogisticRegression  # takes a second to import

        p, q = int(positive.sum()), int((~positive).sum())
        target = np.where(positive, (p + 1) / (p + 2), 1 / (q + 2))
        # A target between 0 and 1 is a case of each class, with its weight.
        centre, spread = float(scores.mean()), float(scores.std())
        standard = np.tile((scores - centre) / spread, 2)[:, None]
        classes = np.repeat([1, 0], len(scores))
        model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10, max_iter=1000)
        model.fit(standard, classes, sample_weight=np.concatenate([target, 1 - target]))
        self.slope_ = float(np.ravel(model.coef_)[0]) / spread
        self.intercept_ = float(np.ravel(model.intercept_)[0]) - self.slope_ * centre

    def _set(self, parameters: Mapping[str, Any]) -> None:
        self.slope_, self.intercept_ = float(parameters["slope"]), float(parameters["intercept"])


class Isotonic(Calibrator):
    """The rising steps that fit best, by scikit-learn's `IsotonicRegression`; in between they are joined.

    It assumes no shape and needs more data, hundreds of positives rather than tens. Many scores get one
    probability, and those at the ends get 0 and 1.

    Attributes:
        scores_: (K,) scores, rising.
        probabilities_: (K,) their probabilities, never falling.

    Source:
        Zadrozny and Elkan, KDD 2002.

    Example:
        >>> isotonic = Isotonic().fit(np.array([1.0, 2, 3, 4]), np.array([0, 1, 0, 1], bool))
        >>> isotonic.predict(np.array([0.0, 2.5, 9.0])).tolist()
        [0.0, 0.5, 1.0]
    """

    method: ClassVar[Method] = "isotonic"
    scores_: np.ndarray
    probabilities_: np.ndarray

    def predict(self, scores: np.ndarray) -> np.ndarray:
        """(N,) probabilities of (N,) scores."""
        return np.interp(
            np.asarray(scores, np.float64), self._learned("scores_"), self._learned("probabilities_")
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """What was learned, as JSON can hold it."""
        return {
            "method": self.method,
            "scores": self._learned("scores_").tolist(),
            "probabilities": self._learned("probabilities_").tolist(),
        }

    def _fit(self, scores: np.ndarray, positive: np.ndarray) -> None:
        from sklearn.isotonic import IsotonicRegression  # takes a second to import

        model = IsotonicRegression(y_min=0.0, y_max=1.0).fit(scores, positive.astype(np.float64))
        self.scores_ = np.asarray(model.X_thresholds_, np.float64)
        self.probabilities_ = np.asarray(model.y_thresholds_, np.float64)

    def _set(self, parameters: Mapping[str, Any]) -> None:
        self.scores_ = np.asarray(parameters["scores"], np.float64)
        self.probabilities_ = np.asarray(parameters["probabilities"], np.float64)


CALIBRATORS: dict[str, type[Calibrator]] = {c.method: c for c in (Temperature, Platt, Isotonic)}


def calibrator(method: str) -> Calibrator:
    """A calibrator that is not fitted yet.

    Raises:
        InputError: There is no such method.
    """
    if method not in CALIBRATORS:
        raise InputError(f"'{method}' is no method of calibration.", f"Take one of {', '.join(CALIBRATORS)}.")
    return CALIBRATORS[method]()


def restore(parameters: Mapping[str, Any]) -> Calibrator:
    """The fitted calibrator whose `parameters` these are.

    Raises:
        InputError: A parameter is missing or of a wrong kind.

    Example:
        >>> restore({"method": "temperature", "temperature": 2.0}).predict(np.array([0.0])).tolist()
        [0.5]
    """
    found = calibrator(str(parameters.get("method")))
    try:
        found._set(parameters)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"These are no parameters of '{found.method}'.", "Fit it again.") from error
    return found


def _require_usable(scores: np.ndarray, positive: np.ndarray) -> None:
    if scores.ndim != 1 or scores.shape != positive.shape:
        raise InputError(
            f"scores {scores.shape} and labels {positive.shape} differ.", "Give two vectors of one length."
        )
    wrong = int((~np.isfinite(scores)).sum())
    if wrong:
        raise InputError(f"{wrong} of {len(scores)} scores are not finite.", "Find their images.")
    n_positive = int(positive.sum())
    if not n_positive or n_positive == len(positive):
        raise DataError(
            f"Calibration needs both classes; {n_positive} of {len(positive)} cases are positive.",
            "Take a larger validation split, or leave the class out.",
        )
    if scores.min() == scores.max():
        raise DataError(
            f"All {len(scores)} scores are {scores[0]:g}.", "Find out why the model says nothing."
        )

"""Measures that single protocols have beside those of all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from offclip.errors import ConfigError, InputError
from offclip.evaluation.protocols.protocol import Protocol
from offclip.evaluation.protocols.rules import EXTRAS


def protocol_extras(
    protocol: Protocol, class_names: Sequence[str], scores: np.ndarray, truth: np.ndarray
) -> dict[str, float]:
    """The further measures that a protocol names, by name; empty when it names none.

    Cases with an unknown label are left out.

    Args:
        protocol: Its `extras` count.
        class_names: C names.
        scores: (N, C) raw scores.
        truth: (N, C) 1, 0 or NaN.

    Raises:
        InputError: Shapes differ, or no case has all labels.
        ConfigError: A measure is unknown.

    Example:
        >>> protocol = Protocol("a", "A", extras=("argmax-accuracy",))
        >>> protocol_extras(protocol, ["x", "y"], np.array([[2.0, 1], [3, 1]]), np.array([[1, 0], [0, 1]]))
        {'argmax accuracy': 0.5}
    """
    scores, truth = np.asarray(scores, np.float64), np.asarray(truth, np.float64)
    if scores.shape != truth.shape or scores.ndim != 2 or scores.shape[1] != len(class_names):
        raise InputError(
            f"scores {scores.shape}, truth {truth.shape} and {len(class_names)} classes do not fit.",
            "Give one row a case and one column a class.",
        )
    known = ~np.isnan(truth).any(axis=1)
    scores, truth = scores[known], truth[known]
    if protocol.extras and not len(truth):
        raise InputError(f"{protocol.name}: no case has all labels.", "Check the labels.")
    measured: dict[str, float] = {}
    for name in protocol.extras:
        measured |= _measure(name, class_names, scores, truth)
    return measured


def _measure(
    name: str, class_names: Sequence[str], scores: np.ndarray, truth: np.ndarray
) -> dict[str, float]:
    if name == "argmax-accuracy":
        hits = truth.argmax(axis=1) == softmax(scores, axis=1).argmax(axis=1)
        return {"argmax accuracy": float(hits.mean())}
    if name == "rounded-softmax-accuracy":
        right = softmax(scores, axis=1).round() == truth
        named = zip(class_names, right.mean(axis=0), strict=True)
        return {f"accuracy of {class_name} by rounded softmax": float(value) for class_name, value in named}
    if name == "argmax-f1":
        return _argmax_f1(scores, truth)
    raise ConfigError(f"There is no measure {name!r}.", f"Known: {', '.join(EXTRAS)}.")


def _argmax_f1(scores: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """F1 = 2 TP / (2 TP + FP + FN); 0 for a class that is neither present nor called."""
    called = np.zeros_like(truth)
    called[np.arange(len(scores)), scores.argmax(axis=1)] = 1
    true = (called * truth).sum(axis=0)
    both = called.sum(axis=0) + truth.sum(axis=0)  # 2 TP + FP + FN
    each = np.divide(2 * true, both, out=np.zeros(len(both)), where=both > 0)
    support = truth.sum(axis=0)
    weighted = (each * support).sum() / support.sum() if support.sum() else 0.0
    micro = 2 * true.sum() / both.sum()
    return {
        "micro F1 of the argmax": float(micro),
        "macro F1 of the argmax": float(each.mean()),
        "weighted F1 of the argmax": float(weighted),
    }

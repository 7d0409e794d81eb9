"""Which cases a protocol leaves out."""

from __future__ import annotations

import numpy as np

from offclip.errors import ConfigError, InputError
from offclip.evaluation.protocols.protocol import Protocol
from offclip.evaluation.protocols.rules import EXCLUSIONS


def exclude(protocol: Protocol, truth: np.ndarray) -> np.ndarray:
    """Which cases are left out, by the protocol's rules.

    Args:
        protocol: Its `exclude` counts.
        truth: (N, C) 1, 0 or NaN in the order of `protocol.classes`, the normal class included.

    Returns:
        (N,) bool: True where the case is left out.

    Raises:
        InputError: `truth` does not have a column a class.
        ConfigError: A rule is unknown.

    Example:
        >>> from offclip.evaluation.protocols.load import load_protocol
        >>> protocol = load_protocol("vindr-cxr-peer")
        >>> truth = np.zeros((2, 17)); truth[0, 3] = 1
        >>> exclude(protocol, truth).tolist()
        [False, True]
    """
    truth = np.asarray(truth, np.float64)
    if truth.ndim != 2 or (protocol.classes and truth.shape[1] != len(protocol.classes)):
        raise InputError(
            f"The truth is {truth.shape}; {protocol.name} has {len(protocol.classes)} classes.",
            "Give one row a case and one column a class of the protocol.",
        )
    left_out = np.zeros(len(truth), bool)
    for rule in protocol.exclude:
        left_out |= _by(rule, truth)
    return left_out


def _by(rule: str, truth: np.ndarray) -> np.ndarray:
    if rule == "no-class-present":
        return np.asarray((truth == 0).all(axis=1))
    if rule == "no-label":
        return np.asarray(np.isnan(truth).all(axis=1))
    if rule == "not-exactly-one-class":
        return np.asarray((truth == 1).sum(axis=1) != 1)
    raise ConfigError(f"There is no exclusion {rule!r}.", f"Known: {', '.join(EXCLUSIONS)}.")

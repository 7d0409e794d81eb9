"""Measured things as plain JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class _Documented(Protocol):
    def document(self) -> dict[str, Any]: ...


def as_json(value: Any) -> Any:
    """Dictionaries, lists and numbers out of dataclasses; a number that is not finite becomes null.

    What has a method `document` says itself how it looks. Fields that are not shown by `repr`, such as draws
    and decisions of every case, are left out.

    Example:
        >>> from offclip.evaluation.statistics.estimate import Estimate
        >>> as_json({"auc": Estimate(0.5, float("nan"), 1.0), "classes": ("a", "b")})
        {'auc': {'value': 0.5, 'low': None, 'high': 1.0}, 'classes': ['a', 'b']}
    """
    if isinstance(value, _Documented):
        return as_json(value.document())
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_json(getattr(value, f.name)) for f in fields(value) if f.repr}
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else f"{key:g}": as_json(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return [as_json(item) for item in value.tolist()]
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, np.generic):
        return as_json(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value

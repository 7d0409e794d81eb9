"""Reading results.json: what is there, what is not, and numbers with intervals in their places."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offclip.errors import DataError
from offclip.evaluation.results_format import FORMAT
from offclip.evaluation.statistics.estimate import Estimate

RESULTS = "results.json"


def read_results(folder: str | Path) -> dict[str, Any]:
    """Reads `results.json` of an evaluation folder.

    Raises:
        DataError: There is none, or it is something else.
    """
    path = Path(folder) / RESULTS
    if not path.is_file():
        raise DataError(f"{path}: no such file.", "Give a folder that 'offclip evaluate' wrote.")
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not readable ({error}).", "Evaluate again.") from error
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        raise DataError(f"{path}: not of the format '{FORMAT}'.", "Evaluate again with this version.")
    return results


def at(results: Mapping[str, Any], *path: str) -> Any:
    """What stands at a path of keys; None where a step is missing.

    Example:
        >>> at({"normal": {"auc": 1}}, "normal", "auc"), at({"normal": None}, "normal", "auc")
        (1, None)
    """
    found: Any = results
    for key in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return found


def block(results: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """The object at a path of keys; empty where there is none."""
    found = at(results, *path)
    return found if isinstance(found, Mapping) else {}


def number(value: Any) -> float | None:
    """A finite number, or None.

    Example:
        >>> number(1), number(float("nan")), number(True), number("1")
        (1.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def whole(value: Any) -> int | None:
    """A whole number, or None."""
    found = number(value)
    return None if found is None else round(found)


def text(value: Any) -> str | None:
    """Text that is not empty, or None."""
    return str(value) if value not in (None, "") else None


def estimate(value: Any) -> Estimate | None:
    """A number with its interval; None where there is no number. Missing limits are NaN.

    Example:
        >>> estimate({"value": 0.8, "low": 0.7, "high": None})
        Estimate(value=0.8, low=0.7, high=nan)
        >>> estimate(None), estimate({"value": None})
        (None, None)
    """
    middle = number(at({"e": value}, "e", "value"))
    if middle is None:
        return None
    low, high = (number(value.get(side)) for side in ("low", "high"))
    return Estimate(middle, math.nan if low is None else low, math.nan if high is None else high)


def is_estimate(value: Any) -> bool:
    """Whether a value has the shape of a number with its interval."""
    return isinstance(value, Mapping) and {"value", "low", "high"} <= set(value)

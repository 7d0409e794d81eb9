"""What a cell of a table says: numbers, ages, sexes, splits and findings."""

from __future__ import annotations

import math
import re

_AGE = re.compile(r"(\d{1,4}(?:\.\d+)?)\s*(?:([ymwd])[a-z]*\.?)?")
_YEARS = {"y": 1.0, "m": 1 / 12, "w": 7 / 365.25, "d": 1 / 365.25}
_OLDEST = 120.0
_SEXES = {"f": "F", "w": "F", "m": "M", "o": "O"}
_SPLITS = {
    "train": "train",
    "training": "train",
    "validate": "validate",
    "validation": "validate",
    "valid": "validate",
    "val": "validate",
    "dev": "validate",
    "test": "test",
    "testing": "test",
}
_FINDINGS = {"1": 1, "0": 0, "true": 1, "false": 0, "yes": 1, "no": 0, "-1": None, "": None}


def number(text: str) -> float | None:
    """A finite number, or None.

    Example:
        >>> number("12.5"), number("nan"), number("left")
        (12.5, None, None)
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def age_years(text: str) -> float | None:
    """An age in years; None when it is unknown or impossible.

    Args:
        text: A number of years, a DICOM age such as `027Y`, or a number with its unit.

    Example:
        >>> age_years("027Y"), age_years("18 months"), age_years("?"), age_years("412")
        (27.0, 1.5, None, None)
    """
    found = _AGE.fullmatch(text.strip().lower())
    if not found:
        return None
    years = float(found[1]) * _YEARS[found[2] or "y"]
    return years if years <= _OLDEST else None


def sex_of(text: str) -> str:
    """A sex as `F`, `M`, `O`, or empty when it is unknown.

    Example:
        >>> sex_of("female"), sex_of("M"), sex_of("?")
        ('F', 'M', '')
    """
    return _SEXES.get(text.strip().lower()[:1], "")


def split_of(text: str) -> str | None:
    """A split as the study table names it; empty stays empty, None when it is no split.

    Example:
        >>> split_of("val"), split_of(""), split_of("fold 3")
        ('validate', '', None)
    """
    text = text.strip().lower()
    return _SPLITS.get(text) if text else ""


def is_finding(text: str) -> bool:
    """Whether a cell says 1, 0, -1 (uncertain), yes, no, true, false or nothing."""
    return _plain(text) in _FINDINGS


def finding_of(text: str) -> int | None:
    """1, 0 or None (unknown, uncertain) of a cell for which `is_finding` holds.

    Example:
        >>> finding_of("1.0"), finding_of("no"), finding_of("-1"), finding_of("")
        (1, 0, None, None)
    """
    return _FINDINGS[_plain(text)]


def _plain(text: str) -> str:
    return text.strip().lower().removesuffix(".0")

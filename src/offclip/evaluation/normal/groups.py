"""Subgroups of cases by view, sex, age band and source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from offclip.evaluation.cases import ATTRIBUTES, Cases

UNKNOWN = "unknown"
AGE_BANDS = ("<18", "18-39", "40-59", "60-79", ">=80")
_UPPER_AGES = (18, 40, 60, 80)
_AGE = re.compile(r"[>≥]?\s*=?\s*(\d+(?:\.\d+)?)\s*([YMWD]?)\+?", re.IGNORECASE)
_YEARS = {"": 1.0, "Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_OLDEST = 120  # ChestX-ray14 has patients of 411 years: such an age is a slip of the pen
_SEXES = {"MALE": "M", "FEMALE": "F", "OTHER": "O"}


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that share a value of an attribute.

    Attributes:
        attribute: One of `ATTRIBUTES`.
        value: Such as "PA" or "18-39"; "unknown" where nothing is known.
        rows: (n,) positions in the cases.
    """

    attribute: str
    value: str
    rows: np.ndarray


def groups_of(cases: Cases) -> Iterator[Group]:
    """The groups of every attribute that the cases carry, the unknown last.

    An attribute with no known value makes no group.

    Example:
        >>> cases = Cases.of(["a", "b", "c"], ["mass"], [[0.0]] * 3, [[0]] * 3,
        ...                  attributes={"age": ["044Y", "7", None]})
        >>> [(group.value, group.rows.tolist()) for group in groups_of(cases)]
        [('<18', [1]), ('40-59', [0]), ('unknown', [2])]
    """
    for attribute in ATTRIBUTES:
        values = [group_value(attribute, value) for value in cases.attributes.get(attribute, ())]
        counts = {value: values.count(value) for value in set(values)}
        if not counts or set(counts) == {UNKNOWN}:
            continue
        order = {band: place for place, band in enumerate(AGE_BANDS)} if attribute == "age" else {}

        def place(value: str, counts: dict[str, int] = counts, order: dict[str, int] = order) -> tuple:
            return value == UNKNOWN, order.get(value, 0), -counts[value], value

        for value in sorted(counts, key=place):
            yield Group(attribute, value, np.flatnonzero(np.array(values) == value))


def group_value(attribute: str, value: str | None) -> str:
    """The group that a value of an attribute belongs to.

    Example:
        >>> group_value("sex", "female"), group_value("age", "18 "), group_value("view", None)
        ('F', '18-39', 'unknown')
    """
    text = (value or "").strip()
    if not text:
        return UNKNOWN
    if attribute == "age":
        years = age_in_years(text)
        return UNKNOWN if years is None else AGE_BANDS[int(np.searchsorted(_UPPER_AGES, years, side="right"))]
    if attribute == "sex":
        return _SEXES.get(text.upper(), text.upper())
    return text


def age_in_years(text: str) -> float | None:
    """Years from "44", "44.5", "90+" or DICOM's age string ("044Y", "006M"); None where it is no human age.

    Example:
        >>> age_in_years("044Y"), age_in_years("006M"), age_in_years("411")
        (44.0, 0.5, None)
    """
    match = _AGE.fullmatch(text.strip())
    years = float(match[1]) * _YEARS[match[2].upper()] if match else None
    return years if years is not None and years <= _OLDEST else None

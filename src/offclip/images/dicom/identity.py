"""Whom a film belongs to: identifiers, age and sex. None of it stands in a message or a printed form."""

from __future__ import annotations

import re
from datetime import date

from offclip.images.dicom.attributes import Attributes
from offclip.images.film import Identity

_AGE = re.compile(r"(\d{1,3})([DWMY])")
_DATE = re.compile(r"(\d{4})[.\-]?(\d{2})[.\-]?(\d{2})")
_PER_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}
_OLDEST = 130.0  # years; what is more is a mistake


def identity_of(attributes: Attributes) -> Identity:
    """The identity in a header; empty where an attribute is absent or broken."""
    sex = attributes.text("PatientSex").upper()
    return Identity(
        patient_id=attributes.text("PatientID"),
        study_uid=attributes.text("StudyInstanceUID"),
        series_uid=attributes.text("SeriesInstanceUID"),
        instance_uid=attributes.text("SOPInstanceUID"),
        age_years=_age(attributes),
        sex=sex if sex in ("F", "M", "O") else "",
    )


def age_in_years(text: str) -> float | None:
    """An age string of DICOM in years, None where it is none.

    Example:
        >>> age_in_years("045Y"), age_in_years("006M"), age_in_years("45")
        (45.0, 0.5, None)
    """
    found = _AGE.fullmatch(text.strip().upper())
    if found is None:
        return None
    years = int(found[1]) / _PER_YEAR[found[2]]
    return years if years <= _OLDEST else None


def _age(attributes: Attributes) -> float | None:
    age = age_in_years(attributes.text("PatientAge"))
    if age is not None:
        return age
    born = _date(attributes.text("PatientBirthDate"))
    taken = _date(attributes.text("StudyDate")) or _date(attributes.text("AcquisitionDate"))
    if born is None or taken is None:
        return None
    years = (taken - born).days / 365.25
    return years if 0 <= years <= _OLDEST else None


def _date(text: str) -> date | None:
    found = _DATE.fullmatch(text.strip())
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None

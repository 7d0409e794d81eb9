"""Which view a film shows, by what its header says; unknown rather than wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass

from offclip.images.dicom.attributes import Attributes

_TEXTS = (
    "SeriesDescription",
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
    "PerformedProcedureStepDescription",
    "StudyDescription",
)
_AP = re.compile(r"\b(?:A\.?P\.?|antero[- ]?posterior)(?![\w.])", re.IGNORECASE)
_PA = re.compile(r"\b(?:P\.?A\.?|postero[- ]?anterior)(?![\w.])", re.IGNORECASE)
_FRONTAL = re.compile(r"\bfrontal\b", re.IGNORECASE)
_LATERAL = re.compile(r"\b(?:lat|lateral|latero[- ]?lateral|perfil|profil)\b", re.IGNORECASE)
_LATERAL_CODE = re.compile(r"\b(?:LL|RL)\b")
# A lateral decubitus film is taken from the front of a patient who lies on the side.
_DECUBITUS = re.compile(r"\b(?:(?:(?:left|right|lat|lateral)\.?\s+)*decub\w*|LLD|RLD)\b", re.IGNORECASE)
_OBLIQUE = re.compile(r"\b(?:obl|oblique\w*|LAO|RAO|LPO|RPO|LLO|RLO|swimmer\w*)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class View:
    """A view and how it is known.

    Attributes:
        name: One of `offclip.images.views.VIEWS`.
        source: Keyword of the attribute that told it, empty when none did.
        notes: Which attributes contradict each other.
    """

    name: str = "unknown"
    source: str = ""
    notes: tuple[str, ...] = ()


def view_of_header(attributes: Attributes) -> View:
    """The view of a film.

    ViewPosition goes before ViewCodeSequence, these before the texts of series and study. Many devices copy
    PatientOrientation from film to film, so it decides only where nothing else does. Two attributes that name
    a frontal and a lateral view make it unknown.
    """
    told = [
        ("ViewPosition", view_in_text(attributes.text("ViewPosition"), coded=True)),
        ("ViewCodeSequence", _view_of_code(attributes)),
        *((keyword, view_in_text(attributes.text(keyword))) for keyword in _TEXTS),
    ]
    told = [(keyword, name) for keyword, name in told if name != "unknown"]
    if not told:
        name = _view_of_orientation(attributes.text("PatientOrientation"))
        return View(name, "PatientOrientation") if name != "unknown" else View()
    source, name = told[0]
    for other, contrary in told[1:]:
        if (name == "lateral") != (contrary == "lateral"):
            return View(notes=(f"{source} and {other} name different views.",))
        if name == "frontal":
            source, name = other, contrary
        elif contrary not in ("frontal", name):
            return View("frontal", source, (f"{source} and {other} name different views.",))
    return View(name, source)


def view_in_text(text: str, *, coded: bool = False) -> str:
    """The one view that a text names; unknown where it names none, several or a special one.

    Args:
        text: A description, or the value of ViewPosition.
        coded: Whether short codes such as `LL` are views here. In a description they can be a lobe or a leg.

    Example:
        >>> view_in_text("Chest PA"), view_in_text("CHEST (PA AND LAT)"), view_in_text("LL", coded=True)
        ('PA', 'unknown', 'lateral')
    """
    text = text.replace("_", " ")
    if _OBLIQUE.search(text):
        return "unknown"
    text = _DECUBITUS.sub(" ", text)
    lateral = bool(_LATERAL.search(text) or (coded and _LATERAL_CODE.search(text.upper())))
    pa, ap = bool(_PA.search(text)), bool(_AP.search(text))
    frontal = bool(_FRONTAL.search(text))
    if lateral:
        return "unknown" if pa or ap or frontal else "lateral"
    if pa != ap:
        return "PA" if pa else "AP"
    return "frontal" if pa or frontal else "unknown"


def _view_of_code(attributes: Attributes) -> str:
    if "ViewCodeSequence" not in attributes:
        return "unknown"
    item = attributes.first("ViewCodeSequence")
    return view_in_text(item.text("CodeMeaning")) if item is not None else "unknown"


def _view_of_orientation(text: str) -> str:
    """Columns along the body; rows to the left or right are frontal, to the front or back lateral."""
    along_rows, _, along_columns = text.upper().partition("\\")
    if along_columns[:1] not in ("F", "H"):
        return "unknown"
    return {"L": "frontal", "R": "frontal", "A": "lateral", "P": "lateral"}.get(along_rows[:1], "unknown")

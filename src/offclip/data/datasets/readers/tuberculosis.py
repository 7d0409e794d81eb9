"""The tuberculosis sets of the U.S. National Library of Medicine: Montgomery County and Shenzhen.

Source: Jaeger et al., Quantitative Imaging in Medicine and Surgery 2014;4(6):475-477.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from offclip.data.datasets.card import Card
from offclip.data.datasets.record import ImageRecord
from offclip.data.datasets.tables.cells import age_years, sex_of
from offclip.data.files import Skipped
from offclip.data.sources.limits import MAX_FILE_BYTES
from offclip.data.sources.members import decode_text
from offclip.errors import DataError

_CITATION = (
    "Jaeger et al. Two public chest X-ray datasets for computer-aided screening of pulmonary diseases. "
    "Quantitative Imaging in Medicine and Surgery 2014;4(6):475-477."
)
_TERMS = (
    "Open to everybody for research and education; name the National Library of Medicine and the hospital, "
    "and cite Jaeger et al. and Candemir et al. 2014 as the readme of the set asks."
)
_SOURCE = "https://lhncbc.nlm.nih.gov/LHC-publications/pubs/TuberculosisChestXrayImageDataSets.html"
_NOTES = (
    "0 at the end of a file name means normal, 1 means signs of tuberculosis; that is the label.",
    "The reading is the report: a line or two of English, for most normal films the word 'normal' alone.",
    "Collections of tuberculosis films that others have put together hold this set as well; test on one of "
    "them only after a search for doubles.",
    "No film says that it is a patient's second; every film counts as a patient.",
)
# "Patient's Sex: F" and "Patient's Age: 027Y"
_MONTGOMERY_LINE = re.compile(r"patient'?s\s+(sex|age)\s*:\s*(.*)", re.IGNORECASE)
# "male 45yrs", "Female , 24yrs", "femal 32yrs", "male 16month", "female 64days"
_SHENZHEN_LINE = re.compile(
    r"((?:fe)?mal[a-z]?)\s*[,.]?\s*(\d+\s*(?:y|m|d)[a-z]*|\d+)?\s*[,.]?\s*(.*)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the text file of a film says.

    Attributes:
        sex: `"F"`, `"M"` or empty.
        age: In years, None when it is not there.
        text: What is left: the radiologist's words.
    """

    sex: str
    age: float | None
    text: str


def montgomery_reading(text: str) -> Reading:
    r"""Reads a file of `MontgomerySet/ClinicalReadings`.

    Example:
        >>> montgomery_reading("Patient's Sex: F \nPatient's Age: 027Y\nnormal \n")
        Reading(sex='F', age=27.0, text='normal')
    """
    sex, age, words = "", None, []
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _MONTGOMERY_LINE.fullmatch(line)
        if found and found[1].lower() == "sex":
            sex = sex_of(found[2])
        elif found:
            age = age_years(found[2])
        else:
            words.append(line)
    return Reading(sex, age, "\n".join(words))


def shenzhen_reading(text: str) -> Reading:
    r"""Reads a file of `ChinaSet_AllFiles/ClinicalReadings`.

    Example:
        >>> shenzhen_reading("Female , 24yrs\nPTB in the left upper field")
        Reading(sex='F', age=24.0, text='PTB in the left upper field')
        >>> shenzhen_reading("male 18months\nnormal").age
        1.5
    """
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    found = _SHENZHEN_LINE.fullmatch(lines[0]) if lines else None
    if not found:
        return Reading("", None, "\n".join(lines))
    rest = [found[3], *lines[1:]]
    return Reading(sex_of(found[1]), age_years(found[2] or ""), "\n".join(line for line in rest if line))


class _NlmSet:
    """What both sets have in common: `CXR_png` and, under the same names, `ClinicalReadings`."""

    card: ClassVar[Card]
    folders: ClassVar[tuple[str, ...]]
    name: ClassVar[re.Pattern[str]]

    def __init__(self, root: Path, option: str = "") -> None:
        self.root = root
        self.notes: list[str] = []
        found = next((f for n in ("", *self.folders) if (f := root / n / "CXR_png").is_dir()), None)
        if found is None:
            raise DataError(
                f"{root}: no folder {self.folders[0]}/CXR_png lies in it.",
                "Unpack the archive there, or give the folder that holds CXR_png.",
            )
        self._folder = found.parent

    @staticmethod
    def parse(text: str) -> Reading:
        """The reading of a film."""
        raise NotImplementedError

    def tables(self) -> Iterator[Path]:
        """The readings."""
        readings = self._folder / "ClinicalReadings"
        yield from (p for p in sorted(readings.glob("*.txt")) if self.name.fullmatch(p.stem))

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """Films in the order of their names, whether the film, its reading or both are there."""
        images = {p.stem: p for p in (self._folder / "CXR_png").glob("*.png") if p.name[0] != "."}
        readings = {p.stem: p for p in self.tables()}
        contradictory = unread = 0
        for image_id in sorted(images.keys() | readings.keys()):
            name = self.name.fullmatch(image_id)
            if not name:
                reason = "the name is not in the form of the set, so it has no label"
                yield Skipped(str(images[image_id]), 0, image_id, reason)
                continue
            path = readings.get(image_id)
            reading = Reading("", None, "")
            if path is None:
                unread += 1
            else:
                text = _text(path)
                if isinstance(text, Skipped):
                    yield text
                    continue
                reading = self.parse(text)
            ill = int(name[2])
            contradictory += ill != (reading.text.lower().strip(" .") != "normal") and bool(reading.text)
            yield ImageRecord(
                image_id,
                name[1],
                name[1],
                (self._folder / "CXR_png" / f"{image_id}.png").absolute(),
                view="PA",
                age_years=reading.age,
                sex=reading.sex,
                labels={"Tuberculosis": ill, "Normal": 1 - ill},
                report=reading.text,
                source=str(path or self._folder / "CXR_png"),
            )
        if unread:
            self.notes.append(f"{unread:,} film(s) have no reading in ClinicalReadings.")
        if contradictory:
            self.notes.append(
                f"{contradictory:,} film(s) have a reading that does not say what the file name says: "
                f"'normal' "
                "with 1, or something else with 0. The file name is the label."
            )


class Montgomery(_NlmSet):
    """Montgomery County: 138 films of a screening programme in Maryland.

    Args:
        root: Folder that holds `MontgomerySet`, or that folder.
        option: None is known.

    Raises:
        DataError: There is no folder `CXR_png`.
    """

    folders = ("MontgomerySet", "NLM-MontgomeryCXRSet/MontgomerySet")
    name = re.compile(r"(MCUCXR_\d{4})_([01])")
    parse = staticmethod(montgomery_reading)
    card = Card(
        name="montgomery",
        title="Montgomery County chest X-ray set for tuberculosis",
        url="https://lhncbc.nlm.nih.gov/LHC-downloads/downloads.html#tuberculosis-image-data-sets",
        access="open",
        terms=_TERMS,
        citation=_CITATION,
        layout=(
            "MontgomerySet/CXR_png/MCUCXR_0001_0.png  films; 0 normal, 1 tuberculosis\n"
            "MontgomerySet/ClinicalReadings/MCUCXR_0001_0.txt  sex, age and the reading\n"
            "MontgomerySet/ManualMask/leftMask, rightMask  masks of the lungs (not read)"
        ),
        published={"images": 138, "Tuberculosis": 58, "Normal": 80},
        published_source=_SOURCE,
        notes=(*_NOTES, "Some films of 0 have a reading that names an old finding, such as a scar."),
        contents=("labels", "reports"),
    )


class Shenzhen(_NlmSet):
    """Shenzhen No. 3 People's Hospital: 662 films.

    Args:
        root: Folder that holds `ChinaSet_AllFiles`, or that folder.
        option: None is known.

    Raises:
        DataError: There is no folder `CXR_png`.
    """

    folders = ("ChinaSet_AllFiles", "ChinaSet_AllFiles/ChinaSet_AllFiles")
    name = re.compile(r"(CHNCXR_\d{4})_([01])")
    parse = staticmethod(shenzhen_reading)
    card = Card(
        name="shenzhen",
        title="Shenzhen Hospital chest X-ray set for tuberculosis",
        url="https://lhncbc.nlm.nih.gov/LHC-downloads/downloads.html#tuberculosis-image-data-sets",
        access="open",
        terms=_TERMS,
        citation=_CITATION,
        layout=(
            "ChinaSet_AllFiles/CXR_png/CHNCXR_0001_0.png  films; 0 normal, 1 tuberculosis\n"
            "ChinaSet_AllFiles/ClinicalReadings/CHNCXR_0001_0.txt  sex, age and the reading"
        ),
        published={"images": 662, "Tuberculosis": 336, "Normal": 326},
        published_source=_SOURCE,
        notes=(*_NOTES, "Ages stand in years, months or days; some films are of small children."),
        contents=("labels", "reports"),
    )


def _text(path: Path) -> str | Skipped:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return Skipped(str(path), 0, path.stem, "the reading is too large to be one")
        text, _ = decode_text(path.read_bytes())
    except OSError as error:
        return Skipped(str(path), 0, path.stem, f"cannot be read ({error.strerror or error})")
    if "\0" in text:
        return Skipped(str(path), 0, path.stem, "the reading is not a text file (it holds zero bytes)")
    return text

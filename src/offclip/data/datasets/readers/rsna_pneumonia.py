"""RSNA Pneumonia Detection Challenge (2018): boxes round opacities that are suspicious for pneumonia.

Source: https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data; Shih et al., Radiology: Artificial
Intelligence 2019;1(1):e180041.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.datasets.tables.cells import number
from offclip.data.files import Skipped
from offclip.data.sources.rows import Row, TableRows
from offclip.errors import DataError

LABELS = "stage_2_train_labels.csv"
CLASSES = "stage_2_detailed_class_info.csv"
MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"
OPACITY, OTHER, NORMAL = "Lung Opacity", "No Lung Opacity / Not Normal", "Normal"


@dataclass(slots=True)
class _Film:
    """What the rows of a film say together."""

    row: int
    target: int
    boxes: list[FindingBox] = field(default_factory=list)
    problem: str = ""


class RsnaPneumonia:
    """The challenge as Kaggle offers it (stage 2).

    Args:
        root: Folder that the archive was unpacked to.
        option: None is known.

    Raises:
        DataError: The table of labels is missing, or a table lacks a column.
    """

    card = Card(
        name="rsna-pneumonia",
        title="RSNA Pneumonia Detection Challenge (2018)",
        url="https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data",
        access="registration",
        terms=(
            "Kaggle shows it after the rules of the competition are accepted. RSNA allows academic and "
            "other use, commercial or not, when its terms of attribution are kept; the films are the NIH "
            "Clinical Center's."
        ),
        citation=(
            "Shih et al. Augmenting the National Institutes of Health Chest Radiograph Dataset with Expert "
            "Annotations of Possible Pneumonia. Radiology: Artificial Intelligence 2019;1(1):e180041."
        ),
        layout=(
            "stage_2_train_labels.csv  patientId, x, y, width, height, Target; a row a box\n"
            "stage_2_detailed_class_info.csv  patientId, class (optional; rows doubled where there are two "
            "boxes)\n"
            "stage_2_train_images/<patientId>.dcm  films with labels\n"
            "stage_2_test_images/<patientId>.dcm  films without labels (optional)\n"
            "pneumonia-challenge-dataset-mappings_2018.json  RSNA's list of the NIH films (optional)"
        ),
        published={
            "images": 29684,
            "images train": 26684,
            "images test": 3000,
            OPACITY: 6012,
            OTHER: 11821,
            NORMAL: 8851,
            "boxes": 9555,
        },
        published_source="the tables of stage 2 as Kaggle offers them",
        notes=(
            "Every film comes from ChestX-ray14. Do not train on one and test on the other without RSNA's "
            "mapping file, which says which film is which.",
            "A patientId is a film, not a patient: several may belong to one NIH patient. With the mapping "
            "file below the root the NIH patient is the patient; without it patients may leak over splits "
            "of your own.",
            "Lung Opacity means an opacity that is suspicious for pneumonia; the films were read without a "
            "history.",
            "The labels of the test films were not published.",
            "View, age and sex stand in the DICOM headers, not in the tables.",
        ),
        contents=("labels", "boxes"),
    )

    def __init__(self, root: Path, option: str = "") -> None:
        self.root = root
        self.notes: list[str] = []
        self._labels = root / LABELS
        _table(self._labels)
        self._classes = root / CLASSES if (root / CLASSES).is_file() else None
        self._mapping = next((p for p in sorted(root.rglob(MAPPING)) if p.is_file()), None)

    def tables(self) -> Iterator[Path]:
        """The tables that are read."""
        yield from (path for path in (self._labels, self._classes, self._mapping) if path)

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """Films of the table in its order, then the test films that lie in the folder."""
        films: dict[str, _Film] = {}
        for item in _parsed(_table(self._labels), str(self._labels)):
            if isinstance(item, Skipped):
                yield item
            else:
                _add(films, *item)
        classes: dict[str, str] = {}
        if self._classes:
            yield from _read_classes(self._classes, classes)
        else:
            self.notes.append(f"No {CLASSES}: which films are normal is unknown.")
        patients = _read_mapping(self._mapping) if self._mapping else {}
        if not self._mapping:
            self.notes.append(
                f"No {MAPPING}: every film counts as a patient of its own, which it may not be."
            )
        for image_id, film in films.items():
            name = classes.get(image_id, "")
            if name and (name == OPACITY) != (film.target == 1):
                film.problem = f"Target {film.target} contradicts class {name!r} of {CLASSES}"
            if film.problem:
                yield Skipped(str(self._labels), film.row, image_id, film.problem)
                continue
            yield self._record(image_id, "train", patients, _class_labels(film.target, name), film)
        unknown: dict[str, int | None] = {OPACITY: None, OTHER: None, NORMAL: None}
        for path in sorted((self.root / "stage_2_test_images").glob("*.dcm")):
            yield self._record(path.stem, "test", patients, unknown)

    def _record(
        self,
        image_id: str,
        split: str,
        patients: dict[str, str],
        labels: dict[str, int | None],
        film: _Film | None = None,
    ) -> ImageRecord:
        return ImageRecord(
            image_id,
            image_id,
            patients.get(image_id, image_id),
            self.root.absolute() / f"stage_2_{split}_images" / f"{image_id}.dcm",
            split=split,
            view="frontal",
            labels=labels,
            boxes=tuple(film.boxes) if film else (),
            source=str(self._labels) if film else str(self.root / "stage_2_test_images"),
            row=film.row if film else 0,
        )


def _table(path: Path) -> TableRows:
    rows = TableRows(path)
    rows.require("patientId", "x", "y", "width", "height", "Target")
    return rows


def _parsed(rows: TableRows, source: str) -> Iterator[tuple[str, int, int, FindingBox | None] | Skipped]:
    """The rows of the table of labels: film, row, target and box, or why not."""
    patient, x, y, width, height, target = map(
        rows.columns.index, ("patientId", "x", "y", "width", "height", "Target")
    )
    for row in rows:
        image_id, value = row.values[patient], number(row.values[target])
        corner = [number(row.values[i]) for i in (x, y, width, height)]
        problem = row.problem
        if not problem and not image_id:
            problem = "patientId is empty"
        elif not problem and value not in (0, 1):
            problem = f"Target is {row.values[target]!r} instead of 0 or 1"
        box = None
        if not problem and value == 1:
            box = _box(corner)
            problem = "" if box else "Target is 1, but x, y, width and height are no box"
        if problem:
            yield Skipped(source, row.number, image_id, problem)
        else:
            yield image_id, row.number, int(value or 0), box


def _box(numbers: list[float | None]) -> FindingBox | None:
    x, y, width, height = numbers
    if x is None or y is None or width is None or height is None or min(width, height) <= 0:
        return None
    return FindingBox(OPACITY, x, y, width, height)


def _add(films: dict[str, _Film], image_id: str, row: int, target: int, box: FindingBox | None) -> None:
    film = films.setdefault(image_id, _Film(row, target))
    if film.target != target:
        film.problem = "it has rows with Target 0 and with Target 1"
    if box and box not in film.boxes:
        film.boxes.append(box)


def _class_labels(target: int, name: str) -> dict[str, int | None]:
    if name or target:
        name = name or OPACITY
        return {label: int(name == label) for label in (OPACITY, OTHER, NORMAL)}
    return {OPACITY: 0, OTHER: None, NORMAL: None}


def _read_classes(path: Path, classes: dict[str, str]) -> Iterator[Skipped]:
    """Fills `classes`; rows of a film are doubled once a box, and say the same."""
    rows = TableRows(path)
    rows.require("patientId", "class")
    patient, column = rows.columns.index("patientId"), rows.columns.index("class")
    for row in rows:
        image_id, name = row.values[patient], row.values[column]
        problem = _class_problem(row, name, classes.get(image_id, name))
        if problem:
            yield Skipped(str(path), row.number, image_id, problem)
        else:
            classes[image_id] = name


def _class_problem(row: Row, name: str, before: str) -> str:
    if row.problem:
        return row.problem
    if name not in (OPACITY, OTHER, NORMAL):
        return f"unknown class {name!r}"
    return "" if name == before else f"class {name!r} contradicts {before!r} of an earlier row"


def _read_mapping(path: Path) -> dict[str, str]:
    """From a film of the challenge to the NIH patient: `00000013_005.png` is patient 00000013."""
    remedy = "Download it again from RSNA, or remove it to go without NIH patients."
    try:
        entries = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not readable JSON ({error}).", remedy) from error
    patients: dict[str, str] = {}
    for number_, entry in enumerate(entries if isinstance(entries, list) else [None]):
        names = [entry.get(key) for key in ("subset_img_id", "img_id")] if isinstance(entry, dict) else []
        if len(names) != 2 or not all(isinstance(name, str) and name for name in names):
            raise DataError(f"{path}: entry {number_} has no 'subset_img_id' with an 'img_id'.", remedy)
        patients[str(names[0])] = str(names[1]).partition("_")[0]
    return patients

"""CheXpert 5x200: two hundred films for each of five findings, each film with one of them and nothing else.

Source: Huang et al. (GLoRIA), ICCV 2021. Their list is a random draw from the training films.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from offclip.data.datasets.readers.chexpert_labels import CHEXPERT_LABELS, label_columns
from offclip.data.datasets.readers.chexpert_paths import ChexpertImages, parse_path, view_from
from offclip.data.datasets.record import ImageRecord
from offclip.data.datasets.tables.named_rows import NamedRows
from offclip.data.datasets.tables.tree import need_table
from offclip.data.files import Skipped
from offclip.errors import DataError

FINDINGS: tuple[str, ...] = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
EACH = 200
_LISTS = ("chexpert_5x200.csv", "chexpert_5x200_newpath.csv")
_FOLDERS = ("", "CheXpert-v1.0", "CheXpert-v1.0-small")
_VALUES = {"1": 1, "1.0": 1, "0": 0, "0.0": 0, "-1": 0, "-1.0": 0, "": 0}


def listed_records(root: Path) -> Iterator[ImageRecord | Skipped]:
    """The films of the published list, which holds `Path` and a column for each finding.

    Raises:
        DataError: The list is missing or lacks a column.
    """
    path = need_table(root, *_LISTS, *(f"{folder}/{name}" for folder in _FOLDERS[1:] for name in _LISTS))
    images = ChexpertImages(*(root / folder for folder in _FOLDERS))
    for row in NamedRows(path, "Path", *FINDINGS):
        image = parse_path(row.cells["Path"])
        values = {finding: _VALUES.get(row.cells[finding]) for finding in FINDINGS}
        problem = row.problem
        if not problem and (image is None or image.part == "test"):
            problem = "Path is not of the form train/patient00001/study1/view1_frontal.jpg"
        if not problem and None in values.values():
            problem = "a label is not 1, 0, -1 or blank"
        if problem or image is None:
            yield row.skipped(path, "Path", problem)
            continue
        yield ImageRecord(
            image_id=image.image_id,
            study_id=image.study_id,
            patient_id=image.patient,
            path=images.path(image),
            split="train",
            view=view_from(image, row.cells.get("Frontal/Lateral", ""), row.cells.get("AP/PA", "")),
            labels=values,
            source=str(path),
            row=row.number,
        )


def drawn_records(
    records: Iterable[ImageRecord | Skipped], root: Path, each: int = EACH
) -> Iterator[ImageRecord | Skipped]:
    """A draw that is the same for everybody who has the table, whatever films they have.

    Args:
        records: Of the set's reader.
        root: Folder of the set.
        each: Films a finding.

    Raises:
        DataError: `train.csv` is missing.
    """
    path, rows = _only_one(root)
    found = [record for record in records if isinstance(record, ImageRecord) and record.row in rows]
    found = [record for record in found if record.source == str(path)]
    left = dict.fromkeys(FINDINGS, each)
    taken: set[str] = set()
    drawn: list[ImageRecord] = []
    for record in sorted(found, key=lambda record: _order(record.image_id)):
        finding = rows[record.row]
        if left[finding] and record.patient_id not in taken and record.view != "lateral":
            left[finding] -= 1
            taken.add(record.patient_id)
            labels = {name: int(name == finding) for name in FINDINGS}
            drawn.append(replace(record, labels=labels))
    yield from sorted(drawn, key=lambda record: record.row)


def _only_one(root: Path) -> tuple[Path, Mapping[int, str]]:
    """`train.csv`, and its rows that have one of the five findings and 0 or blank for the other thirteen."""
    batch = "CheXpert-v1.0 batch 1 (validate & csv)"
    folders = [f"{above}/{inside}".strip("/") for above in _FOLDERS for inside in ("", batch)]
    path = need_table(root, *(f"{folder}/train.csv".lstrip("/") for folder in folders))
    table = NamedRows(path, "Path")
    columns = dict(zip(CHEXPERT_LABELS, label_columns(table.columns, path), strict=True))
    rows: dict[int, str] = {}
    for row in table:
        said = {label: row.cells[column] for label, column in columns.items()}
        others = [label for label, cell in said.items() if cell not in ("", "0", "0.0")]
        if (
            not row.problem
            and len(others) == 1
            and others[0] in FINDINGS
            and _VALUES.get(said[others[0]]) == 1
        ):
            rows[row.number] = others[0]
    if not rows:
        raise DataError(f"{path}: no film has one of {', '.join(FINDINGS)} alone.", "Check the table.")
    return path, rows


def _order(image_id: str) -> bytes:
    return hashlib.sha256(f"5x200:{image_id}".encode()).digest()

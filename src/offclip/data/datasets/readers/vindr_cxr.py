"""VinDr-CXR: 18,000 films, 15,000 read by three radiologists each and 3,000 by the consensus of five.

Source: Nguyen et al., VinDr-CXR (version 1.0.0), PhysioNet 2021; Scientific Data 2022;9:429. The training
films are also those of Kaggle's VinBigData challenge, whose one table is read with the option `kaggle`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.datasets.tables.cells import number
from offclip.data.datasets.tables.tree import ImageFiles, base_folder, find_table, is_file_name, need_table
from offclip.data.files import Skipped
from offclip.data.sources.rows import Row, TableRows

FINDINGS = (
    "Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Clavicle fracture",
    "Consolidation", "Edema", "Emphysema", "Enlarged PA", "ILD", "Infiltration", "Lung Opacity",
    "Lung cavity", "Lung cyst",
    "Mediastinal shift", "Nodule/Mass", "Pleural effusion", "Pleural thickening", "Pneumothorax",
    "Pulmonary fibrosis", "Rib fracture", "Other lesion", "COPD", "Lung tumor", "Pneumonia", "Tuberculosis",
    "Other disease",
)  # fmt: skip
KAGGLE_FINDINGS = (
    "Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Consolidation", "ILD",
    "Infiltration", "Lung Opacity", "Nodule/Mass", "Other lesion", "Pleural effusion",
    "Pleural thickening", "Pneumothorax", "Pulmonary fibrosis",
)  # fmt: skip
NORMAL = "No finding"
# The tables of the training part say "Other diseases", those of the test part "Other disease".
_SPELLINGS = {"Other diseases": "Other disease"}
_EDGES = ("x_min", "y_min", "x_max", "y_max")
_INSIDE = ("1.0.0", "vindr-cxr/1.0.0", "files/vindr-cxr/1.0.0", "physionet.org/files/vindr-cxr/1.0.0")
_VALUES = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}


@dataclass(slots=True)
class _Votes:
    """What the readers of a film say: who read it, and how many see each label."""

    row: int
    readers: set[str] = field(default_factory=set)
    seen: dict[str, int] = field(default_factory=dict)


def agreed(seen: int, readers: int, rule: str) -> int | None:
    """The label of a film from the number of its readers who see it.

    Args:
        seen: Readers who see it.
        readers: Readers of the film.
        rule: `"majority"` (a tie is unknown), `"any"` or `"all"`.

    Example:
        >>> [agreed(2, 3, rule) for rule in ("majority", "any", "all")], agreed(1, 2, "majority")
        ([1, 1, 0], None)
    """
    if rule == "majority":
        return None if 2 * seen == readers else int(2 * seen > readers)
    return int(seen > 0 if rule == "any" else seen == readers)


class VinDrCxr:
    """VinDr-CXR as PhysioNet offers it, or the training part as Kaggle does.

    Args:
        root: The folder with `train`, `test` and `annotations`, or one of those that `wget` makes around it.
        option: `"majority"` (also when empty), `"any"`, `"all"` or `"kaggle"`.

    Raises:
        DataError: No table of labels is there, or one lacks a column.
    """

    card = Card(
        name="vindr-cxr",
        title="VinDr-CXR: chest X-rays with radiologists' annotations (1.0.0)",
        url="https://physionet.org/content/vindr-cxr/1.0.0/",
        access="credentialed",
        terms=(
            "PhysioNet Credentialed Health Data License: research only, after training in human-subjects "
            "research and a signed data use agreement; the data may not be shared. offclip never fetches it."
        ),
        citation=(
            "Nguyen et al. VinDr-CXR: An open dataset of chest X-rays with radiologist's annotations. "
            "Scientific Data 2022;9:429. doi:10.1038/s41597-022-01498-w; PhysioNet doi:10.13026/3akn-b287."
        ),
        layout=(
            "train/<image_id>.dicom  15,000 films\n"
            "test/<image_id>.dicom  3,000 films\n"
            "annotations/image_labels_train.csv  image_id, rad_id, 28 labels; a row a reader, three a film\n"
            "annotations/image_labels_test.csv  image_id, 28 labels; the consensus, a row a film\n"
            "annotations/annotations_train.csv  image_id, rad_id, class_name, x_min, y_min, x_max, y_max\n"
            "annotations/annotations_test.csv  image_id, class_name, x_min, y_min, x_max, y_max\n"
            "train.csv  Kaggle's table instead of annotations/, with the option kaggle"
        ),
        published={"images": 18000, "images train": 15000, "images test": 3000},
        published_source="Nguyen et al. 2022 and the page of version 1.0.0",
        options={
            "majority": "a label is present where more than half of the readers see it (the default)",
            "any": "a finding is present where any reader sees it; normal needs all readers",
            "all": "a finding is present where all readers see it; normal needs all readers",
            "kaggle": "the training part of Kaggle's VinBigData: train.csv and train/; 14 findings, majority",
        },
        notes=(
            "The training films carry the labels of three readers each (R1 to R17), the test films one "
            "consensus of five: the labels of the two parts are not of the same quality.",
            "Boxes are kept as each reader drew them, whatever the labels of the film became; the same "
            "lesion stands up to three times in a training film.",
            "Patients are not published: each image counts as a patient of its own, which it may not be.",
            "Age and sex stand in some of the DICOM headers only, not in the tables.",
            "The tables call one label 'Other diseases' in the training and 'Other disease' in the test "
            "part.",
            "The publishers say that all films are PA. A few are not; the view here is their statement.",
        ),
        contents=("labels", "boxes"),
    )

    def __init__(self, root: Path, option: str = "") -> None:
        self.notes: list[str] = []
        self._kaggle = option == "kaggle"
        if self._kaggle:
            self.card = replace(self.card, published={"images": 15000})
        self._rule = "majority" if self._kaggle else option or "majority"
        self._findings = KAGGLE_FINDINGS if self._kaggle else FINDINGS
        self.root = root if self._kaggle else base_folder(root, "annotations", _INSIDE)
        if self._kaggle:
            need_table(self.root, "train.csv")
            self._parts: tuple[str, ...] = ("train",)
        else:
            self._parts = tuple(part for part in ("train", "test") if self._table("image_labels", part))
            if not self._parts:
                need_table(
                    self.root, "annotations/image_labels_train.csv", "annotations/image_labels_test.csv"
                )
        for part in self._parts:
            self._open_labels(part)

    def tables(self) -> Iterator[Path]:
        """The tables that are read."""
        for part in self._parts:
            if self._kaggle:
                yield need_table(self.root, "train.csv")
                continue
            yield from (p for p in (self._table(kind, part) for kind in ("image_labels", "annotations")) if p)

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """The films of the training part, then those of the test part, in the order of the tables."""
        for part in ("train", "test"):
            if part in self._parts:
                yield from self._read_part(part)
            elif not self._kaggle:
                self.notes.append(f"No annotations/image_labels_{part}.csv: the {part} part is left out.")

    def _read_part(self, part: str) -> Iterator[ImageRecord | Skipped]:
        votes: dict[str, _Votes] = {}
        boxes: dict[str, list[FindingBox]] = {}
        table = self._open_labels(part)
        source = str(table.path)
        yield from (_count_boxes if self._kaggle else self._count)(table, votes)
        drawn = table.path if self._kaggle else self._table("annotations", part)
        if drawn:
            yield from _read_boxes(drawn, self._findings, votes, boxes, tell=not self._kaggle)
        else:
            self.notes.append(f"No annotations/annotations_{part}.csv: no boxes in the {part} part.")
        files = ImageFiles([self.root / part])
        for image_id, film in votes.items():
            yield ImageRecord(
                image_id,
                image_id,
                image_id,
                files.path(f"{image_id}.dicom", self.root / part),
                split=part,
                view="PA",
                labels=self._agree(film),
                boxes=tuple(boxes.get(image_id, ())),
                source=source,
                row=film.row,
            )
        odd = sum(len(film.readers) != 3 for film in votes.values()) if part == "train" else 0
        if odd:
            self.notes.append(f"{odd:,} film(s) of the training part do not have three readers.")

    def _agree(self, film: _Votes) -> dict[str, int | None]:
        readers = len(film.readers)
        labels = {name: agreed(film.seen.get(name, 0), readers, self._rule) for name in self._findings}
        normal_rule = "majority" if self._rule == "majority" else "all"
        return labels | {NORMAL: agreed(film.seen.get(NORMAL, 0), readers, normal_rule)}

    def _table(self, kind: str, part: str) -> Path | None:
        return find_table(self.root, f"annotations/{kind}_{part}.csv")

    def _open_labels(self, part: str) -> TableRows:
        """The table of labels of a part, checked to have its columns."""
        if self._kaggle:
            table = TableRows(need_table(self.root, "train.csv"))
            table.require("image_id", "class_name", "rad_id", *_EDGES)
            return table
        table = TableRows(need_table(self.root, f"annotations/image_labels_{part}.csv"))
        table.columns = [_SPELLINGS.get(name, name) for name in table.columns]
        table.require("image_id", *(["rad_id"] if part == "train" else []), *FINDINGS, NORMAL)
        return table

    def _count(self, table: TableRows, votes: dict[str, _Votes]) -> Iterator[Skipped]:
        """Adds up the rows of the readers; yields those that cannot be counted."""
        place = {name: table.columns.index(name) for name in ("image_id", *FINDINGS, NORMAL)}
        reader_place = table.columns.index("rad_id") if "rad_id" in table.columns else None
        extra = [name for name in table.columns if name and name not in place and name != "rad_id"]
        if extra:
            self.notes.append(f"{table.path.name}: column(s) not read: {', '.join(extra)[:300]}.")
        for row in table:
            image_id = row.values[place["image_id"]]
            reader = "" if reader_place is None else row.values[reader_place]
            values = {name: _VALUES.get(row.values[place[name]]) for name in (*FINDINGS, NORMAL)}
            problem = _row_problem(row, image_id, reader, needs_reader=reader_place is not None)
            if not problem and None in values.values():
                name = next(name for name, value in values.items() if value is None)
                problem = f"{name} is {row.values[place[name]]!r} instead of 0 or 1"
            film = votes.get(image_id)
            if not problem and film and reader in film.readers:
                who = f"reader {reader}" if reader else "the consensus"
                problem = f"{who} has a row for this image already"
            if problem:
                yield Skipped(str(table.path), row.number, image_id, problem)
                continue
            film = votes.setdefault(image_id, _Votes(row.number))
            film.readers.add(reader)
            for name, value in values.items():
                if value:
                    film.seen[name] = film.seen.get(name, 0) + 1


def _row_problem(row: Row, image_id: str, reader: str, *, needs_reader: bool) -> str:
    if row.problem:
        return row.problem
    if not image_id:
        return "image_id is empty"
    if not is_file_name(image_id):
        return "image_id is not the name of a file"
    return "rad_id is empty" if needs_reader and not reader else ""


def _count_boxes(table: TableRows, votes: dict[str, _Votes]) -> Iterator[Skipped]:
    """Adds up Kaggle's boxes: a reader sees what he drew a box for, however many."""
    place = {name: table.columns.index(name) for name in ("image_id", "rad_id", "class_name")}
    counted: set[tuple[str, str, str]] = set()
    for row in table:
        image_id, reader, name = (
            row.values[place[column]] for column in ("image_id", "rad_id", "class_name")
        )
        problem = _row_problem(row, image_id, reader, needs_reader=True)
        if not problem and name not in (*KAGGLE_FINDINGS, NORMAL):
            problem = f"unknown class_name {name!r}"
        if problem:
            yield Skipped(str(table.path), row.number, image_id, problem)
            continue
        film = votes.setdefault(image_id, _Votes(row.number))
        film.readers.add(reader)
        if (image_id, reader, name) not in counted:
            counted.add((image_id, reader, name))
            film.seen[name] = film.seen.get(name, 0) + 1


def _read_boxes(
    path: Path,
    findings: Sequence[str],
    votes: Mapping[str, _Votes],
    boxes: dict[str, list[FindingBox]],
    *,
    tell: bool,
) -> Iterator[Skipped]:
    """Fills `boxes`; yields rows that hold none. Rows without numbers say only that a reader saw the label.

    Args:
        path: The table of boxes.
        findings: Names that are known.
        votes: Films that are known.
        boxes: Filled, by film.
        tell: Whether to yield rows whose names are wrong; Kaggle's are the same rows as those of the labels.
    """
    table = TableRows(path)
    table.require("image_id", "class_name", *_EDGES)
    place = {name: i for i, name in enumerate(table.columns)}
    reader_place = place.get("rad_id")
    for row in table:
        image_id, name = row.values[place["image_id"]], row.values[place["class_name"]]
        name = _SPELLINGS.get(name, name)
        edges = [row.values[place[edge]] for edge in _EDGES]
        problem = row.problem or ("" if image_id in votes else "the image is not in the table of labels")
        if not problem and name not in (*findings, NORMAL):
            problem = f"unknown class_name {name!r}"
        if problem:
            if tell:
                yield Skipped(str(path), row.number, image_id, problem)
            continue
        if not any(edges):
            continue
        reader = "" if reader_place is None else row.values[reader_place]
        box = _box(name, edges, reader)
        if box is None or name == NORMAL:
            yield Skipped(
                str(path), row.number, image_id, f"no box of a finding: {name} at {', '.join(edges)}"
            )
        else:
            boxes.setdefault(image_id, []).append(box)


def _box(name: str, edges: Sequence[str], reader: str) -> FindingBox | None:
    left, top, right, bottom = (number(edge) for edge in edges)
    if left is None or top is None or right is None or bottom is None or right <= left or bottom <= top:
        return None
    return FindingBox(name, left, top, right - left, bottom - top, reader)

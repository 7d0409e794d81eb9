"""ChestX-ray14: 112,120 frontal films of the NIH Clinical Center with labels mined from reports.

Source: Wang et al., CVPR 2017; the tables are those of 2017 and of 2020.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.datasets.tables.cells import age_years, number, sex_of
from offclip.data.datasets.tables.tree import ImageFiles, find_table, need_table, read_lines
from offclip.data.files import Skipped
from offclip.data.sources.rows import Row, TableRows
from offclip.errors import DataError
from offclip.images.views import view_of

TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
BOXES = "BBox_List_2017.csv"
TRAIN, TEST = "train_val_list.txt", "test_list.txt"
# In the order of the columns of CARZero's list.
FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
)  # fmt: skip
NORMAL = "No Finding"
CARZERO_LISTS = ("carzero_test_list.txt", "carzero/test_list.txt", "CARZero/test_list.txt", TEST)
CARZERO_IMAGES = 22433
# The table of boxes says "Infiltrate".
_SPELLINGS = {"Infiltrate": "Infiltration"}
_IMAGE = re.compile(r"(\d{8})_\d{3}\.png")
_REMEDY = "Download the file again from the publishers."


class ChestXray14:
    """ChestX-ray14 as the NIH offers it, or its images as Kaggle unpacks them.

    Args:
        root: The folder of the tables; images lie in it, in `images`, or in `images_001` to `images_012`.
        option: `"official"` (also when empty) or `"carzero"`.

    Raises:
        DataError: The table of labels is missing or lacks a column; or, for its option, CARZero's list is.
    """

    card = Card(
        name="chestxray14",
        title="NIH ChestX-ray14",
        url="https://nihcc.app.box.com/v/ChestXray-NIHCC",
        access="open",
        terms=(
            "The NIH Clinical Center restricts nothing; it asks for a link to the page, for acknowledgement "
            "of the NIH Clinical Center as the provider, and for citation of the paper."
        ),
        citation=(
            "Wang et al. ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks on "
            "Weakly-Supervised Classification and Localization of Common Thorax Diseases. CVPR "
            "2017:3462-3471 (arXiv:1705.02315)."
        ),
        layout=(
            "Data_Entry_2017_v2020.csv or Data_Entry_2017.csv  one row an image\n"
            "train_val_list.txt, test_list.txt  the official split by patient, a name a line (optional)\n"
            "BBox_List_2017.csv  boxes of 880 images (optional)\n"
            "images/<Image Index>  1024x1024 PNG; images_001/images to images_012/images is understood too\n"
            "carzero_test_list.txt  a name and 14 labels a line, for the option carzero"
        ),
        published={
            "images": 112120,
            "patients": 30805,
            "images train": 86524,
            "images test": 25596,
            "boxes": 984,
        },
        published_source="the publishers' README and lists",
        options={
            "official": "all images with the official split (the default)",
            "carzero": (
                "CARZero's 22,433 test images with the labels of its list: the test part of a random split "
                "by patient (70/10/20 %) that comes from a reimplementation of CheXNet, not the official one"
            ),
        },
        notes=(
            "Labels were mined from reports and are noisy: radiologists contradict more than a quarter of "
            "them in samples. No Finding means that none of the 14 was mined, not that a radiologist called "
            "the film normal.",
            "Two files are called test_list.txt: the official list (names only, 25,596) and CARZero's (a "
            "name and 14 labels, 22,433). Save CARZero's as carzero_test_list.txt.",
            "Most of CARZero's test patients are in the official training part: a model trained on the one "
            "must not be tested on the other.",
            "The table of 2020 corrects some labels of 2017 (36 images of CARZero's list differ) and the "
            "ages, of which some of 2017 are beyond 120 years (here: unknown).",
            "The header of the table of boxes is broken (its rows have fewer cells), and it says Infiltrate.",
            "Boxes are in pixels of the 1024x1024 PNG. RSNA Pneumonia, SIIM and ChestX-Det10 hold the same "
            "films.",
        ),
        contents=("labels", "boxes"),
    )

    def __init__(self, root: Path, option: str = "") -> None:
        self.root = root
        self.notes: list[str] = []
        self._table = need_table(root, *TABLES)
        self._sex = _check_columns(TableRows(self._table))
        self._boxes = find_table(root, BOXES)
        self._list = _carzero_list(root) if option == "carzero" else None
        if self._list:
            self.card = replace(self.card, published={"images": CARZERO_IMAGES, "patients": 6187})

    def tables(self) -> Iterator[Path]:
        """The tables and lists that are read."""
        yield self._table
        if self._list:
            yield self._list
        else:
            yield from (self.root / name for name in (TRAIN, TEST) if (self.root / name).is_file())
        if self._boxes:
            yield self._boxes

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """The images of the table in its order.

        Raises:
            DataError: A label is not one of the 15, or a list or a table cannot be read.
        """
        boxes: dict[str, list[FindingBox]] = {}
        if self._boxes:
            yield from _read_boxes(self._boxes, boxes)
        else:
            self.notes.append(f"No {BOXES}: no boxes.")
        bases = (
            self.root / "images",
            *sorted(self.root.glob("images_*/images")),
            *sorted(self.root.glob("images_*")),
        )
        files = ImageFiles([*bases, self.root])
        for record in self._listed() if self._list else self._official():
            if isinstance(record, Skipped):
                yield record
                continue
            name, row, split, labels, cell = record
            yield ImageRecord(
                name.removesuffix(".png"),
                name.removesuffix(".png"),
                name[:8],
                files.path(name, self.root / "images"),
                split=split,
                view=view_of(cell["View Position"]),
                age_years=age_years(cell["Patient Age"]),
                sex=sex_of(cell[self._sex]) if self._sex else "",
                labels=labels,
                boxes=tuple(boxes.pop(name, ())),
                source=str(self._table),
                row=row,
            )

        unused = sum(map(len, boxes.values()))
        if unused and not self._list:
            self.notes.append(f"{unused:,} box(es) of {BOXES} belong to images that are not read.")

    def _official(self) -> Iterator[_Found | Skipped]:
        splits = {
            name: _read_list(self.root / name) for name in (TRAIN, TEST) if (self.root / name).is_file()
        }
        if not splits:
            self.notes.append(f"Neither {TRAIN} nor {TEST}: there is no official split.")
        elif len(splits) < 2:
            (there,) = splits
            self.notes.append(f"Only {there} is there: images that it does not name are left out.")
        for found in self._rows():
            if not isinstance(found, Skipped) and splits:
                lists = [name for name, names in splits.items() if found[0] in names]
                if len(lists) != 1:
                    reason = (
                        "the image is in both official lists" if lists else "the image is in no official list"
                    )
                    yield Skipped(str(self._table), found[1], found[0], reason)
                    continue
                found = (*found[:2], "train" if lists[0] == TRAIN else "test", *found[3:])
            yield found

    def _listed(self) -> Iterator[_Found | Skipped]:
        wanted = _read_carzero(self._list) if self._list else {}
        if len(wanted) != CARZERO_IMAGES:
            self.notes.append(f"{self._list} names {len(wanted):,} images instead of {CARZERO_IMAGES:,}.")
        changed = 0
        for found in self._rows():
            if isinstance(found, Skipped):
                if found.id in wanted:
                    yield found
                continue
            name, row, _, labels, cell = found
            given = wanted.pop(name, None)
            if given is not None:
                changed += any(labels[finding] != given[finding] for finding in FINDINGS)
                yield name, row, "test", given, cell
        if changed:
            self.notes.append(
                f"{changed:,} image(s) have other labels in {self._table.name}; CARZero's are used."
            )
        for name in wanted:
            yield Skipped(str(self._list), 0, name, f"the image is not in {self._table.name}")

    def _rows(self) -> Iterator[_Found | Skipped]:
        table = TableRows(self._table)
        for row in table:
            cell = dict(zip(table.columns, row.values, strict=True))
            problem = row.problem or _problem(cell)
            if problem:
                yield Skipped(str(self._table), row.number, cell["Image Index"], problem)
            else:
                yield cell["Image Index"], row.number, "", _labels(cell, row, self._table), cell


# The name of an image, its row, its split, its labels, and the cells of its row.
_Found = tuple[str, int, str, dict[str, int | None], dict[str, str]]


def _check_columns(table: TableRows) -> str:
    """The name of the column of the sex, which some copies of the table call otherwise."""
    table.require("Image Index", "Finding Labels", "Patient ID", "Patient Age", "View Position")
    return next((name for name in ("Patient Gender", "Patient Sex") if name in table.columns), "")


def _problem(cell: dict[str, str]) -> str:
    name = _IMAGE.fullmatch(cell["Image Index"])
    if not name:
        return "Image Index is not a name such as 00000001_000.png"
    patient = cell["Patient ID"]
    if patient.lstrip("0") != name[1].lstrip("0"):
        return f"Patient ID {patient!r} is not that of the image name"
    return "" if cell["Finding Labels"] else "Finding Labels is empty"


def _labels(cell: dict[str, str], row: Row, table: Path) -> dict[str, int | None]:
    labels: dict[str, int | None] = dict.fromkeys((*FINDINGS, NORMAL), 0)
    for name in cell["Finding Labels"].split("|"):
        if name.strip() not in labels:
            raise DataError(
                f"{table}: row {row.number}, column Finding Labels: {name!r} is no label of ChestX-ray14.",
                _REMEDY,
            )
        labels[name.strip()] = 1
    return labels


def _read_list(path: Path) -> frozenset[str]:
    """The names in an official list."""
    names = []
    for number_, line in enumerate(read_lines(path), start=1):
        if line and not _IMAGE.fullmatch(line):
            hint = " The line looks like CARZero's list, which belongs into carzero_test_list.txt."
            raise DataError(
                f"{path}: line {number_} is not the name of an image.",
                _REMEDY + hint * (len(line.split()) == 15),
            )
        names.append(line)
    return frozenset(names)


def _carzero_list(root: Path) -> Path:
    """CARZero's list, told from the official one of the same name by the labels in its first line."""
    for place in (root / name for name in CARZERO_LISTS):
        if place.is_file() and len(next(iter(read_lines(place)), "").split()) == 1 + len(FINDINGS):
            return place
    raise DataError(
        f"{root / CARZERO_LISTS[0]}: no such list with a name and 14 labels a line.",
        "Get test_list.txt from CARZero's data (it is not the NIH's file of the same name) and save it "
        "there.",
    )


def _read_carzero(path: Path) -> dict[str, dict[str, int | None]]:
    """From image to labels, in the order of the list; a line is a path and 14 times 0 or 1."""
    wanted: dict[str, dict[str, int | None]] = {}
    for number_, line in enumerate(read_lines(path), start=1):
        if not line:
            continue
        place, *values = line.split()
        name = place.replace("\\", "/").rpartition("/")[2]
        if not _IMAGE.fullmatch(name) or len(values) != len(FINDINGS) or not {"0", "1"}.issuperset(values):
            raise DataError(f"{path}: line {number_} is not a name and 14 times 0 or 1.", _REMEDY)
        if name in wanted:
            raise DataError(f"{path}: line {number_} names {name} again.", _REMEDY)
        present: dict[str, int | None] = dict(zip(FINDINGS, map(int, values), strict=True))
        wanted[name] = present | {NORMAL: int(not any(present.values()))}
    return wanted


def _read_boxes(path: Path, boxes: dict[str, list[FindingBox]]) -> Iterator[Skipped]:
    """Fills `boxes`; yields rows that hold none.

    The header `Image Index,Finding Label,Bbox [x,y,w,h],,,` has nine cells and the rows have six, or nine in
    some copies: so the first six count.
    """
    for number_, line in enumerate(read_lines(path), start=1):
        cells = [cell.strip(' "') for cell in line.split(",")]  # names and numbers hold no comma
        if number_ == 1:
            if cells[:2] != ["Image Index", "Finding Label"] or len(cells) < 6:
                raise DataError(
                    f"{path}: the header is not that of {BOXES} (column 'Image Index' first).", _REMEDY
                )
            continue
        if not any(cells):
            continue
        label = _SPELLINGS.get(cells[1], cells[1]) if len(cells) > 1 else ""
        x, y, width, height = [number(cell) for cell in cells[2:6]] if len(cells) >= 6 else [None] * 4
        problem = ""
        if not _IMAGE.fullmatch(cells[0]):
            problem = "Image Index is not a name such as 00000001_000.png"
        elif label not in FINDINGS:
            problem = f"unknown Finding Label {label!r}"
        elif x is None or y is None or not width or not height or min(width, height) <= 0:
            problem = "x, y, w and h are no box"
        else:
            boxes.setdefault(cells[0], []).append(FindingBox(label, x, y, width, height))
        if problem:
            yield Skipped(str(path), number_, cells[0], problem)

"""CheXpert: 223,648 films of Stanford, in full size or small, labelled from their reports.

Source: https://stanfordmlgroup.github.io/competitions/chexpert; Irvin et al., AAAI 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.readers.chexpert_labels import label_columns, read_labels
from offclip.data.datasets.readers.chexpert_paths import BATCHES, ChexpertImages, parse_path, view_from
from offclip.data.datasets.record import ImageRecord
from offclip.data.datasets.tables.cells import age_years, sex_of
from offclip.data.datasets.tables.named_rows import NamedRow, NamedRows
from offclip.data.datasets.tables.terms import STANFORD
from offclip.data.datasets.tables.tree import find_table
from offclip.data.files import Skipped
from offclip.errors import DataError

_FULL, _SMALL = "CheXpert-v1.0", "CheXpert-v1.0-small"
_TRAIN = {"chexbert": "train_cheXbert.csv", "visualchexbert": "train_visualCheXbert.csv"}


class CheXpert:
    """The training and validation films; the test set is a set of its own.

    Args:
        root: The folder with `train.csv`, or the one above.
        option: See `card.options`; empty takes what is there, full size first.

    Raises:
        DataError: Neither `train.csv` nor `valid.csv` lies there, or one lacks a column.
    """

    card = Card(
        name="chexpert",
        title="CheXpert",
        url="https://aimi.stanford.edu/datasets/chexpert-chest-x-rays",
        access="registration",
        terms=STANFORD,
        citation=(
            "Irvin et al. CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels and Expert "
            "Comparison. AAAI 2019;33:590-597."
        ),
        layout=(
            "train.csv, valid.csv  Path, Sex, Age, Frontal/Lateral, AP/PA, 14 labels; in the root or in one "
            "of\n"
            "  CheXpert-v1.0/, CheXpert-v1.0-small/, CheXpert-v1.0 batch 1 (validate & csv)/\n"
            "train/patient00001/study1/view1_frontal.jpg, valid/...  the films beside the tables\n"
            "CheXpert-v1.0 batch 2 (train 1)/patient00001/...  or as the archives of the full size unpack\n"
            "train_cheXbert.csv, train_visualCheXbert.csv  other labels of the training films (optional)"
        ),
        published={
            "images": 223648,
            "images train": 223414,
            "images validate": 234,
            "patients": 64740,
        },
        published_source=(
            "train.csv and valid.csv; with the 668 test films of 500 patients they make the 224,316 films of "
            "65,240 patients of the paper"
        ),
        options={
            "full": "the full-size films, where both sizes lie below the root",
            "small": "the films of 390 pixels (CheXpert-v1.0-small), where both sizes lie below the root",
            "chexbert": "labels of the training films by CheXbert (train_cheXbert.csv)",
            "visualchexbert": "labels of the training films by VisualCheXbert (train_visualCheXbert.csv)",
        },
        notes=(
            "The labels of the training films were read from reports by a program; those of the validation "
            "films are the majority of three radiologists.",
            "A blank (not mentioned) and -1 (uncertain) are both unknown, except that 'No Finding' = 1 "
            "makes the other findings absent and a finding that is present makes 'No Finding' absent.",
            "'No Finding' allows for support devices: a film with a device and nothing else has it.",
            "Age 0 and sex 'Unknown' stand for a missing value.",
        ),
        contents=("labels",),
    )

    def __init__(self, root: Path, option: str = "") -> None:
        self.root, self.notes = root, []
        folders = _folders(root, option)
        train = _TRAIN.get(option, "train.csv")
        self._tables = [
            table for name in (train, "valid.csv") if (table := _first(folders, name)) is not None
        ]
        if not self._tables or (option in _TRAIN and self._tables[0].name.removesuffix(".gz") != train):
            raise DataError(
                f"{folders[0] / train}: no such file, nor in {', '.join(f.name for f in folders[1:])}.",
                "Give the folder with train.csv and valid.csv, or the one above, with --root.",
            )
        self._labels = {
            table: label_columns(NamedRows(table, "Path").columns, table) for table in self._tables
        }
        beside = [table.parent for table in self._tables]
        above = [folder.parent for folder in beside if folder.name in BATCHES["valid"]]
        self._images = ChexpertImages(*dict.fromkeys([*beside, *above, *_roots(root, option)]))

    def tables(self) -> Iterator[Path]:
        """The tables of labels."""
        yield from self._tables

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """The films, in the order of `train.csv` and `valid.csv`."""
        for table in self._tables:
            for row in NamedRows(table, "Path"):
                found = row.problem or self._record(row, table)
                yield row.skipped(table, "Path", found) if isinstance(found, str) else found
        if len(self._tables) == 1:
            self.notes.append(f"Only {self._tables[0].name} is there.")

    def _record(self, row: NamedRow, table: Path) -> ImageRecord | str:
        """The film of a row, or what is wrong with it."""
        cells = row.cells
        path = parse_path(cells["Path"])
        if path is None:
            return "Path is not of the form train/patient00001/study1/view1_frontal.jpg"
        labels = read_labels(cells, self._labels[table])
        if isinstance(labels, str):
            return labels
        return ImageRecord(
            image_id=path.image_id,
            study_id=path.study_id,
            patient_id=path.patient,
            path=self._images.path(path),
            split=path.split,
            view=view_from(path, cells.get("Frontal/Lateral", ""), cells.get("AP/PA", "")),
            age_years=age_years(cells.get("Age", "")) or None,  # 0 stands for "unknown"
            sex=sex_of(cells.get("Sex", "")),
            labels=labels,
            source=str(table),
            row=row.number,
        )


def _roots(root: Path, option: str) -> list[Path]:
    """Folders that may hold the films, the wanted size first."""
    sizes = {"full": (_FULL,), "small": (_SMALL,)}.get(option, (_FULL, _SMALL))
    named = [root / size for size in sizes]
    return [*named, root] if option in ("full", "small") else [root, *named]


def _folders(root: Path, option: str) -> list[Path]:
    """Folders that may hold the tables."""
    return [folder / inside for folder in _roots(root, option) for inside in ("", *BATCHES["valid"])]


def _first(folders: list[Path], name: str) -> Path | None:
    return next((table for folder in folders if (table := find_table(folder, name))), None)

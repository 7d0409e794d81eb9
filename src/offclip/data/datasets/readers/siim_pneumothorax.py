"""SIIM-ACR Pneumothorax Segmentation (2019): masks of pneumothoraces on films of ChestX-ray14.

Source: https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation/data
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.readers.siim_rle import mask_extent
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.datasets.tables.cells import number
from offclip.data.files import Skipped
from offclip.data.sources.members import files_below
from offclip.data.sources.rows import TableRows
from offclip.errors import DataError

LABEL = "Pneumothorax"
# Stage 2 holds the films of stage 1, train and test, and so comes first.
MASKS = ("stage_2_train.csv", "train-rle.csv")
PNG_TABLES = {"stage_1_train_images.csv": "train", "stage_1_test_images.csv": "test"}
FOLDERS = {"dicom-images-train": "train", "dicom-images-test": "test", "stage_2_images": "test"}
_NO_MASK = "-1"


@dataclass(slots=True)
class _Film:
    """What the rows of a film say together."""

    row: int
    boxes: list[FindingBox] = field(default_factory=list)
    empty: bool = False


class SiimPneumothorax:
    """The competition: DICOM films with masks, or the PNG films that were made of them.

    Args:
        root: Folder that the archive was unpacked to, or the one above its `siim` folder.
        option: None is known.

    Raises:
        DataError: There is none of the tables, or a table lacks a column.
    """

    card = Card(
        name="siim-pneumothorax",
        title="SIIM-ACR Pneumothorax Segmentation (2019)",
        url="https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation/data",
        access="registration",
        terms=(
            "Kaggle shows it after the rules of the competition are accepted; read there what use they "
            "allow. The films are the NIH Clinical Center's, which asks to be named."
        ),
        citation=(
            "Zawacki, Wu, Shih, Elliott, Fomitchev, Hussain, Lakhani, Culliton, Bao. SIIM-ACR Pneumothorax "
            "Segmentation. Kaggle, 2019."
        ),
        layout=(
            "train-rle.csv or stage_2_train.csv  ImageId, EncodedPixels; a row a mask, -1 without "
            "pneumothorax\n"
            "dicom-images-train/<study>/<series>/<ImageId>.dcm  films\n"
            "dicom-images-test/<study>/<series>/<ImageId>.dcm  films of stage 1's test (optional)\n"
            "stage_2_images/<ImageId>.dcm  films of stage 2's test, without labels (optional)\n"
            "or, made of stage 1 by a user of Kaggle: stage_1_train_images.csv, stage_1_test_images.csv  "
            "new_filename, ImageId, has_pneumo; png_images/<new_filename>"
        ),
        published={"images train": 12047, "images test": 3205},
        published_source="Abedalla et al. 2020, arXiv:2009.02805 (stage 2 of the competition)",
        notes=(
            "The films come from ChestX-ray14, under other names and with no list that says which is which. "
            "Do not train on one and test on the other.",
            "The runs of a mask count from the end of the run before and down the columns; the usual "
            "reading of run-length codes gives wrong masks. A box here is the extent of a mask.",
            "The set does not name patients in its tables: every study counts as a patient, so patients may "
            "leak over splits of your own. View, age and sex stand in the DICOM headers.",
            "Some films of dicom-images-train have no row in train-rle.csv; they are left out.",
        ),
        contents=("labels", "boxes"),
    )

    def __init__(self, root: Path, option: str = "") -> None:
        self.root = root
        self.notes: list[str] = []
        self._folder = root / "siim" if (root / "siim").is_dir() else root
        masks = next((p for n in MASKS for f in (self._folder, root) if (p := f / n).is_file()), None)
        self._png = [] if masks else [p for n in PNG_TABLES if (p := self._folder / n).is_file()]
        self._masks = masks
        if masks:
            _mask_table(masks)
        elif not self._png:
            raise DataError(
                f"{root}: none of {', '.join((*MASKS, *PNG_TABLES))} lies in it.",
                "Unpack the archive there, or give the folder that holds the table.",
            )
        for table in self._png:
            TableRows(table).require("new_filename", "ImageId", "has_pneumo")

    def tables(self) -> Iterator[Path]:
        """The tables that are read."""
        yield from ([self._masks] if self._masks else self._png)

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """Films of the table in its order, then test films without labels that lie in the folder."""
        if self._masks:
            yield from self._read_masks(self._masks)
        for table in self._png:
            yield from self._read_png(table)

    def _read_masks(self, table: Path) -> Iterator[ImageRecord | Skipped]:
        films: dict[str, _Film] = {}
        for item in _parsed(_mask_table(table), str(table)):
            if isinstance(item, Skipped):
                yield item
                continue
            image_id, row, box = item
            film = films.setdefault(image_id, _Film(row))
            film.empty |= box is None
            film.boxes += [box] if box else []
        places = self._places()
        for image_id, film in films.items():
            if film.empty and film.boxes:
                reason = "it has rows with a mask and a row without pneumothorax"
                yield Skipped(str(table), film.row, image_id, reason)
                continue
            path = places.pop(image_id, self._folder.absolute() / "dicom-images-train" / f"{image_id}.dcm")
            yield self._record(
                image_id, path, "train", int(bool(film.boxes)), str(table), film.row, tuple(film.boxes)
            )
        unlabelled = 0
        for image_id, path in places.items():
            split = FOLDERS[path.relative_to(self._folder.absolute()).parts[0]]
            if split == "train":
                unlabelled += 1
            else:
                yield self._record(image_id, path, split, None, str(path), 0)
        if unlabelled:
            self.notes.append(f"{unlabelled:,} film(s) of dicom-images-train have no row in {table.name}.")

    def _read_png(self, table: Path) -> Iterator[ImageRecord | Skipped]:
        rows = TableRows(table)
        rows.require("new_filename", "ImageId", "has_pneumo")
        name, image, has = map(rows.columns.index, ("new_filename", "ImageId", "has_pneumo"))
        for row in rows:
            file, image_id, value = row.values[name], row.values[image], number(row.values[has])
            problem = row.problem
            if not problem and (not image_id or not file or Path(file).name != file):
                problem = "ImageId or new_filename is empty or no name of a file"
            elif not problem and value not in (0, 1):
                problem = f"has_pneumo is {row.values[has]!r} instead of 0 or 1"
            if problem:
                yield Skipped(str(table), row.number, image_id, problem)
                continue
            path = self._folder.absolute() / "png_images" / file
            yield self._record(
                image_id, path, PNG_TABLES[table.name], int(value or 0), str(table), row.number
            )

    def _record(
        self,
        image_id: str,
        path: Path,
        split: str,
        label: int | None,
        source: str,
        row: int,
        boxes: tuple[FindingBox, ...] = (),
    ) -> ImageRecord:
        parts = path.relative_to(self._folder.absolute()).parts
        study = parts[1] if len(parts) == 4 else image_id  # <folder>/<study>/<series>/<film>.dcm
        return ImageRecord(
            image_id,
            study,
            study,
            path,
            split,
            "frontal",
            labels={LABEL: label},
            boxes=boxes,
            source=source,
            row=row,
        )

    def _places(self) -> dict[str, Path]:
        """Where the film of an id lies; the folders are nested by study and series."""
        places: dict[str, Path] = {}
        for folder in FOLDERS:
            for _, path in files_below(self._folder.absolute() / folder):
                if path.suffix.lower() == ".dcm" and not path.name.startswith("."):
                    places.setdefault(path.stem, path)
        return places


def _mask_table(path: Path) -> TableRows:
    rows = TableRows(path)  # strips the blank before " EncodedPixels", too
    rows.require("ImageId", "EncodedPixels")
    return rows


def _parsed(rows: TableRows, source: str) -> Iterator[tuple[str, int, FindingBox | None] | Skipped]:
    image, pixels = rows.columns.index("ImageId"), rows.columns.index("EncodedPixels")
    for row in rows:
        image_id, encoded = row.values[image], row.values[pixels]
        problem = row.problem or ("" if image_id else "ImageId is empty")
        if not problem and Path(image_id).name != image_id:
            problem = "ImageId is no name of a file"
        box = None
        if not problem and encoded != _NO_MASK:
            try:
                box = FindingBox(LABEL, *mask_extent(encoded))
            except ValueError as error:
                problem = f"EncodedPixels is no mask: {error}"
        if problem:
            yield Skipped(source, row.number, image_id, problem)
        else:
            yield image_id, row.number, box

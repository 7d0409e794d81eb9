"""MS-CXR: sentences of MIMIC-CXR reports with boxes round what they say, for phrase grounding.

Source: https://physionet.org/content/ms-cxr; Boecking et al., ECCV 2022.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from offclip.data.datasets.card import Card
from offclip.data.datasets.readers.mimic_layout import METADATA, MimicIds, files_folder, read_views
from offclip.data.datasets.readers.mimic_texts import MimicTexts
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.datasets.tables.cells import number, split_of
from offclip.data.datasets.tables.named_rows import NamedRow, NamedRows
from offclip.data.datasets.tables.terms import PHYSIONET
from offclip.data.datasets.tables.tree import find_table, need_table, read_json
from offclip.data.files import Skipped
from offclip.errors import DataError

CATEGORIES = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Lung Opacity",
    "Pleural Effusion",
    "Pneumonia",
    "Pneumothorax",
)
_TABLES = tuple(
    f"MS_CXR_Local_Alignment_v{version}" for version in ("1.1.0.csv", "1.1.0.json", "1.0.0.csv", "1.0.0.json")
)
_COLUMNS = ("category_name", "label_text", "path", "x", "y", "w", "h", "image_width", "image_height")
_PATH = re.compile(r"(?:.*/)?p\d\d/p(\d{6,9})/s(\d{6,9})/([\w-]{8,64})\.(?:jpg|dcm)")


@dataclass(slots=True)
class _Film:
    """What the rows of an image say together."""

    ids: MimicIds
    row: int
    split: str
    boxes: list[FindingBox] = field(default_factory=list)


class MsCxr:
    """The films of MS-CXR with their boxes; the films themselves are those of MIMIC-CXR-JPG.

    Args:
        root: The folder with the table of MS-CXR and, beside it, the tree of MIMIC-CXR-JPG.
        option: `"dicom"` for the DICOM files of MIMIC-CXR.

    Raises:
        DataError: The table is missing, lacks a column, or is no COCO file.
    """

    card = Card(
        name="ms-cxr",
        title="MS-CXR: Making the Most of Text Semantics to Improve Biomedical Vision-Language Processing",
        url="https://physionet.org/content/ms-cxr",
        access="credentialed",
        terms=f"{PHYSIONET} The films need the same for MIMIC-CXR-JPG.",
        citation=(
            "Boecking et al. Making the Most of Text Semantics to Improve Biomedical Vision-Language "
            "Processing. ECCV 2022, LNCS 13696:1-21."
        ),
        layout=(
            "MS_CXR_Local_Alignment_v1.1.0.csv (or .json, or v1.0.0)  dicom_id, category_name, label_text, "
            "path,\n"
            "  x, y, w, h, image_width, image_height, split\n"
            "files/p10/p10000032/s50414267/<dicom_id>.jpg  the films, of MIMIC-CXR-JPG\n"
            "mimic-cxr-2.0.0-metadata.csv.gz  of MIMIC-CXR-JPG, for the views (optional)\n"
            "files/p10/p10000032/s50414267.txt or mimic-cxr-reports.zip  of MIMIC-CXR, for reports (optional)"
        ),
        published={"sentences with boxes": 1162, "images": 1047, "boxes": 1448},
        published_source=(
            "Boecking et al.: 1,162 pairs of image and sentence; images and boxes as others counted them in "
            "version 1.1.0"
        ),
        options={"dicom": "the DICOM files of MIMIC-CXR instead of the JPEG files"},
        notes=(
            "A sentence may have several boxes: a pair is an image, a finding and a sentence. Boxes carry "
            "the sentence as their phrase.",
            "A finding without a box is unknown, not absent.",
            "The split of version 1.1.0 is its own: films of its training part lie in the validation or "
            "test part of MIMIC-CXR and the other way round. Leave the patients of MS-CXR out of any "
            "training on MIMIC-CXR.",
            "Boxes are in pixels of the full image.",
        ),
        contents=("boxes", "reports"),
    )

    def __init__(self, root: Path, option: str = "") -> None:
        self.root, self.notes = root, []
        self._ending = ".dcm" if option == "dicom" else ".jpg"
        self._table = need_table(root, *_TABLES)
        self._metadata = find_table(root, METADATA)
        self._files = files_folder(root)
        self._texts = MimicTexts(root, self._files)
        if not self._is_json:
            NamedRows(self._table, *_COLUMNS)

    @property
    def _is_json(self) -> bool:
        return self._table.name.removesuffix(".gz").endswith(".json")

    def tables(self) -> Iterator[Path]:
        """The table of boxes, and those of MIMIC-CXR that are there."""
        yield from filter(None, (self._table, self._metadata, self._texts.archive))

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """The films, in the order of their first box."""
        films: dict[str, _Film] = {}
        for row in coco_rows(self._table) if self._is_json else NamedRows(self._table, *_COLUMNS):
            problem = row.problem or _add(row, films)
            if problem:
                yield row.skipped(self._table, "dicom_id", problem)
        views = read_views(self._metadata, films)
        with self._texts as texts:
            for film in films.values():
                record = self._record(film, views.get(film.ids.dicom, "unknown"), texts)
                yield from texts.problems
                texts.problems.clear()
                yield record
            self.notes += texts.notes()
        if not self._metadata:
            self.notes.append("No mimic-cxr-2.0.0-metadata.csv.gz of MIMIC-CXR-JPG: every view is 'unknown'.")

    def _record(self, film: _Film, view: str, texts: MimicTexts) -> ImageRecord:
        shown = {box.label for box in film.boxes}
        return ImageRecord(
            image_id=film.ids.dicom,
            study_id=f"s{film.ids.study}",
            patient_id=f"p{film.ids.subject}",
            path=film.ids.path(self._files, self._ending),
            split=film.split,
            view=view,
            labels={category: 1 if category in shown else None for category in CATEGORIES},
            boxes=tuple(film.boxes),
            report=texts.text(film.ids.subject, film.ids.study),
            source=str(self._table),
            row=film.row,
        )


def _add(row: NamedRow, films: dict[str, _Film]) -> str:
    """Adds the box of a row to its film, or says what is wrong with the row."""
    cells = row.cells
    place = _PATH.fullmatch(cells["path"].replace("\\", "/"))
    if place is None:
        return "path is not of the form files/p10/p10000032/s50414267/<dicom_id>.jpg"
    ids = MimicIds(*place.groups())
    if cells.get("dicom_id") not in (None, "", ids.dicom):
        return "dicom_id is not the image of path"
    if cells["category_name"] not in CATEGORIES:
        return f"unknown category_name {cells['category_name'][:40]!r}"
    split = split_of(cells.get("split", ""))
    if split is None:
        return f"unknown split {cells['split'][:20]!r}; known: train, val, test"
    edges = [number(cells[name]) for name in ("x", "y", "w", "h", "image_width", "image_height")]
    x, y, width, height, image_width, image_height = (-1.0 if edge is None else edge for edge in edges)
    inside = x >= 0 and y >= 0 and x + width <= image_width + 1 and y + height <= image_height + 1
    if width <= 0 or height <= 0 or not inside:
        return "the box is missing, has no size, or lies outside of the image"
    film = films.setdefault(ids.dicom, _Film(ids, row.number, split))
    if film.ids != ids or film.split != split:
        return f"the image has another study or split in row {film.row}"
    box = FindingBox(cells["category_name"], x, y, width, height, phrase=cells["label_text"])
    if box in film.boxes:
        return "the row stands in the table twice"
    film.boxes.append(box)
    return ""


def coco_rows(path: Path) -> Iterator[NamedRow]:
    """The annotations of the COCO file as the rows of the table that is made from it; numbered from 1.

    Raises:
        DataError: The file is no COCO file.
    """
    coco: Any = read_json(path)
    try:
        images = {image["id"]: image for image in coco["images"]}
        categories = {category["id"]: category["name"] for category in coco["categories"]}
        for place, annotation in enumerate(coco["annotations"], start=1):
            image = images.get(annotation["image_id"], {})
            x, y, width, height = annotation["bbox"]
            cells = {
                "dicom_id": Path(image.get("file_name", "")).stem,
                "category_name": categories.get(annotation["category_id"], ""),
                "label_text": annotation.get("label_text", ""),
                "path": image.get("path", ""),
                "x": x,
                "y": y,
                "w": width,
                "h": height,
                "image_width": image.get("width", ""),
                "image_height": image.get("height", ""),
                "split": annotation.get("split", ""),
            }
            yield NamedRow(place, {name: str(cell).strip() for name, cell in cells.items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: not a COCO file of boxes ({error!r}).", "Download the file again."
        ) from error

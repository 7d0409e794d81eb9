"""A hospital's own folder: images in any nesting, with or without tables of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.readers.folder_files import image_ids, image_names, is_dicom, path_id
from offclip.data.datasets.readers.folder_header import FilmHeader, film_header
from offclip.data.datasets.readers.folder_tables import (
    BOXES,
    OwnRow,
    RowStore,
    find_tables,
    open_boxes,
    open_table,
    read_boxes,
    read_rows,
)
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.datasets.tables.cells import age_years, sex_of, split_of
from offclip.data.files import Skipped
from offclip.errors import DataError, ImageError
from offclip.images.views import view_of

ANY_MODALITY = "any-modality"
_MODALITIES = ("CR", "DX", "")


class Folder:
    """The generic reader. Without tables every image counts; with tables the images that they list.

    Args:
        root: The folder.
        option: `"any-modality"` or empty.

    Raises:
        DataError: There is no such folder, or a table cannot be read or joined.
    """

    card = Card(
        name="folder",
        title="A folder of your own",
        url="",
        access="open",
        terms="Your own; offclip sends nothing anywhere.",
        citation="",
        layout=(
            "any/nesting/film.dcm, .png, .jpg, .tif  images\n"
            "images.csv, labels.csv, reports.csv  (optional; also .csv.gz, .tsv, .parquet) image_id or path "
            "or "
            "study_id, then any of patient_id, view, split, age, sex, report, and a column of 1, 0 or "
            "nothing a "
            "finding\n"
            "boxes.csv  (optional) image_id, finding, x, y, width, height"
        ),
        options={ANY_MODALITY: "take DICOM files of every modality, not CR and DX alone"},
        notes=(
            "Ids of a DICOM file come from its header where the tables give none, and stay as they are: the "
            "study table names patients as your archive does.",
            "An image without a header or a row belongs to the folder that it lies in, which counts as "
            "study and patient; one that lies in no folder, or whose patient a table names, is a study of "
            "its own.",
            "An id of an image is its file name without the ending; where names repeat, the folders stand "
            "before it with two underscores.",
            "A column of findings keeps its name, in lower case: 'Pleural_Effusion' becomes 'pleural "
            "effusion'.",
        ),
        contents=("labels", "boxes", "reports"),
    )

    def __init__(self, root: Path, option: str = "") -> None:
        self.root = root
        self.notes: list[str] = []
        self._root = root.absolute()
        self._by_place = 0
        self._any_modality = option == ANY_MODALITY
        if not root.is_dir():
            raise DataError(f"{root}: no such folder.", "Check the path.")
        self._tables = [open_table(path) for path in find_tables(root)]
        self._boxes = next(iter(find_tables(root, (BOXES,))), None)
        if self._boxes:
            open_boxes(self._boxes)
        self._findings = tuple(dict.fromkeys(name for table in self._tables for name in table.findings))

    def tables(self) -> Iterator[Path]:
        """The tables that are read."""
        yield from (table.path for table in self._tables)
        if self._boxes:
            yield self._boxes

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """Images in the order of the tables, or of their paths where no table lists images."""
        for table in self._tables:
            if table.passed_over:
                names = ", ".join(table.passed_over)[:200]
                self.notes.append(f"{table.path.name}: columns without 1 or 0 were passed over: {names}.")
        problems: list[Skipped] = []
        names = list(image_names(self.root, problems))
        yield from problems
        ids = image_ids(names)
        with closing(RowStore()) as store:
            places = {image_id: name for name, image_id in ids.items()}
            yield from self._load(store, ids, places)
            boxes: dict[str, list[FindingBox]] = {}
            for box in read_boxes(self._boxes) if self._boxes else ():
                if isinstance(box, Skipped):
                    yield box
                else:
                    boxes.setdefault(_known(box[0], places), []).append(box[1])
            listed = any(table.of_images for table in self._tables)
            images = store.keys("image") if listed else iter(ids.values())
            used = self._by_place = 0
            studies: set[str] = set()
            for image_id in list(images):
                name = places.get(image_id)
                used += name is not None
                item = self._item(store, image_id, name, tuple(boxes.pop(image_id, ())))
                yield item
                if isinstance(item, ImageRecord):
                    studies.add(item.study_id)
            self._add_notes(len(names) - used, set(store.keys("study")) - studies, boxes)

    def _add_notes(self, unlisted: int, studies: set[str], boxes: dict[str, list[FindingBox]]) -> None:
        if unlisted:
            self.notes.append(f"{unlisted:,} image(s) stand in no table and were left out.")
        if self._by_place:
            self.notes.append(
                f"{self._by_place:,} image(s) have no study id: the folder that they lie in counts as study."
            )
        if studies:
            self.notes.append(f"{len(studies):,} stud(ies) of the tables have no image.")
        if boxes:
            self.notes.append(f"{BOXES}: {len(boxes):,} image(s) with boxes are not among the images.")

    def _load(self, store: RowStore, ids: dict[str, str], places: dict[str, str]) -> Iterator[Skipped]:
        """Fills the store; a path that comes with an id gives the id to the file."""
        given: dict[str, str] = {}
        # Tables with both columns come first, so that others may name either.
        for table in sorted(self._tables, key=lambda t: not {"image_id", "path"} <= t.columns.keys()):
            source = str(table.path)
            for row in read_rows(table):
                if isinstance(row, Skipped):
                    yield row
                    continue
                number, cells, findings = row
                path, image_id, study = (cells.pop(name, "") for name in ("path", "image_id", "study_id"))
                problem = _row_problem(cells, path, image_id, study, table.of_images)
                if problem:
                    yield Skipped(source, number, image_id or path or study, problem)
                    continue
                if not table.of_images:
                    store.add("study", study, source, number, cells, findings)
                    continue
                if path:
                    path = self._relative(path)
                    image_id = image_id or ids.get(path) or path_id(path.lstrip("/"))
                    if given.setdefault(image_id, path) != path:
                        reason = f"the image has another path in a row before: {given[image_id]}"
                        yield Skipped(source, number, image_id, reason)
                        continue
                    ids[path], places[image_id] = image_id, path
                else:
                    image_id = _known(image_id, places)
                store.add("image", image_id, source, number, {**cells, "study_id": study}, findings)
        store.index()

    def _relative(self, path: str) -> str:
        """A path of a table as `image_names` has it; one that leads out of the folder stays absolute."""
        place = Path(path.replace("\\", "/"))
        return (place.relative_to(self._root) if place.is_relative_to(self._root) else place).as_posix()

    def _item(
        self, store: RowStore, image_id: str, name: str | None, boxes: tuple[FindingBox, ...]
    ) -> ImageRecord | Skipped:
        """The record of an image, or why it is left out."""
        row = store.get("image", image_id)
        path = self._root / (name or image_id)
        source = row.source or str(path)
        if row.problem:
            return Skipped(source, row.row, image_id, row.problem)
        header = FilmHeader()
        if name and is_dicom(name) and path.is_file():
            try:
                header = film_header(path)
            except ImageError as error:
                return Skipped(str(path), 0, image_id, error.message)
            if not self._any_modality and header.modality not in _MODALITIES:
                reason = (
                    f"modality {header.modality[:16]!r} instead of CR or DX; see the option {ANY_MODALITY}"
                )
                return Skipped(str(path), 0, image_id, reason)
        study = row.cells.get("study_id") or header.identity.study_uid
        if not study:
            # A folder may hold many patients where a table tells them apart.
            study = image_id if row.cells.get("patient_id") else _place(name or "", image_id)
            self._by_place += study != image_id
        about = store.get("study", study)
        if about.problem:
            return Skipped(about.source, about.row, study, about.problem)
        return self._record(image_id, study, path, header, (row, about), boxes)

    def _record(
        self,
        image_id: str,
        study: str,
        path: Path,
        header: FilmHeader,
        rows: tuple[OwnRow, OwnRow],
        boxes: tuple[FindingBox, ...],
    ) -> ImageRecord:
        row, about = rows

        def cell(name: str) -> str:
            return row.cells.get(name) or about.cells.get(name) or ""

        labels = {}
        for name in self._findings:
            own = row.findings.get(name)
            labels[name] = about.findings.get(name) if own is None else own
        view, age = view_of(cell("view")), age_years(cell("age"))
        return ImageRecord(
            image_id,
            study,
            cell("patient_id") or header.identity.patient_id or study,
            path,
            split=split_of(cell("split")) or "",
            view=header.view if view == "unknown" else view,
            age_years=header.identity.age_years if age is None else age,
            sex=sex_of(cell("sex")) or header.identity.sex,
            labels=labels,
            boxes=boxes,
            report=cell("report"),
            source=row.source or about.source or str(path),
            row=row.row or about.row,
        )


def _known(image_id: str, places: dict[str, str]) -> str:
    """The id of an image that a table names with or without the ending of its file."""
    return image_id if image_id in places or path_id(image_id) not in places else path_id(image_id)


def _row_problem(cells: dict[str, str], path: str, image_id: str, study: str, of_images: bool) -> str:
    if of_images and not (path or image_id):
        return "it names no image"
    if not of_images and not study:
        return "study_id is empty"
    if split_of(cells.get("split", "")) is None:
        return f"unknown split {cells['split'][:40]!r}"
    return ""


def _place(name: str, image_id: str) -> str:
    """The folder that an image lies in, or the image itself where it lies in none."""
    return name.rpartition("/")[0] or image_id

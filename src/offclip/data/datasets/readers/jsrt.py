"""JSRT: chest films with and without a lung nodule, with the place and the size of the nodule.

Source: http://db.jsrt.or.jp/eng.php; Shiraishi et al., American Journal of Roentgenology 2000;174:71-74.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.record import FindingBox, ImageRecord
from offclip.data.datasets.tables.cells import age_years, number, sex_of
from offclip.data.files import Skipped
from offclip.data.sources.limits import MAX_FILE_BYTES
from offclip.data.sources.members import decode_text, files_below
from offclip.errors import DataError

NODULE, MALIGNANT = "Nodule", "Malignant nodule"
WITH_NODULE, WITHOUT = "CLNDAT_EN.txt", "CNNDAT_EN.TXT"
SIDE = 2048
SPACING_MM = 0.175
# The film as published first, then what users convert it to.
_ENDINGS = (".img", ".dcm", ".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
_NAME = re.compile(r"(JPC[LN]N\d{3})\.IMG", re.IGNORECASE)
_COLUMNS = "file name, subtlety, size, age, sex, x, y, malignant or benign"
_TYPES = {"malignant": 1, "benign": 0}


@dataclass(frozen=True, slots=True)
class Case:
    """A line of one of the two tables.

    Attributes:
        image_id: Such as `JPCLN001`.
        age: In years, None where the table has a question mark.
        sex: `"F"`, `"M"` or empty.
        malignant: 1, 0 for benign or without a nodule, None when unknown.
        nodule: Where it lies, None without one or when its size is unknown.
    """

    image_id: str
    age: float | None
    sex: str
    malignant: int | None
    nodule: FindingBox | None = None


def nodule_case(line: str) -> Case:
    r"""Reads a line of `CLNDAT_EN.txt`; its columns are parted by tabs or blanks and have no header.

    Raises:
        ValueError: It has not the columns of the table.

    Example:
        >>> case = nodule_case("JPCLN001.IMG\t5\t14\t53\tmale\t1634\t692\tmalignant\tl.upper lobe")
        >>> case.image_id, case.malignant, case.nodule.x, case.nodule.width
        ('JPCLN001', 1, 1594.0, 80.0)
    """
    words = line.split()
    if len(words) < 8:
        raise ValueError(f"it has {len(words)} columns instead of 8 ({_COLUMNS})")
    name = _image_id(words[0])
    x, y, kind = number(words[5]), number(words[6]), words[7].lower()
    if x is None or y is None or not (0 <= x < SIDE and 0 <= y < SIDE):
        raise ValueError(f"x and y are no place on a film of {SIDE} x {SIDE} pixels")
    if kind not in (*_TYPES, "?"):
        raise ValueError(f"{words[7]!r} stands where malignant or benign is expected")
    size = number(words[2])
    box = None
    if size is not None and size > 0:
        side = size / SPACING_MM
        box = FindingBox(NODULE, x - side / 2, y - side / 2, side, side)
    return Case(name, age_years(words[3]), sex_of(words[4]), _TYPES.get(kind), box)


def plain_case(line: str) -> Case:
    """Reads a line of `CNNDAT_EN.TXT`.

    Raises:
        ValueError: It has not the columns of the table.

    Example:
        >>> plain_case("JPCNN001.IMG   63   female   non-nodule")
        Case(image_id='JPCNN001', age=63.0, sex='F', malignant=0, nodule=None)
    """
    words = line.split()
    if len(words) < 3:
        raise ValueError(f"it has {len(words)} columns instead of 4 (file name, age, sex, non-nodule)")
    return Case(_image_id(words[0]), age_years(words[1]), sex_of(words[2]), 0)


class Jsrt:
    """The database, with the raw films as published or with films that were converted.

    Args:
        root: Folder that the archives were unpacked to, in any nesting.
        option: None is known.

    Raises:
        DataError: One of the two tables is missing or not a text file.
    """

    card = Card(
        name="jsrt",
        title="JSRT digital image database of chest radiographs with and without a lung nodule",
        url="http://db.jsrt.or.jp/eng.php",
        access="registration",
        terms=(
            "Free for research after registration; films and tables must not be passed on. Name the JSRT "
            "database and cite Shiraishi et al."
        ),
        citation=(
            "Shiraishi et al. Development of a digital image database for chest radiographs with and "
            "without a lung nodule. American Journal of Roentgenology 2000;174:71-74."
        ),
        layout=(
            "Clinical_Information/CLNDAT_EN.txt  films with a nodule: size, age, sex, place, diagnosis\n"
            "Clinical_Information/CNNDAT_EN.TXT  films without a nodule: age, sex\n"
            "All247images/JPCLN001.IMG, JPCNN001.IMG  raw films; or Nodule154images and NonNodule93images; "
            "or the "
            "same names as .dcm, .png or .tif"
        ),
        published={"images": 247, NODULE: 154, MALIGNANT: 100},
        published_source="http://db.jsrt.or.jp/eng.php",
        notes=(
            "The raw films have no header and hold the density of the film: bone is dark until they are "
            "turned over. offclip does that for .IMG; a converted file must have been turned over by "
            "whoever converted it.",
            "Boxes are squares round the centre of a nodule, as wide as its size in mm. They fit films of "
            "2048 x 2048 pixels alone.",
            "A film without a nodule is not called normal by the set.",
            "Every film counts as a patient of its own; the set does not say otherwise.",
            "Films of bone suppression (BSE) and masks (SCR) bear the same names; keep them out of the "
            "folder.",
        ),
        contents=("labels", "boxes"),
    )

    def __init__(self, root: Path, option: str = "") -> None:
        self.root = root
        self.notes: list[str] = []
        self._files = {path: path.name.lower() for _, path in files_below(root.absolute())}
        self._tables = [self._find(WITH_NODULE), self._find(WITHOUT)]
        for table in self._tables:
            _lines(table)

    def tables(self) -> Iterator[Path]:
        """The two tables."""
        yield from self._tables

    def read(self) -> Iterator[ImageRecord | Skipped]:
        """Films with a nodule, then films without one, in the order of the tables."""
        films = self._films()
        unsized = converted = 0
        seen: set[str] = set()
        for table, parse in zip(self._tables, (nodule_case, plain_case), strict=True):
            for row, line in enumerate(_lines(table), start=1):
                if not line.strip():
                    continue
                try:
                    case = parse(line)
                except ValueError as error:
                    found = _NAME.match(line.strip())
                    yield Skipped(str(table), row, found[1].upper() if found else "", str(error))
                    continue
                if case.image_id in seen:
                    yield Skipped(str(table), row, case.image_id, "it stands in the tables twice")
                    continue
                seen.add(case.image_id)
                record = _record(case, table, row, films, self.root.absolute())
                has_nodule = bool(record.labels[NODULE])
                unsized += has_nodule and not record.boxes
                converted += record.path.suffix.lower() != ".img"
                yield record
        if unsized:
            self.notes.append(f"{unsized:,} nodule(s) have no size in the table, and so no box.")
        if converted:
            self.notes.append(f"{converted:,} film(s) are not raw .IMG; check that bone is white in them.")

    def _find(self, name: str) -> Path:
        table = next((path for path, lower in self._files.items() if lower == name.lower()), None)
        if table is None:
            raise DataError(
                f"{self.root}: {name} lies nowhere in it.", "Unpack Clinical_Information.zip there."
            )
        return table

    def _films(self) -> dict[str, Path]:
        """Where the film of an id lies; the raw one if there are several, else the least deep."""
        films: dict[str, Path] = {}
        ranked = (p for p in self._files if p.suffix.lower() in _ENDINGS)
        for path in sorted(ranked, key=lambda p: (_ENDINGS.index(p.suffix.lower()), len(p.parts), p)):
            films.setdefault(path.stem.upper(), path)
        return films


def _image_id(name: str) -> str:
    found = _NAME.fullmatch(name)
    if not found:
        raise ValueError(f"{name[:40]!r} is no file name such as JPCLN001.IMG")
    return found[1].upper()


def _record(case: Case, table: Path, row: int, films: dict[str, Path], root: Path) -> ImageRecord:
    has_nodule = table.name.lower() == WITH_NODULE.lower()
    return ImageRecord(
        case.image_id,
        case.image_id,
        case.image_id,
        films.get(case.image_id, root / "All247images" / f"{case.image_id}.IMG"),
        view="PA",
        age_years=case.age,
        sex=case.sex,
        labels={NODULE: int(has_nodule), MALIGNANT: case.malignant},
        boxes=(case.nodule,) if case.nodule else (),
        source=str(table),
        row=row,
    )


def _lines(path: Path) -> list[str]:
    """The lines of a table; they end as on a Macintosh of 1998 or as today."""
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_FILE_BYTES else b"\0"
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).", "Check the file.") from error
    text, _ = decode_text(data)
    if "\0" in text or not text.strip():
        what = "the file is empty" if not text.strip() else "not a text file"
        raise DataError(f"{path}: {what}.", "Unpack Clinical_Information.zip again.")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")

"""What a folder or an archive holds: kinds of files, and what a sample of them says when it is read."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

from offclip.data.contact_sheet import Tile
from offclip.data.files import Skipped
from offclip.data.image_files import ImageFile, ReadFile, image_files, is_passed_over, read_entries
from offclip.data.sources.members import files_below, is_archive
from offclip.data.study import read_studies
from offclip.errors import DataError
from offclip.images.dicom.syntaxes import SYNTAXES
from offclip.images.film import Film, ReadOptions
from offclip.images.preprocess import Preprocess
from offclip.images.reasons import Reason

# What lies beside images in the public sets, by its ending; everything else is tried.
_TABLES_AND_TEXTS = (
    ".csv",
    ".tsv",
    ".txt",
    ".json",
    ".jsonl",
    ".xml",
    ".md",
    ".pdf",
    ".html",
    ".xlsx",
    ".docx",
)
_OTHERS = (
    ".parquet",
    ".gz",
    ".toml",
    ".yaml",
    ".py",
    ".log",
    ".sqlite",
    ".npy",
    ".npz",
    ".safetensors",
    ".pt",
)
_NO_IMAGES = frozenset(_TABLES_AND_TEXTS + _OTHERS)


@dataclass
class Overview:
    """What was found.

    Attributes:
        files: Files by ending, lower case; `""` without one.
        folders: Folders that hold a file.
        bytes: Size of all files; of an archive, its own.
        complete: False when an archive was looked at only as far as the sample needed.
        sampled: Files that were read.
        facts: From what is told (`format`, `modality`, `view`, `bits`, `photometric`, `transfer syntax`,
            `grey values`, `burned in`) to how often each value was met.
        sizes: Height and width of what could be read.
        spacings_mm: Distances of rows, where the files say.
        notes: What is suspicious, with how often.
        refused: From the reason of `offclip.images.Reason` to the files that were refused for it.
        tiles: Squares for a contact sheet.
    """

    files: Counter[str] = field(default_factory=Counter)
    folders: int = 0
    bytes: int = 0
    complete: bool = True
    sampled: int = 0
    facts: dict[str, Counter[str]] = field(default_factory=dict)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    spacings_mm: list[float] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    refused: dict[str, list[str]] = field(default_factory=dict)
    tiles: list[Tile] = field(default_factory=list)

    def size_range(self) -> str:
        """Smallest, middle and largest size, by area.

        Example:
            >>> Overview(sizes=[(10, 20), (30, 40), (5, 5)]).size_range()
            '5 x 5 to 30 x 40 (median 10 x 20)'
        """
        ordered = sorted(self.sizes, key=lambda size: size[0] * size[1])
        if not ordered:
            return "-"
        low, middle, high = (
            f"{height} x {width}" for height, width in (ordered[0], ordered[len(ordered) // 2], ordered[-1])
        )
        return low if low == high else f"{low} to {high} (median {middle})"


def look(
    path: str | Path,
    *,
    sample: int = 48,
    seed: int = 0,
    tile: int = 160,
    options: ReadOptions | None = None,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Overview:
    """Counts the files of a folder or archive and reads a sample of those that may be images.

    A folder and the images of a study table are sampled at random with a fixed seed; an archive, which can
    only be read from its beginning, by its first images.

    Args:
        path: A file, a folder, an archive or a study table.
        sample: How many files are read.
        seed: Another seed reads others.
        tile: Side of the squares for a contact sheet, in pixels.
        options: How files are read; by default every modality is taken.
        workers: Processes that read.
        on_progress: Called with (files read, files to read).

    Raises:
        DataError: There is no such path, it is an archive that cannot be read, or it holds nothing.
    """
    path, options = Path(path), options or ReadOptions(modalities=())
    overview = Overview()
    if path.is_dir():
        chosen = _sample_of_folder(path, options, overview, sample, seed)
    elif path.suffix == ".parquet":
        chosen = _sample_of_table(path, overview, sample, seed)
    else:
        chosen = _first_of(path, options, overview, sample)
    total = min(sample, overview.files.total()) if overview.files else sample
    with closing(read_entries(chosen, options, Preprocess(tile), workers)) as results:
        for result in results:
            overview.sampled += 1
            if isinstance(result, Skipped):
                reason, _, what = result.reason.partition(": ")
                overview.refused.setdefault(reason, []).append(what or result.source)
            else:
                _add(overview, result)
            if on_progress:
                on_progress(overview.sampled, max(total, overview.sampled))
    if not overview.files:
        raise DataError(f"{path}: holds no file.", "Give a folder, an archive or a file with images.")
    return overview


def _sample_of_folder(
    folder: Path, options: ReadOptions, overview: Overview, sample: int, seed: int
) -> Iterator[ImageFile | Skipped]:
    """Counts all files and draws from those that may be images, each with the same chance."""
    draw = random.Random(seed)
    held: list[ImageFile] = []
    archives: list[Path] = []
    problems: list[Skipped] = []
    folders, candidates = set(), 0
    for name, file in files_below(folder, problems):
        ending = PurePosixPath(name).suffix.lower()
        overview.files[ending] += 1
        folders.add(file.parent)
        with suppress(OSError):
            overview.bytes += file.stat().st_size
        if is_archive(file):
            archives.append(file)
        if ending in _NO_IMAGES or is_archive(file) or is_passed_over(name):
            continue
        candidates += 1
        if len(held) < sample:
            held.append(ImageFile(name, file))
        elif (place := draw.randrange(candidates)) < sample:
            held[place] = ImageFile(name, file)
    overview.folders = len(folders)
    for problem in problems:
        overview.refused.setdefault(Reason.NOT_A_FILE, []).append(f"{problem.source}: {problem.reason}")
    if held or not archives:
        return iter(sorted(held, key=lambda file: file.name))
    overview.complete = False
    return islice(image_files(archives[0], options), sample)


def _sample_of_table(path: Path, overview: Overview, sample: int, seed: int) -> Iterator[ImageFile]:
    """Counts the images of a study table and draws from them."""
    images = [image for study in read_studies(path)["images"] for image in study]
    files = [ImageFile(image["image_id"], Path(image["path"])) for image in images]
    overview.files.update(file.path.suffix.lower() for file in files)
    overview.folders = len({file.path.parent for file in files})
    for file in files:
        with suppress(OSError):
            overview.bytes += file.path.stat().st_size
    drawn = random.Random(seed).sample(range(len(files)), min(sample, len(files)))
    return iter([files[place] for place in sorted(drawn)])


def _first_of(
    path: Path, options: ReadOptions, overview: Overview, sample: int
) -> Iterator[ImageFile | Skipped]:
    """Files of an archive, or the one file, as far as the sample needs them."""
    taken = 0
    for entry in image_files(path, options):
        name = entry.id if isinstance(entry, Skipped) else entry.name
        ending = PurePosixPath(name).suffix.lower()
        if taken == sample:
            overview.complete = False
            return
        overview.files[ending] += 1
        overview.bytes = path.stat().st_size
        if ending not in _NO_IMAGES:
            taken += 1
            yield entry


def _add(overview: Overview, result: ReadFile) -> None:
    film = result.film
    overview.sizes.append((film.grid.height, film.grid.width))
    if film.grid.spacing_mm:
        overview.spacings_mm.append(film.grid.spacing_mm[0])
    overview.notes.update(film.metadata.notes)
    for name, value in _facts(film).items():
        overview.facts.setdefault(name, Counter())[value] += 1
    lines = (PurePosixPath(result.file.name).name, _caption(film))
    overview.tiles.append(Tile(film.pixels, lines))


def _facts(film: Film) -> dict[str, str]:
    about = film.metadata
    facts = {
        "format": about.format,
        "view": about.view,
        "bits": str(about.bits),
        "photometric": about.photometric,
        "grey values": about.grey + (", inverted" if about.inverted else ""),
    }
    if about.format == "DICOM":
        facts["modality"] = about.modality or "not said"
        syntax = SYNTAXES.get(about.transfer_syntax)
        facts["transfer syntax"] = syntax.name if syntax else about.transfer_syntax
        facts["burned in"] = {None: "not said", True: "yes", False: "no"}[about.burned_in]
    if abs(film.grid.aspect - 1) > 1e-3:
        facts["pixels"] = "not square"
    return facts


def _caption(film: Film) -> str:
    about = film.metadata
    parts = (about.modality, about.view if about.view != "unknown" else "", about.format)
    return f"{' '.join(filter(None, parts))} {film.grid.height}x{film.grid.width}"

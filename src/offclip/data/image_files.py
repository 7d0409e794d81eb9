"""The image files of a file, a folder or an archive, one after the other; nothing is unpacked to the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from offclip.data.files import Skipped
from offclip.data.sources.limits import MemberLimit
from offclip.data.sources.members import files_below, is_archive, members
from offclip.errors import DataError, ImageError
from offclip.images.film import Film, ReadOptions
from offclip.images.geometry import Letterbox
from offclip.images.pool import DecoderPool, NamedBytes
from offclip.images.preprocess import Preprocess
from offclip.images.reasons import Reason

# What systems and viewers leave beside images, in lower case.
_PASSED_OVER = frozenset(("thumbs.db", "desktop.ini", "dicomdir", "__macosx"))


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file that may be an image.

    Attributes:
        name: Its path inside the input, with slashes; unique. The parts of an archive are named as if it were
            a folder: `study.zip/series/1.dcm`.
        path: Where it is; for a member of an archive, the archive.
        data: The bytes of a member of an archive, None for a file.
    """

    name: str
    path: Path
    data: bytes | None = None

    @property
    def source(self) -> Path | NamedBytes:
        """The file as `DecoderPool.map` takes it."""
        return self.path if self.data is None else NamedBytes(self.name, self.data)


@dataclass(frozen=True, slots=True)
class ReadFile:
    """An image file that could be read.

    Attributes:
        file: Where it came from, without its bytes.
        film: Its pixels; a model's square where a `Preprocess` was given.
        geometry: Takes coordinates back from the square; None without a `Preprocess`.
    """

    file: ImageFile
    film: Film
    geometry: Letterbox | None


def image_files(path: str | Path, options: ReadOptions = ReadOptions()) -> Iterator[ImageFile | Skipped]:
    """Every file that may be an image, in the order of the paths, an archive in its own order.

    Archives (`.zip`, `.tar`, `.tar.gz`, `.tgz`) are opened, those in folders too; one inside another is
    refused. Passed over without a word: hidden files and folders, `__MACOSX`, `Thumbs.db`, `desktop.ini`,
    `DICOMDIR`. Whether a file is an image says its content, so everything else is handed on.

    Args:
        path: A file, a folder or an archive.
        options: Its limits say how large a member of an archive may be.

    Raises:
        DataError: There is no such path, or it is an archive that cannot be read. A damaged archive in a
            folder is listed as skipped, and the rest goes on.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("b.png", "a.dcm", ".hidden"):
        ...     (folder / name).touch()
        >>> [file.name for file in image_files(folder)]
        ['a.dcm', 'b.png']
    """
    path = Path(path)
    if path.is_dir():
        yield from _of_folder(path, options)
    elif not path.exists():
        raise DataError(f"{path}: no such file or folder.", "Check the path.")
    elif is_archive(path):
        yield from _of_archive(path, "", options)
    else:
        yield ImageFile(path.name, path)


def read_many(
    path: str | Path,
    options: ReadOptions = ReadOptions(),
    preprocess: Preprocess | None = None,
    workers: int | None = None,
) -> Generator[ReadFile | Skipped, None, None]:
    """Reads every image of a file, a folder or an archive in processes of their own, in order.

    Args:
        path: As for `image_files`.
        options: How files are read, and what they may cost.
        preprocess: Makes a model's square of every film.
        workers: Most processes; the cores that there are by default.

    Raises:
        DataError: There is no such path, or it is an archive that cannot be read.
        OffclipError: No process can be started.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "note.txt").write_text("a report")
        >>> [skipped.reason.split(":")[0] for skipped in read_many(folder, workers=1)]
        ['not-an-image']
    """
    yield from read_entries(image_files(path, options), options, preprocess, workers)


def read_entries(
    entries: Iterable[ImageFile | Skipped],
    options: ReadOptions = ReadOptions(),
    preprocess: Preprocess | None = None,
    workers: int | None = None,
) -> Generator[ReadFile | Skipped, None, None]:
    """Reads image files in processes of their own, in order; what was skipped before keeps its place.

    Args:
        entries: Such as `image_files` finds.
        options: How files are read, and what they may cost.
        preprocess: Makes a model's square of every film.
        workers: Most processes; the cores that there are by default.

    Raises:
        OffclipError: No process can be started.
    """
    # What was handed to the pool, without bytes, and what was skipped before it got there, in order.
    order: deque[ImageFile | Skipped] = deque()

    def sources() -> Iterator[Path | NamedBytes]:
        for entry in entries:
            if isinstance(entry, Skipped):
                order.append(entry)
            else:
                order.append(ImageFile(entry.name, entry.path))
                yield entry.source

    with DecoderPool(workers, options, preprocess) as pool:
        for result in pool.map(sources()):
            while isinstance(entry := order.popleft(), Skipped):
                yield entry
            if isinstance(result, ImageError):
                yield skipped_image(result, entry.name, str(entry.path))
            else:
                yield ReadFile(entry, result.film, result.geometry)
        yield from (entry for entry in order if isinstance(entry, Skipped))


def skipped_image(error: ImageError, image_id: str, source: str) -> Skipped:
    """The entry of `skipped.csv` for a refused image: the word of `Reason` first, so that it can be counted.

    Example:
        >>> from offclip.images.reasons import refusal
        >>> skipped_image(refusal(Reason.EMPTY, "a.png", "the file is empty"), "a", "a.png").reason
        'empty: a.png: the file is empty.'
    """
    return Skipped(source, 0, image_id, f"{error.reason}: {error.message}")


def _of_folder(folder: Path, options: ReadOptions) -> Iterator[ImageFile | Skipped]:
    problems: list[Skipped] = []
    for name, file in files_below(folder, problems):
        yield from _listed(problems)
        if is_passed_over(name):
            continue
        if not is_archive(file):
            yield ImageFile(name, file)
            continue
        try:
            yield from _of_archive(file, name, options)
        except DataError as error:
            yield Skipped(str(file), 0, name, f"{Reason.DAMAGED}: {error.message}")
    yield from _listed(problems)


def _listed(problems: list[Skipped]) -> Iterator[Skipped]:
    """Folders that were not entered."""
    while problems:
        entry = problems.pop(0)
        yield Skipped(entry.source, 0, entry.id, f"{Reason.NOT_A_FILE}: {entry.reason}")


def _of_archive(path: Path, name: str, options: ReadOptions) -> Iterator[ImageFile | Skipped]:
    limit = MemberLimit(
        options.limits.max_file_bytes,
        "an image",
        too_large=f"{Reason.FILE_TOO_LARGE}: ",
        damaged=f"{Reason.DAMAGED}: ",
        odd_name=f"{Reason.NOT_A_FILE}: ",
    )
    nested: list[str] = []

    def wanted(inside: str) -> bool:
        if is_passed_over(inside):
            return False
        if is_archive(Path(inside)):
            nested.append(inside)
            return False
        return True

    def refused() -> Iterator[Skipped]:
        while nested:
            inside = nested.pop(0)
            reason = f"{Reason.UNSUPPORTED_FORMAT}: an archive inside an archive is not opened"
            yield Skipped(f"{path}/{inside}", 0, _joined(name, inside), reason)

    for member in members(path, wanted, limit):
        yield from refused()
        if isinstance(member, Skipped):
            yield Skipped(member.source, 0, _joined(name, member.id), member.reason)
        else:
            yield ImageFile(_joined(name, member.name), path, member.data)
    yield from refused()


def _joined(archive: str, inside: str) -> str:
    return f"{archive}/{inside}" if archive else inside


def is_passed_over(name: str) -> bool:
    """Whether a path inside a folder or an archive is hidden, or what systems and viewers leave.

    Example:
        >>> is_passed_over("CR/0001.dcm"), is_passed_over("CR/Thumbs.db"), is_passed_over(".cache/a.png")
        (False, True, True)
    """
    parts = PurePosixPath(name).parts
    return any((part.startswith(".") and part != "..") or part.lower() in _PASSED_OVER for part in parts)

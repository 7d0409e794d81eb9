"""The files of a folder, a tar or a zip archive, one after the other; nothing is unpacked to the disk."""

from __future__ import annotations

import codecs
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, cast

from offclip.data.files import Skipped
from offclip.data.sources.limits import (
    MAX_MEMBERS,
    MAX_NAME,
    REPORTS,
    ForwardReader,
    MemberLimit,
    bomb,
    byte_budget,
)
from offclip.errors import DataError

TAR_ENDINGS = (".tgz", ".tar.gz", ".tar")


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a folder or an archive.

    Attributes:
        name: Its path inside, with slashes.
        source: What to call it in `skipped.csv`.
        data: Its bytes.
    """

    name: str
    source: str
    data: bytes


def is_archive(path: Path) -> bool:
    """Whether the name is that of a tar or zip archive."""
    return path.name.lower().endswith((*TAR_ENDINGS, ".zip"))


def members(
    path: Path, wanted: Callable[[str], bool], limit: MemberLimit = REPORTS
) -> Iterator[Member | Skipped]:
    """The wanted files of a folder (in order of their paths) or of an archive (in its own order).

    Links inside archives are passed over; links to folders are not followed.

    Args:
        path: A folder, a `.tar`, `.tgz`, `.tar.gz` or `.zip`.
        wanted: Which names to read; called with the path inside.
        limit: How large a file may be; a larger one is not read.

    Raises:
        DataError: The archive is damaged, unpacks to too much, or has too many members.
    """
    if path.is_dir():
        yield from _of_folder(path, wanted, limit)
    elif path.name.lower().endswith(".zip"):
        yield from _of_zip(path, wanted, limit)
    else:
        yield from _of_tar(path, wanted, limit)


def names(path: Path) -> Iterator[str]:
    """The names of the files of a folder or an archive; ask for as many as are needed."""
    if path.is_dir():
        yield from (name for name, _ in files_below(path))
    elif path.name.lower().endswith(".zip"):
        with _zip(path) as archive:
            yield from (info.filename for info in archive.infolist() if not info.is_dir())
    else:
        yield from (info.name for _, info in _tar_files(path))


def files_below(folder: Path, problems: list[Skipped] | None = None) -> Iterator[tuple[str, Path]]:
    """Every file below a folder with its path inside, in an order that is the same everywhere.

    Args:
        folder: Where to look.
        problems: Takes folders that cannot be entered, and links to folders, which are not followed.
    """
    problems = [] if problems is None else problems

    def cannot_enter(error: OSError) -> None:
        problems.append(Skipped(str(error.filename), 0, "", f"cannot be entered ({error.strerror})"))

    for parent, folders, files in os.walk(folder, onerror=cannot_enter):
        folders.sort()
        for name in folders:
            if Path(parent, name).is_symlink():
                problems.append(Skipped(str(Path(parent, name)), 0, "", "a link to a folder is not followed"))
        inside = Path(parent).relative_to(folder).as_posix()
        for name in sorted(files):
            yield (name if inside == "." else f"{inside}/{name}"), Path(parent, name)


def decode_text(data: bytes) -> tuple[str, bool]:
    r"""The text of a file, and whether it had to be read as something else than UTF-8.

    Example:
        >>> decode_text(b"\xef\xbb\xbfClear."), decode_text("Größe".encode("cp1252"))
        (('Clear.', False), ('Größe', True))
    """
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    # Five bytes have no meaning in cp1252; latin-1 takes everything.
    for encoding in ("utf-16",) if utf16 else ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding), encoding != "utf-8-sig"
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1"), True


def _of_folder(folder: Path, wanted: Callable[[str], bool], limit: MemberLimit) -> Iterator[Member | Skipped]:
    problems: list[Skipped] = []
    for name, file in files_below(folder, problems):
        yield from problems
        problems.clear()
        if wanted(name):
            yield _read_file(name, file, limit)
    yield from problems


def _read_file(name: str, file: Path, limit: MemberLimit) -> Member | Skipped:
    source = str(file)
    try:
        name.encode()
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            return Skipped(source, 0, name, "not a file")
        if status.st_size > limit.max_bytes:
            return _too_large(source, name, status.st_size, limit)
        return Member(name, source, file.read_bytes())
    except UnicodeEncodeError:
        return Skipped(source.encode(errors="backslashreplace").decode(), 0, "", "the file name is not UTF-8")
    except OSError as error:
        return Skipped(source, 0, name, f"cannot be read ({error.strerror or error})")


def _of_tar(path: Path, wanted: Callable[[str], bool], limit: MemberLimit) -> Iterator[Member | Skipped]:
    for archive, info in _tar_files(path):
        source = f"{path}/{info.name}"
        if not wanted(info.name):
            continue
        if not _good_name(info.name):
            yield _bad_name(path, info.name, limit)
        elif info.size > limit.max_bytes:
            yield _too_large(source, info.name, info.size, limit)
        else:
            try:
                file = archive.extractfile(info)
                data = _in_pieces(file) if file else b""
            except tarfile.TarError as error:
                raise _damaged(path, error) from error
            yield Member(info.name, source, data)


def _tar_files(path: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The files of a tar archive: no folders, links or devices."""
    try:
        with closing(ForwardReader(path)) as reader, _tar(reader) as archive:
            for number, info in enumerate(archive):
                setattr(archive, "members", [])  # noqa: B010  (tarfile would remember every member)
                _check_count(path, number)
                if info.isreg():
                    yield archive, info
            # tarfile takes an archive that was cut short for one that ends there.
            if not reader.ends_in_zeros():
                raise tarfile.ReadError("it is cut short: the mark of its end is missing")
    except (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError) as error:
        raise _damaged(path, error) from error


def _tar(reader: ForwardReader) -> tarfile.TarFile:
    return tarfile.open(fileobj=cast(IO[bytes], reader), mode="r:")  # it reads, tells and seeks, no more


@contextmanager
def _zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _damaged(path, error) from error


def _of_zip(path: Path, wanted: Callable[[str], bool], limit: MemberLimit) -> Iterator[Member | Skipped]:
    left = byte_budget(path)
    with _zip(path) as archive:
        for number, info in enumerate(archive.infolist()):
            _check_count(path, number)
            # A link has its mode in the upper half of the attributes.
            if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16) or not wanted(info.filename):
                continue
            source = f"{path}/{info.filename}"
            if not _good_name(info.filename):
                yield _bad_name(path, info.filename, limit)
                continue
            if info.file_size > limit.max_bytes:
                yield _too_large(source, info.filename, info.file_size, limit)
                continue
            try:
                with archive.open(info) as file:
                    data = file.read(limit.max_bytes + 1)
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
                # Damaged, packed by an unknown method, or encrypted.
                yield Skipped(source, 0, info.filename, f"{limit.damaged}cannot be unpacked ({error})")
                continue
            left -= len(data)
            if left < 0:
                raise bomb(path)
            yield Member(info.filename, source, data)


def _check_count(path: Path, number: int) -> None:
    if number >= MAX_MEMBERS:
        raise DataError(f"{path}: more than {MAX_MEMBERS:,} files.", "Split the archive.")


def _good_name(name: str) -> bool:
    return len(name) <= MAX_NAME and name.isprintable()


def _bad_name(path: Path, name: str, limit: MemberLimit) -> Skipped:
    reason = f"its name is longer than {MAX_NAME} characters or has characters that cannot be printed"
    return Skipped(str(path), 0, ascii(name[:60]), limit.odd_name + reason)


def _too_large(source: str, name: str, size: int, limit: MemberLimit) -> Skipped:
    return Skipped(
        source, 0, name, f"{limit.too_large}{size:,} bytes; {limit.what} has at most {limit.max_bytes:,}"
    )


def _in_pieces(file: IO[bytes]) -> bytes:
    """A whole member; `ForwardReader` refuses to read much at a time."""
    return b"".join(iter(partial(file.read, 2**20), b""))


def _damaged(path: Path, error: Exception) -> DataError:
    what = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
    return DataError(f"{path}: the archive cannot be read ({what}).", "Copy or download it again.")

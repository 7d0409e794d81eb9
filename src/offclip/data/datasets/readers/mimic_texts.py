"""The report of a study of MIMIC-CXR, out of the folder or out of `mimic-cxr-reports.zip`."""

from __future__ import annotations

import stat
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

from offclip.data.files import Skipped
from offclip.data.sources.limits import MAX_FILE_BYTES
from offclip.data.sources.members import decode_text
from offclip.data.sources.mimic import ARCHIVE
from offclip.data.sources.text_files import foreign_note
from offclip.errors import DataError


class MimicTexts:
    """Reports by patient and study; use as a context.

    Args:
        root: Folder that may hold the archive.
        files: The folder `files`, where the unpacked reports lie.

    Attributes:
        archive: The archive, None where it is not there.
        found: Studies so far that have a report.
        missing: Studies so far that have none.
        problems: Reports so far that cannot be read; to be emptied by the caller.

    Raises:
        DataError: The archive is damaged.
    """

    def __init__(self, root: Path, files: Path) -> None:
        self.archive = root / ARCHIVE if (root / ARCHIVE).is_file() else None
        self.found = self.missing = self.foreign = 0
        self.problems: list[Skipped] = []
        self._files = files
        self._zip: zipfile.ZipFile | None = None
        self.text = lru_cache(maxsize=64)(self._text)  # the images of a study follow each other

    def __enter__(self) -> MimicTexts:
        if self.archive:
            try:
                self._zip = zipfile.ZipFile(self.archive)
            except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
                raise DataError(
                    f"{self.archive}: the archive cannot be read ({error}).", "Copy or download it again."
                ) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._zip:
            self._zip.close()

    def notes(self) -> list[str]:
        """What the user should know about the reports."""
        if not self.found:
            return [f"No report is there: neither files/p10/p10000032/s50414267.txt nor {ARCHIVE}."]
        notes = [f"{self.missing:,} studies have no report."] if self.missing else []
        return notes + ([foreign_note(self.foreign)] if self.foreign else [])

    def _text(self, subject: str, study: str) -> str:
        """The report of a study, empty where there is none."""
        inside = f"p{subject[:2]}/p{subject}/s{study}.txt"
        found = self._from_folder(inside)
        if found is None and self._zip:
            found = self._from_archive(self._zip, f"files/{inside}")
        if isinstance(found, Skipped):
            self.problems.append(found)
        if not isinstance(found, bytes):
            self.missing += 1
            return ""
        text, foreign = decode_text(found)
        self.foreign += foreign
        self.found += bool(text.strip())
        self.missing += not text.strip()
        return text.strip()

    def _from_folder(self, inside: str) -> bytes | Skipped | None:
        file = self._files / inside
        try:
            status = file.stat()
            if not stat.S_ISREG(status.st_mode):
                return None
            return _too_large(str(file), inside, status.st_size) or file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            return Skipped(str(file), 0, inside, f"cannot be read ({error.strerror or error})")

    def _from_archive(self, archive: zipfile.ZipFile, name: str) -> bytes | Skipped | None:
        source = f"{self.archive}/{name}"
        try:
            info = archive.getinfo(name)
        except KeyError:
            return None
        try:
            with archive.open(info) as file:  # reads no more than the size that the archive states
                return _too_large(source, name, info.file_size) or file.read(MAX_FILE_BYTES)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            return Skipped(source, 0, name, f"cannot be unpacked ({error})")


def _too_large(source: str, name: str, size: int) -> Skipped | None:
    if size <= MAX_FILE_BYTES:
        return None
    return Skipped(source, 0, name, f"{size:,} bytes; a report has at most {MAX_FILE_BYTES:,}")

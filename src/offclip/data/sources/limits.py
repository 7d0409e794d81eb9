"""What a hostile or broken archive may cost: limits, and a reader that keeps them."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from offclip.errors import DataError

MAX_FILE_BYTES = 4 * 2**20  # the longest report of the public sets has 20 kB
MAX_MEMBERS = 5_000_000
MAX_NAME = 500
# Reports shrink to a fifth, XML to a twentieth; a bomb to a thousandth.
MAX_RATIO = 100
FREE_BYTES = 256 * 2**20
_BLOCK = 512  # of a tar archive
_MAX_READ = 2 * MAX_FILE_BYTES


@dataclass(frozen=True, slots=True)
class MemberLimit:
    """What a file of a folder or an archive may have.

    Attributes:
        max_bytes: Its size.
        what: What such a file is, for messages.
        too_large, damaged, odd_name: Put in front of the reason for which a file is left out, such as a word
            of a fixed list, so that the reasons can be counted.
    """

    max_bytes: int = MAX_FILE_BYTES
    what: str = "a report"
    too_large: str = ""
    damaged: str = ""
    odd_name: str = ""


REPORTS = MemberLimit()


def byte_budget(path: Path) -> int:
    """How many bytes a packed file may unpack to."""
    return FREE_BYTES + MAX_RATIO * path.stat().st_size


def bomb(path: Path) -> DataError:
    """The error for a file that unpacks to more than `byte_budget`."""
    return DataError(
        f"{path}: unpacks to more than {MAX_RATIO} times its size, as no genuine archive does.",
        "Get the archive from its publisher again; or unpack it and give the folder.",
    )


class ForwardReader:
    """A plain or gzipped file for `tarfile`: reads forward only, within a budget, never much at a time.

    `tarfile` reads a whole extended header at once, as large as the archive says, and steps back one byte
    between members. So a single long read is refused, and one byte is kept.

    Args:
        path: The file; gzip is told by its first bytes.

    Raises:
        DataError: While reading: the file unpacks to too much, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._budget = byte_budget(path)
        self._raw = path.open("rb")
        packed = self._raw.read(2) == b"\x1f\x8b"
        self._raw.seek(0)
        self._file: IO[bytes] | gzip.GzipFile = gzip.GzipFile(fileobj=self._raw) if packed else self._raw
        self._position = 0
        self._tail = b""
        self._stepped_back = False

    def read(self, size: int = -1) -> bytes:
        """Returns up to `size` bytes.

        Raises:
            DataError: The file unpacks to too much, or is damaged.
        """
        if size < 0 or size > _MAX_READ:
            raise DataError(
                f"{self.path}: a header in it claims {size:,} bytes.",
                "Get the archive from its publisher again.",
            )
        if not size:
            return b""
        head = self._tail[-1:] if self._stepped_back else b""
        self._stepped_back = False
        try:
            data = head + self._file.read(size - len(head))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(
                f"{self.path}: the archive is damaged ({error}).", "Copy or download it again."
            ) from error
        self._position += len(data)
        self._tail = (self._tail + data)[-_BLOCK:] if len(data) < _BLOCK else data[-_BLOCK:]
        if self._position > self._budget:
            raise bomb(self.path)
        return data

    def tell(self) -> int:
        """Bytes read so far."""
        return self._position

    def seek(self, position: int) -> int:
        """Reads on to `position`; the only way back is one byte."""
        if position == self._position - 1 and self._tail and not self._stepped_back:
            self._stepped_back = True
            self._position -= 1
        while self._position < position:
            if not self.read(min(2**16, position - self._position)):
                break
        if self._position != position and self._position > position:
            raise DataError(f"{self.path}: the archive is damaged.", "Copy or download it again.")
        return self._position

    def ends_in_zeros(self) -> bool:
        """Reads to the end, which checks the sum of a gzipped file; whether a block of zeros is there."""
        while self.read(2**16):
            pass
        return self._tail == bytes(_BLOCK)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        self._raw.close()

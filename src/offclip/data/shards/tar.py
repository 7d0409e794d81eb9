"""A tar file of samples that is the same to the byte wherever and whenever it is written."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

BLOCK = 512  # tarfile pads every member to it
TAR_END = 10_240  # and the end to this


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a sample.

    Attributes:
        ending: What follows the key and the dot, such as `"png"`.
        data: Its bytes.
    """

    ending: str
    data: bytes


def packed_size(members: list[Member]) -> int:
    """Bytes that the members take in a tar file.

    Example:
        >>> packed_size([Member("txt", b"Clear.")])
        1024
    """
    return sum(BLOCK + -(-len(member.data) // BLOCK) * BLOCK for member in members)


class ShardWriter:
    """Writes samples into a tar file: no times, owners or modes of this machine.

    Args:
        file: An open binary file, at its beginning.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._tar = tarfile.TarFile(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT)
        self.samples = 0
        self.bytes = 0

    def add(self, key: str, members: list[Member]) -> list[int]:
        """Appends the files of a sample, and returns where the data of each begins."""
        offsets = []
        for member in members:
            info = tarfile.TarInfo(f"{key}.{member.ending}")
            info.size, info.mode = len(member.data), 0o644
            self._tar.addfile(info, io.BytesIO(member.data))
            offsets.append(self.bytes + BLOCK)
            self.bytes += packed_size([member])
        self.samples += 1
        return offsets

    def close(self) -> None:
        """Writes the mark of the end."""
        self._tar.close()


def read_at(path: Path, offset: int, size: int) -> bytes:
    """The bytes of a member, without reading the shard."""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)

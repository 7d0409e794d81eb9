"""Limits that are checked before a file is decoded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a single image may cost.

    Attributes:
        max_file_bytes: Size of the file on disk.
        max_pixels: Width times height, read from the header before anything is decoded.
        max_frames: Frames of a multi-frame file.
        max_unpacked_bytes: What a deflated file may unpack to, and the decoded bytes of a frame.
        seconds: Time for a file, kept by `offclip.images.pool` alone.
        memory_bytes: Address space of a worker process, kept by `offclip.images.pool` alone.
    """

    max_file_bytes: int = 256 * 2**20
    max_pixels: int = 64 * 10**6
    max_frames: int = 1000
    max_unpacked_bytes: int = 512 * 2**20
    seconds: float = 30.0
    memory_bytes: int = 4 * 2**30


DEFAULT_LIMITS = Limits()

"""Limits that are checked before a file is decoded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a single image may cost.

    Attributes:
        max_file_bytes: Size of the file on disk.
        max_pixels: Width times height, read from the header before anything is decoded.
    """

    max_file_bytes: int = 256 * 2**20
    max_pixels: int = 64 * 10**6


DEFAULT_LIMITS = Limits()

"""What a C library writes to standard error: for some, the only way in which they tell of damage."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_STDERR = 2
_MOST = 2**20
_LOCK = threading.Lock()


@contextmanager
def native_messages(*phrases: str) -> Iterator[list[str]]:
    r"""Collects the lines with certain phrases that are written to file descriptor 2 meanwhile.

    One at a time in a process. What other threads write in that time is passed on afterwards. A process
    without a standard error is no obstacle.

    Args:
        phrases: Lower case; a line with one of them is collected.

    Yields:
        A list that holds the lines after the block.

    Example:
        >>> with native_messages("corrupt") as lines:
        ...     _ = os.write(2, b"Corrupt JPEG data\n")
        >>> lines
        ['Corrupt JPEG data']
    """
    lines: list[str] = []
    with _LOCK, _scratch_file() as caught:
        try:
            before: int | None = os.dup(_STDERR)
        except OSError:
            before = None
        os.dup2(caught.fileno(), _STDERR)
        try:
            yield lines
        finally:
            if before is None:
                os.close(_STDERR)
            else:
                os.dup2(before, _STDERR)
                os.close(before)
            caught.seek(0)
            others = []
            for line in caught.read(_MOST).splitlines(keepends=True):
                text = line.decode("utf-8", "replace").strip()
                if any(phrase in text.lower() for phrase in phrases):
                    lines.append(text)
                else:
                    others.append(line)
            if others and before is not None:
                os.write(_STDERR, b"".join(others))


def _scratch_file() -> IO[bytes]:
    """In memory where the system has that: a container may have no folder that can be written."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("offclip"), "w+b")
    return tempfile.TemporaryFile()

"""What became of single files: in this process, in one of their own, and how much memory it took."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from offclip.errors import ImageError
from offclip.images.film import ReadOptions
from offclip.images.limits import Limits
from offclip.images.pool import DecoderPool, NamedBytes
from offclip.images.reading import read

# So little that a film of 65535 x 65535, or one of its rows too many, would show.
TIGHT = ReadOptions(limits=Limits(memory_bytes=1536 * 2**20, seconds=20))
# With the limits on pixels and bytes out of the way the file itself must show it, or memory ends.
WIDE = ReadOptions(
    limits=Limits(max_pixels=2**33, max_unpacked_bytes=2**36, memory_bytes=1024 * 2**20, seconds=20)
)


def reason_of(content: bytes, options: ReadOptions = ReadOptions()) -> str:
    """Why a file is refused in this process; a file that is read fails the test."""
    with pytest.raises(ImageError) as caught:
        read(content, options)
    assert caught.value.message
    assert caught.value.remedy
    return caught.value.reason


def fate(pool: DecoderPool, *contents: bytes) -> list[str | tuple[int, ...]]:
    """What became of files in a process of their own: a reason, or the shape of the pixels."""
    results = pool.map(NamedBytes(f"file {i}", content) for i, content in enumerate(contents))
    return [
        result.reason if isinstance(result, ImageError) else result.film.pixels.shape for result in results
    ]


def peak_mb(call: Callable[[], object]) -> float:
    """Megabytes that Python and numpy have taken at once during a call."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()

"""RLE Lossless (DICOM PS3.5 annex G), strictly: half a segment is refused, not padded."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np

from offclip.images.dicom.pixel_header import PixelHeader
from offclip.images.reasons import Reason, refusal

_HEADER = 64
_MOST = 64  # a run of 128 bytes is the most that two bytes can become
_BLOCK = 2**18
# What the head of a run says: bytes that it becomes, bytes to the next head. 128 says nothing.
_COUNTS = np.array([head + 1 if head < 128 else (257 - head) % 129 for head in range(256)], np.intp)
_STEPS = [head + 2 if head < 128 else 2 - (head == 128) for head in range(256)]


def rle_words(frame: bytes, header: PixelHeader, name: str) -> np.ndarray:
    """The words of a frame, unsigned and flat, colour by plane.

    Args:
        frame: 64 bytes of header and the segments: for each sample its bytes, the highest first.
        header: What the DICOM header says.
        name: The file, for messages.

    Raises:
        ImageError: `truncated`: a segment ends early. `damaged`: its offsets or runs make no sense.
            `contradictory`: the number of segments is not that of the header.
    """
    segments = _segments(frame, header, name)
    size, pixels = header.bits_allocated // 8, header.rows * header.columns
    for segment in segments:
        # Before memory is taken: so few bytes cannot become so many.
        if len(segment) * _MOST < pixels:
            raise refusal(Reason.TRUNCATED, name, "an RLE segment is too short for its pixels")
    octets = np.empty((header.samples, pixels, size), np.uint8)
    for i, segment in enumerate(segments):
        octets[i // size, :, size - 1 - i % size] = unpack_bits(segment, pixels, name)
    return octets.view(f"<u{size}").reshape(-1)


def _segments(frame: bytes, header: PixelHeader, name: str) -> list[bytes]:
    if header.bits_allocated not in (8, 16, 32):
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, f"RLE of {header.bits_allocated} bits")
    if len(frame) < _HEADER:
        raise refusal(Reason.TRUNCATED, name, "the RLE header is cut off")
    count, *offsets = struct.unpack("<16I", frame[:_HEADER])
    expected = header.samples * header.bits_allocated // 8
    if count != expected:
        raise refusal(Reason.CONTRADICTORY, name, f"{count} RLE segments, the header asks for {expected}")
    used, unused = offsets[:count], offsets[count:]
    if used[0] != _HEADER or any(unused) or any(a >= b for a, b in pairwise(used)):
        raise refusal(Reason.DAMAGED, name, "the offsets of the RLE segments make no sense")
    if used[-1] >= len(frame):
        raise refusal(Reason.TRUNCATED, name, "an RLE segment lies behind the end of the data")
    return [frame[a:b] for a, b in zip(used, [*used[1:], len(frame)], strict=True)]


def unpack_bits(segment: bytes, length: int, name: str) -> np.ndarray:
    r"""Expands PackBits to exactly `length` bytes; at most one byte of padding may be left.

    Raises:
        ImageError: `truncated`: the segment ends early. `damaged`: a run goes beyond `length`, or data are
            left.

    Example:
        >>> unpack_bits(b"\xfe\x07\x01ab", 5, "film.dcm").tobytes()
        b'\x07\x07\x07ab'
    """
    out = np.empty(length, np.uint8)
    octets = np.frombuffer(segment, np.uint8)
    filled = position = 0
    while filled < length:
        # In blocks, so that a segment of nothing but runs takes no more memory than one of few.
        starts = _run_starts(segment, position)
        heads = octets[starts]
        ends = filled + np.cumsum(_COUNTS[heads])
        last = int(np.searchsorted(ends, length))  # the run that completes the segment
        if last < len(ends):
            starts, heads, ends = starts[: last + 1], heads[: last + 1], ends[: last + 1]
        position = int(starts[-1]) + _STEPS[heads[-1]] if len(starts) else len(segment)
        if position > len(segment) or (position == len(segment) and (len(ends) == 0 or ends[-1] < length)):
            raise refusal(Reason.TRUNCATED, name, "an RLE segment ends early")
        if ends[-1] > length:
            raise refusal(Reason.DAMAGED, name, "a run of an RLE segment goes beyond its pixels")
        out[filled : ends[-1]] = _expand(octets, starts, heads, position)
        filled = int(ends[-1])
    if len(segment) - position > 1:
        raise refusal(Reason.DAMAGED, name, "an RLE segment holds more than its pixels")
    return out


def _run_starts(segment: bytes, position: int) -> np.ndarray:
    """Where the next runs begin; each tells only where the one after it does, so one by one."""
    starts: list[int] = []
    append, steps, end = starts.append, _STEPS, len(segment)
    for _ in range(_BLOCK):
        if position >= end:
            break
        append(position)
        position += steps[segment[position]]
    return np.array(starts, np.intp)


def _expand(octets: np.ndarray, starts: np.ndarray, heads: np.ndarray, end: int) -> np.ndarray:
    """The bytes between the heads, each repeated as its head says."""
    first = int(starts[0])
    data = np.ones(end - first, bool)
    data[starts - first] = False
    payload = octets[first:end][data]
    repeats = np.ones(len(payload), np.intp)
    runs = np.flatnonzero(heads > 128)
    repeats[starts[runs] - first - runs] = _COUNTS[heads[runs]]
    return np.repeat(payload, repeats)

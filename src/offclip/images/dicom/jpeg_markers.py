"""Marker segments of JPEG and JPEG-LS (ITU-T T.81 annex B, T.87 annex C), walked without decoding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offclip.images.dicom.codestream import is_padding
from offclip.images.reasons import Reason, refusal

SOI, EOI, SOS, DNL, DRI, APP8, APP14 = 0xD8, 0xD9, 0xDA, 0xDC, 0xDD, 0xE8, 0xEE
APP0, SOF55, LSE = 0xE0, 0xF7, 0xF8
_TEM_AND_RST = (0x01, *range(0xD0, 0xD8))
# SOF0 to SOF15 are C0 to CF but for DHT, JPG and DAC; SOF55 is JPEG-LS.
FRAMES = (*(m for m in range(0xC0, 0xD0) if m not in (0xC4, 0xC8, 0xCC)), SOF55)


@dataclass(frozen=True, slots=True)
class Segment:
    """A marker and what belongs to it.

    Attributes:
        marker: Its second byte.
        body: Parameters after the length.
        restarts: After SOS: the numbers of the restart markers in the scan.
        scan_bytes: After SOS: bytes of the entropy-coded data.
    """

    marker: int
    body: bytes
    restarts: tuple[int, ...] = ()
    scan_bytes: int = 0


def walk(data: bytes, name: str) -> list[Segment]:
    """All segments from SOI to EOI.

    Args:
        data: The codestream; padding may follow its end.
        name: The file, for messages.

    Raises:
        ImageError: `damaged`: no SOI, no marker where one must be, or data behind the end. `truncated`: a
            segment is cut off, or the end marker is missing.
    """
    if data[:2] != b"\xff\xd8":
        raise refusal(Reason.DAMAGED, name, "the codestream does not begin as JPEG")
    octets = np.frombuffer(data, np.uint8)
    segments: list[Segment] = []
    position = 2
    while True:
        marker, position = _marker(data, position, name)
        if marker == EOI:
            break
        if marker in _TEM_AND_RST or marker == SOI:
            raise refusal(Reason.DAMAGED, name, "a marker stands where it must not")
        length = int.from_bytes(data[position : position + 2], "big")
        if position + max(length, 2) > len(data):
            raise refusal(Reason.TRUNCATED, name, "a segment of the codestream is cut off")
        if length < 2:
            raise refusal(Reason.DAMAGED, name, "a segment of the codestream has an impossible length")
        body = data[position + 2 : position + length]
        position += length
        if marker != SOS:
            segments.append(Segment(marker, body))
            continue
        bit_stuffed = any(segment.marker == SOF55 for segment in segments)
        end, restarts = _scan(octets, position, name, bit_stuffed)
        segments.append(Segment(SOS, body, restarts, end - position))
        position = end
    if not is_padding(data[position:]):
        raise refusal(Reason.DAMAGED, name, "data follow the end marker of the codestream")
    return segments


def _marker(data: bytes, position: int, name: str) -> tuple[int, int]:
    if position >= len(data):
        raise refusal(Reason.TRUNCATED, name, "the codestream has no end marker")
    if data[position] != 0xFF:
        raise refusal(Reason.DAMAGED, name, "no marker stands where one must")
    while position < len(data) and data[position] == 0xFF:
        position += 1  # any number of FF may come before a marker
    if position >= len(data):
        raise refusal(Reason.TRUNCATED, name, "the codestream has no end marker")
    return data[position], position + 1


def _scan(octets: np.ndarray, begin: int, name: str, bit_stuffed: bool) -> tuple[int, tuple[int, ...]]:
    """Where the entropy-coded data end, and the restart markers in them.

    After FF only 00 belongs to the data, and in JPEG-LS, which stuffs single bits, any byte below 80.
    """
    at = np.flatnonzero(octets[begin:-1] == 0xFF) + begin
    after = octets[at + 1]
    restart = (after >= 0xD0) & (after < 0xD8)
    data = (after < 0x80) if bit_stuffed else (after == 0)
    ends = np.flatnonzero(~(data | restart | (after == 0xFF)))
    if len(ends) == 0:
        raise refusal(Reason.TRUNCATED, name, "the codestream has no end marker")
    end = int(ends[0])
    inside = after[:end][restart[:end]]
    return int(at[end]), tuple((inside - 0xD0).tolist())

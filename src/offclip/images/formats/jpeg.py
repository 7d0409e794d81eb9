"""The structure of a JPEG file: markers, scans and their completeness (ITU-T T.81)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from offclip.errors import ImageError
from offclip.images.film import ReadOptions
from offclip.images.formats.exif import orientation
from offclip.images.formats.header import RasterHeader, check_frame, check_size
from offclip.images.reasons import Reason, refusal

_SOI, _EOI, _SOS, _DRI, _APP0, _APP1, _APP14 = 0xD8, 0xD9, 0xDA, 0xDD, 0xE0, 0xE1, 0xEE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL, _PROGRESSIVE, _LOSSLESS = (0xC0, 0xC1), 0xC2, (0xC3, 0xC7, 0xCB, 0xCF, 0xF7)
_TABLES = (0xC4, 0xDB, _DRI, _APP0, _APP14)
# Inside a scan a marker is a byte FF that neither 00 (a stuffed FF) nor another FF (a fill byte) follows.
_MARKER = re.compile(rb"\xff[^\x00\xff]")
# An encoder writes about 10 scans; each costs a pass over the whole image, and thousands are an attack.
MOST_SCANS = 100


@dataclass(slots=True)
class _Walk:
    """What the walk over the markers has gathered."""

    kept: list[bytes | memoryview] = field(default_factory=lambda: [b"\xff\xd8"])
    frame: int = 0
    width: int = 0
    height: int = 0
    components: dict[int, tuple[int, int]] = field(default_factory=dict)
    restart: int = 0
    scans: int = 0
    # Coefficient (component, frequency) -> bits that are still missing.
    missing: dict[tuple[int, int], int] = field(default_factory=dict)
    orientation: int = 1
    jfif: bool = False
    adobe: int | None = None


def check_jpeg(data: bytes, options: ReadOptions, name: str) -> RasterHeader:
    """Walks over all markers and scans.

    The decoder is given the tables, frame and scans and no metadata.

    Raises:
        ImageError: The file is cut off, damaged, too large, of a rare kind, or made to cost time.
    """
    walk, at, view = _Walk(), 2, memoryview(data)
    while True:
        marker, at = _next_marker(data, at, name)
        if marker == _EOI:
            break
        if marker == _SOI or 0xD0 <= marker <= 0xD7 or marker == 0x01:
            raise refusal(Reason.DAMAGED, name, f"the JPEG marker {marker:02X} stands at a wrong place")
        end = at + int.from_bytes(data[at : at + 2], "big")
        if end < at + 2 or end > len(data):
            reason = Reason.TRUNCATED if end > len(data) or len(data) < at + 2 else Reason.DAMAGED
            raise refusal(reason, name, f"the JPEG segment {marker:02X} does not end inside the file")
        body = data[at + 2 : end]
        if marker in _LOSSLESS or marker in _FRAMES:
            _read_frame(walk, marker, body, options, name)
        elif marker == _DRI:
            walk.restart = int.from_bytes(body[:2], "big")
        elif marker == _APP0:
            walk.jfif = walk.jfif or body[:5] == b"JFIF\0"
        elif marker == _APP1 and body[:6] == b"Exif\0\0" and walk.orientation == 1:
            walk.orientation = orientation(body)
        elif marker == _APP14 and body[:5] == b"Adobe" and len(body) >= 12:
            walk.adobe = body[11]
        if marker == _SOS:
            mcus = _read_scan(walk, body, name)
            end = _scan_end(data, end, walk.restart, mcus, name)
        if marker in _TABLES or marker in _FRAMES or marker == _SOS:
            walk.kept.append(view[at - 2 : end])
        at = end
    if not walk.scans:
        raise refusal(Reason.NO_PIXELS, name, "the JPEG holds no scan")
    if any(walk.missing.values()):
        raise refusal(Reason.TRUNCATED, name, "scans of the JPEG are missing")
    walk.kept.append(b"\xff\xd9")
    check_frame(1, options.frame, options.limits, name)
    return RasterHeader(
        "JPEG",
        walk.width,
        walk.height,
        8,
        _photometric(walk),
        b"".join(walk.kept),
        walk.orientation,
    )


def _next_marker(data: bytes, at: int, name: str) -> tuple[int, int]:
    """The marker at a place where there must be one, and the place behind it."""
    if at < len(data) and data[at] != 0xFF:
        raise refusal(Reason.DAMAGED, name, f"there is no JPEG marker at byte {at:,}")
    while at < len(data) and data[at] == 0xFF:
        at += 1
    if at >= len(data):
        raise refusal(Reason.TRUNCATED, name, "the JPEG ends before its end marker")
    if data[at] == 0:
        raise refusal(Reason.DAMAGED, name, f"there is no JPEG marker at byte {at:,}")
    return data[at], at + 1


def _read_frame(walk: _Walk, marker: int, body: bytes, options: ReadOptions, name: str) -> None:
    if marker in _LOSSLESS:
        raise refusal(Reason.UNSUPPORTED_FORMAT, name, "a lossless JPEG outside DICOM")
    if marker not in (*_SEQUENTIAL, _PROGRESSIVE):
        raise refusal(Reason.UNSUPPORTED_FORMAT, name, "a hierarchical or arithmetic-coded JPEG")
    if walk.frame or len(body) < 6 or len(body) < 6 + 3 * body[5]:
        raise refusal(Reason.DAMAGED, name, "the frame header of the JPEG is broken")
    if body[0] != 8:
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, f"a JPEG of {body[0]} bits outside DICOM")
    walk.frame = marker
    walk.height, walk.width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    check_size(walk.width, walk.height, 4, options.limits, name)
    if body[5] not in (1, 3, 4):
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, f"a JPEG of {body[5]} channels")
    for part in range(body[5]):
        number, sampling, _ = body[6 + 3 * part : 9 + 3 * part]
        walk.components[number] = (sampling >> 4, sampling & 15)
    factors = [factor for pair in walk.components.values() for factor in pair]
    if len(walk.components) != body[5] or not all(1 <= factor <= 4 for factor in factors):
        raise refusal(Reason.DAMAGED, name, "the frame header of the JPEG is broken")
    # All bits of all coefficients are missing at first; 99 stands for "never seen".
    spectrum = range(64) if marker == _PROGRESSIVE else range(1)
    walk.missing = {(number, index): 99 for number in walk.components for index in spectrum}


def _read_scan(walk: _Walk, body: bytes, name: str) -> int:
    """Notes what a scan brings; returns its minimum coded units."""
    broken = refusal(Reason.DAMAGED, name, "a scan header of the JPEG is broken")
    count = body[0] if body else 0
    if not walk.frame or not 1 <= count <= 4 or len(body) != 4 + 2 * count:
        raise broken
    walk.scans += 1
    if walk.scans > MOST_SCANS:
        what = f"the JPEG has more than {MOST_SCANS} scans"
        raise refusal(Reason.TOO_SLOW, name, what, "Save the image again as a baseline JPEG.")
    numbers = [body[1 + 2 * part] for part in range(count)]
    if len(set(numbers)) != count or not set(numbers) <= walk.components.keys():
        raise broken
    first, last, bits = body[-3], body[-2], body[-1]
    if walk.frame == _PROGRESSIVE:
        _note_coefficients(walk, numbers, first, last, bits, broken)
    else:
        for number in numbers:
            if not walk.missing[number, 0]:
                raise broken
            walk.missing[number, 0] = 0
    across = max(h for h, _ in walk.components.values())
    down = max(v for _, v in walk.components.values())
    if count > 1:
        return -(-walk.width // (8 * across)) * -(-walk.height // (8 * down))
    h, v = walk.components[numbers[0]]
    columns, rows = -(-walk.width * h // across), -(-walk.height * v // down)
    return -(-columns // 8) * -(-rows // 8)


def _note_coefficients(
    walk: _Walk, numbers: list[int], first: int, last: int, bits: int, broken: ImageError
) -> None:
    """A progressive scan sends a band of frequencies, or one further bit of it (T.81, G.1.1.1)."""
    high, low = bits >> 4, bits & 15
    if first > last or last > 63 or (first and len(numbers) > 1):
        raise broken
    for key in ((number, index) for number in numbers for index in range(first, last + 1)):
        if walk.missing[key] != (high or 99):
            raise broken
        walk.missing[key] = low


def _scan_end(data: bytes, start: int, restart: int, mcus: int, name: str) -> int:
    """Where the next marker but a restart marker stands; the restart markers are counted on the way."""
    for count, found in enumerate(_MARKER.finditer(data, start)):
        marker = data[found.start() + 1]
        if not 0xD0 <= marker <= 0xD7:
            expected = -(-mcus // restart) - 1 if restart else 0
            if count < expected:
                what = f"{expected - count} of {expected} restart markers of a JPEG scan are missing"
                raise refusal(Reason.TRUNCATED, name, what)
            if count > expected and restart:
                what = f"a JPEG scan has {count} restart markers, its size asks for {expected}"
                raise refusal(Reason.CONTRADICTORY, name, what)
            return found.start()
        if not restart or marker != 0xD0 + count % 8:
            raise refusal(Reason.DAMAGED, name, "a restart marker of the JPEG is out of order")
    raise refusal(Reason.TRUNCATED, name, "the JPEG ends inside a scan, without an end marker")


def _photometric(walk: _Walk) -> str:
    if len(walk.components) == 1:
        return "grey"
    if len(walk.components) == 4:
        return "CMYK"
    named_rgb = not walk.jfif and walk.adobe is None and bytes(walk.components) == b"RGB"
    return "RGB" if named_rgb or (walk.adobe == 0 and not walk.jfif) else "YCbCr"

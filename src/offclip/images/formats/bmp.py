"""The structure of a BMP file: its two headers, and whether all rows are there."""

from __future__ import annotations

import struct

from offclip.images.film import ReadOptions
from offclip.images.formats.header import RasterHeader, check_frame, check_size
from offclip.images.reasons import Reason, refusal

_PLAIN = (0, 3, 6)  # uncompressed, and uncompressed with masks of the channels
_CORE, _WITH_PROFILE = (
    12,
    124,
)  # sizes of the oldest header, and of the one that may have a profile behind the pixels
_PADDING = 3


def check_bmp(data: bytes, options: ReadOptions, name: str) -> RasterHeader:
    """Reads the file header and the bitmap header.

    Raises:
        ImageError: The file is cut off, too large, or compressed.
    """
    if len(data) < 26:
        raise refusal(Reason.TRUNCATED, name, "the BMP ends inside its header")
    start, header_size = struct.unpack_from("<LL", data, 10)
    if header_size == _CORE:
        width, height, planes, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    elif header_size >= 40 and len(data) >= 14 + header_size:
        width, height, planes, bits, compression = struct.unpack_from("<llHHL", data, 18)
        height = abs(height)  # negative: the rows run downwards
    else:
        raise refusal(Reason.DAMAGED, name, f"the BMP has a header of {header_size:,} bytes")
    check_size(width, height, 4, options.limits, name)
    if compression not in _PLAIN:
        raise refusal(Reason.UNSUPPORTED_FORMAT, name, "a compressed BMP")
    if planes != 1 or bits not in (1, 4, 8, 16, 24, 32):
        raise refusal(Reason.DAMAGED, name, f"the BMP says {planes} planes of {bits} bits")
    needed = (width * bits + 31) // 32 * 4 * height
    if start < 14 + header_size or start + needed > len(data):
        what = f"{needed:,} bytes of pixels do not fit into the BMP's {len(data):,}"
        raise refusal(Reason.TRUNCATED, name, what)
    _check_gaps(data, start, needed, bits, header_size, name)
    check_frame(1, options.frame, options.limits, name)
    kind = "palette" if bits <= 8 else "RGB"
    return RasterHeader("BMP", width, height, 8 if bits > 8 else bits, kind, data)


def _check_gaps(data: bytes, start: int, needed: int, bits: int, header_size: int, name: str) -> None:
    """The palette must end before the pixels, and the file with them: nothing else tells of a wrong size."""
    colours = 0
    if bits <= 8:
        said = 0 if header_size == _CORE else struct.unpack_from("<L", data, 46)[0]
        colours = said or 1 << bits
    if 14 + header_size + colours * (3 if header_size == _CORE else 4) > start:
        raise refusal(Reason.CONTRADICTORY, name, "the palette of the BMP runs into its pixels")
    left = len(data) - start - needed
    if left > _PADDING and header_size < _WITH_PROFILE:
        what = f"the BMP has {left:,} bytes more than its size asks for"
        raise refusal(Reason.CONTRADICTORY, name, what)

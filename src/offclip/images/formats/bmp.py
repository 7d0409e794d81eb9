"""The structure of a BMP file: its two headers, and whether all rows are there."""

from __future__ import annotations

import struct

from offclip.images.film import ReadOptions
from offclip.images.formats.header import RasterHeader, check_frame, check_size
from offclip.images.reasons import Reason, refusal

_PLAIN = (0, 3, 6)  # uncompressed, and uncompressed with masks of the channels


def check_bmp(data: bytes, options: ReadOptions, name: str) -> RasterHeader:
    """Reads the file header and the bitmap header.

    Raises:
        ImageError: The file is cut off, too large, or compressed.
    """
    if len(data) < 26:
        raise refusal(Reason.TRUNCATED, name, "the BMP ends inside its header")
    start, header_size = struct.unpack_from("<LL", data, 10)
    if header_size == 12:
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
    check_frame(1, options.frame, options.limits, name)
    kind = "palette" if bits <= 8 else "RGB"
    return RasterHeader("BMP", width, height, 8 if bits > 8 else bits, kind, data)

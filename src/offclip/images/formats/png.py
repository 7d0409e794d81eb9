"""The structure of a PNG file: chunks, their lengths and check sums (PNG specification, third edition)."""

from __future__ import annotations

import struct
import zlib

from offclip.images.film import ReadOptions
from offclip.images.formats.exif import orientation
from offclip.images.formats.header import RasterHeader, check_frame, check_size
from offclip.images.reasons import Reason, refusal

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Colour type: name, samples, bit depths (section 11.2.1).
_COLOURS = {
    0: ("grey", 1, (1, 2, 4, 8, 16)),
    2: ("RGB", 3, (8, 16)),
    3: ("palette", 1, (1, 2, 4, 8)),
    4: ("grey", 2, (8, 16)),
    6: ("RGB", 4, (8, 16)),
}
_KEPT = (b"IHDR", b"PLTE", b"tRNS")
# A byte of deflate gives at most 1,032 bytes (RFC 1951: 258 bytes by two codes of one bit).
_MOST_BY_DEFLATE = 1032
# Adam7 (section 8.2): the first column and row of a pass, and the steps between its columns and rows.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_BLOCK = 65_535  # the longest stored block


def check_png(data: bytes, options: ReadOptions, name: str) -> RasterHeader:
    """Walks over all chunks and checks their lengths, order and CRC.

    The decoder is given the chunks that make up the image and no others, so that text, colour profiles and
    animations cost nothing and cannot harm. The pixels are unpacked here, and must be exactly as many as the
    header says: Pillow takes a stream that ends early for a whole image and leaves the rest black, and of one
    that holds more it takes the beginning. It is given them unpacked.

    Raises:
        ImageError: The file is cut off, damaged, too large, or animated.
    """
    view = memoryview(data)
    at, last = len(SIGNATURE), b""
    kept: list[bytes | memoryview] = [SIGNATURE]
    shape: tuple[int, int, int, int, int] | None = None
    seen: dict[bytes, bytes] = {}
    packed: list[memoryview] = []  # whole chunks of pixels
    while last != b"IEND":
        if at + 12 > len(data):
            raise refusal(Reason.TRUNCATED, name, "the PNG ends before its last chunk (IEND)")
        length, kind = struct.unpack_from(">L4s", data, at)
        end = at + 12 + length
        if not kind.isalpha() or length >= 2**31:
            raise refusal(Reason.DAMAGED, name, f"there is no PNG chunk at byte {at:,}")
        if end > len(data):
            raise refusal(Reason.TRUNCATED, name, f"the PNG ends inside the chunk {kind.decode()}")
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise refusal(Reason.DAMAGED, name, f"the check sum of the PNG chunk {kind.decode()} is wrong")
        if (kind == b"IHDR") != (shape is None):
            raise refusal(Reason.DAMAGED, name, "the PNG does not begin with one header (IHDR)")
        if shape is None:
            shape = _size(data[at + 8 : end - 4], options, name)
        if kind == b"IDAT":
            if length:
                packed.append(view[at:end])
            if b"IDAT" in seen and last != b"IDAT":
                raise refusal(Reason.DAMAGED, name, "other chunks lie between the pixels of the PNG")
        elif kind[:1].isupper() and kind not in (*_KEPT, b"IEND"):
            raise refusal(Reason.UNSUPPORTED_FORMAT, name, f"the PNG needs the unknown chunk {kind.decode()}")
        if kind in _KEPT:
            kept.append(view[at:end])
        seen[kind] = b"" if kind == b"IDAT" else data[at + 8 : end - 4][:65536]
        at, last = end, kind
    if shape is None or b"IDAT" not in seen:
        raise refusal(Reason.NO_PIXELS, name, "the PNG holds no pixels (IDAT)")
    width, height, bits, colour, interlaced = shape
    photometric, samples, _ = _COLOURS[colour]
    packed_bytes = sum(len(chunk) - 12 for chunk in packed)
    if packed_bytes * _MOST_BY_DEFLATE < height * ((width * bits * samples + 7) // 8):
        raise refusal(Reason.TRUNCATED, name, f"{packed_bytes:,} bytes cannot hold {width} x {height} pixels")
    if colour == 3 and b"PLTE" not in seen:
        raise refusal(Reason.DAMAGED, name, "the PNG has no palette")
    frames = int.from_bytes(seen[b"acTL"][:4], "big") if len(seen.get(b"acTL", b"")) == 8 else 1
    if check_frame(max(1, frames), options.frame, options.limits, name):
        raise refusal(Reason.UNSUPPORTED_FORMAT, name, "only the first image of an animated PNG can be read")
    rows = _unpacked(packed, _row_bytes(width, height, bits * samples, interlaced), name)
    kept += (_chunk(b"IDAT", _stored(rows)), _chunk(b"IEND", b""))
    transparency = seen.get(b"tRNS")
    single = colour == 0 and transparency is not None and len(transparency) == 2
    return RasterHeader(
        "PNG",
        width,
        height,
        bits,
        photometric,
        b"".join(kept),
        orientation(seen.get(b"eXIf", b"")),
        max(1, frames),
        alpha=samples in (2, 4) or transparency is not None,
        transparent=int.from_bytes(transparency, "big") if single and transparency else None,
    )


def _chunk(kind: bytes, body: bytes | memoryview) -> bytes:
    crc = zlib.crc32(body, zlib.crc32(kind))
    return b"".join((struct.pack(">L4s", len(body), kind), body, struct.pack(">L", crc)))


def _unpacked(packed: list[memoryview], size: int, name: str) -> bytes:
    """The rows with their filters, exactly `size` bytes; no more is ever unpacked."""
    unpacker = zlib.decompressobj()
    try:
        rows = unpacker.decompress(b"".join(chunk[8:-4] for chunk in packed), size + 1)
    except zlib.error as error:
        raise refusal(Reason.DAMAGED, name, f"the pixels of the PNG cannot be unpacked ({error})") from error
    if len(rows) > size:
        raise refusal(Reason.CONTRADICTORY, name, "the PNG holds more pixels than its header says")
    if len(rows) < size or not unpacker.eof:
        raise refusal(Reason.TRUNCATED, name, "the pixels of the PNG end early")
    return rows


def _stored(rows: bytes) -> bytes:
    """A zlib stream of blocks that are not compressed (RFC 1950, 1951): unpacking all twice costs more."""
    whole = memoryview(rows)
    parts: list[bytes | memoryview] = [b"\x78\x01"]
    for start in range(0, len(rows), _BLOCK):
        block = whole[start : start + _BLOCK]
        parts += (struct.pack("<BHH", start + _BLOCK >= len(rows), len(block), _BLOCK - len(block)), block)
    parts.append(struct.pack(">L", zlib.adler32(rows)))
    return b"".join(parts)


def _row_bytes(width: int, height: int, pixel_bits: int, interlaced: int) -> int:
    """Bytes of all rows, each with one that names its filter (sections 7.2 and 8.1)."""
    total = 0
    for x, y, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * pixel_bits + 7) // 8)
    return total


def _size(body: bytes, options: ReadOptions, name: str) -> tuple[int, int, int, int, int]:
    """Width, height, bits of a sample, colour type and interlacing."""
    if len(body) != 13:
        raise refusal(Reason.DAMAGED, name, "the header of the PNG has a wrong length")
    width, height, bits, colour, compression, filtering, interlace = struct.unpack(">LLBBBBB", body)
    if colour not in _COLOURS or bits not in _COLOURS[colour][2] or compression or filtering or interlace > 1:
        raise refusal(Reason.DAMAGED, name, f"the PNG says colour type {colour} with {bits} bits")
    # The decoder keeps colour and transparency as four bytes a pixel.
    check_size(width, height, 2 if colour == 0 else 4, options.limits, name)
    return width, height, bits, colour, interlace

"""Codestreams and picture files whose own header lies, or whose data end early within a sound frame."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable

Lie = tuple[bytes, str, bool]


def _put(data: bytes, at: int, value: int, width: int, order: str = "big") -> bytes:
    return data[:at] + (value % 256**width).to_bytes(width, order) + data[at + width :]


def _other(rng: random.Random, value: int, top: int) -> int:
    near = (value - 1, value + 1, value * 2, value // 2, value + 8, value - 8, value + 16)
    return rng.choice((*near, 0, 1, top, top - 1, rng.randrange(top + 1))) % (top + 1)


def frame_header(stream: bytes) -> int:
    """Where the SOF marker of a JPEG or JPEG-LS stands."""
    at = 2
    while (
        not (0xC0 <= stream[at + 1] <= 0xCF and stream[at + 1] not in (0xC4, 0xC8, 0xCC))
        and stream[at + 1] != 0xF7
    ):
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return at


def jpeg_lies(stream: bytes, rng: random.Random) -> Lie:
    """SOF: precision, height, width, number and sampling of the components."""
    sof = frame_header(stream)
    name, at, width = rng.choice(
        (("precision", 4, 1), ("rows", 5, 2), ("columns", 7, 2), ("components", 9, 1), ("sampling", 11, 1))
    )
    old = int.from_bytes(stream[sof + at : sof + at + width], "big")
    if name == "sampling":
        new = rng.choice((0x11, 0x12, 0x21, 0x22, 0x41, 0x14, 0x33, 0x00, 0x55))
    else:
        new = _other(rng, old, 256**width - 1)
    checked = True
    if name in ("rows", "columns"):
        # Blocks that are cut by the edge do not say where; 16: two blocks share their colour.
        sampled = stream[sof + 11] if stream[sof + 9] == 3 else 0x11
        block = 8 * (sampled >> 4 if name == "columns" else sampled & 15)
        checked = -(-old // block) != -(-new // block)
    if name == "sampling":
        # The blocks of one component lie row by row all the same (T.81, A.2.2). Of several, as many blocks
        # in as many groups can lie otherwise.
        checked = stream[sof + 9] > 1 and _groups(stream, sof, old) != _groups(stream, sof, new)
    return _put(stream, sof + at, new, width), f"{name} {old} -> {new}", checked


def _groups(stream: bytes, sof: int, sampling: int) -> tuple[int, int]:
    """How many groups of blocks an image has, and blocks of the first component in each."""
    rows, columns = struct.unpack_from(">HH", stream, sof + 5)
    wide, high = max(sampling >> 4, 1), max(sampling & 15, 1)
    return -(-rows // (8 * high)) * -(-columns // (8 * wide)), wide * high


def jpeg2000_lies(stream: bytes, rng: random.Random) -> Lie:
    """SIZ: sizes, offsets, tiles, components, precision."""
    fields = [
        (name, 6 + 4 * i, 4)
        for i, name in enumerate(("right", "bottom", "left", "top", "tile w", "tile h", "tile x", "tile y"))
    ]
    name, at, width = rng.choice((*fields, ("components", 38, 2), ("precision", 40, 1), ("step", 41, 1)))
    old = int.from_bytes(stream[2 + at : 2 + at + width], "big")
    new = _other(rng, old, 256**width - 1)
    return _put(stream, 2 + at, new, width), f"{name} {old} -> {new}", True


def rle_lies(stream: bytes, rng: random.Random) -> Lie:
    """The number of segments, and their offsets."""
    entry = rng.choice((0, 0, 1, 2, 2, 3, 15))
    old = int.from_bytes(stream[4 * entry : 4 * entry + 4], "little")
    new = _other(rng, old, 2**32 - 1) if rng.random() < 0.5 else (old + rng.randrange(-200, 200)) % 2**32
    return _put(stream, 4 * entry, new, 4, "little"), f"entry {entry} of the RLE header {old} -> {new}", True


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with its check sum."""
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def png_lies(stream: bytes, rng: random.Random) -> Lie:
    """IHDR with a check sum that fits the lie, and without one."""
    name, at, width = rng.choice(
        (("width", 16, 4), ("height", 20, 4), ("bits", 24, 1), ("colour", 25, 1), ("interlace", 28, 1))
    )
    old = int.from_bytes(stream[at : at + width], "big")
    new = _other(rng, old, 256**width - 1)
    if width == 1:
        new = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, new))
    changed = _put(stream, at, new, width)
    if rng.random() < 0.7:
        changed = changed[:8] + png_chunk(b"IHDR", changed[16:29]) + changed[33:]
    return changed, f"{name} {old} -> {new}", True


_TIFF_TAGS = {
    256: "width",
    257: "height",
    258: "bits",
    259: "compression",
    262: "photometric",
    273: "strip",
    277: "samples",
    278: "rows of a strip",
    279: "bytes of a strip",
    317: "predictor",
}


def tiff_lies(stream: bytes, rng: random.Random) -> Lie:
    """One tag of the directory."""
    (start,) = struct.unpack_from("<L", stream, 4)
    (count,) = struct.unpack_from("<H", stream, start)
    places = [start + 2 + 12 * i for i in range(count)]
    known = [at for at in places if int.from_bytes(stream[at : at + 2], "little") in _TIFF_TAGS]
    at = rng.choice(known)
    tag, kind = struct.unpack_from("<HH", stream, at)
    width = 2 if kind == 3 else 4
    old = int.from_bytes(stream[at + 8 : at + 8 + width], "little")
    new = _other(rng, old, 256**width - 1)
    if tag in (258, 259, 262, 277, 317):
        new = rng.choice((0, 1, 2, 3, 4, 5, 7, 8, 16, 32773, new))
    # Which way round grey is, and whether values are differences, only these tags say.
    checked = tag not in (262, 317)
    if tag == 273 and abs(new - old) == 1:
        checked = False  # there may be a byte of padding
    return _put(stream, at + 8, new, width, "little"), f"{_TIFF_TAGS[tag]} {old} -> {new}", checked


def bmp_lies(stream: bytes, rng: random.Random) -> Lie:
    """The two headers."""
    name, at, width = rng.choice(
        (
            ("start", 10, 4),
            ("header", 14, 4),
            ("width", 18, 4),
            ("height", 22, 4),
            ("bits", 28, 2),
            ("packing", 30, 4),
        )
    )
    old = int.from_bytes(stream[at : at + width], "little")
    new = _other(rng, old, 256**width - 1)
    if name == "height" and rng.random() < 0.2:
        new = 2**32 - old  # rows downwards
    # Rows are padded to four bytes, which do not say where it ends; nothing says the sign of the height.
    checked = not (name == "width" and -(-old // 4) == -(-new // 4)) and not (
        name == "height" and new == 2**32 - old
    )
    return _put(stream, at, new, width, "little"), f"{name} {old} -> {new}", checked


LIES: dict[str, Callable[[bytes, random.Random], Lie]] = {
    "jpeg": jpeg_lies,
    "jpeg-2000": jpeg2000_lies,
    "rle": rle_lies,
    "png": png_lies,
    "tiff": tiff_lies,
    "bmp": bmp_lies,
}


def cut_jpeg(stream: bytes, rng: random.Random) -> tuple[bytes, str]:
    """The last scan ends early, and the end marker follows."""
    begin = stream.rfind(b"\xff\xda")
    begin += 2 + int.from_bytes(stream[begin + 2 : begin + 4], "big")
    end = stream.rfind(b"\xff\xd9")
    kept = _kept(begin, end, rng)
    return stream[:kept].rstrip(b"\xff") + b"\xff\xd9", f"{kept - begin} of {end - begin} bytes of the scan"


def cut_jpeg2000(stream: bytes, rng: random.Random) -> tuple[bytes, str]:
    """The tile-part ends early, and its length says so."""
    begin = stream.index(b"\xff\x93") + 2
    end = stream.rfind(b"\xff\xd9")
    kept = _kept(begin, end, rng)
    sot = stream.index(b"\xff\x90")
    changed = _put(stream[:kept], sot + 6, kept - sot, 4)
    return changed + b"\xff\xd9", f"{kept - begin} of {end - begin} bytes of the tile"


def cut_rle(stream: bytes, rng: random.Random) -> tuple[bytes, str]:
    """The last segment ends early."""
    begin = int.from_bytes(stream[8:12], "little")
    kept = _kept(begin, len(stream.rstrip(b"\0")), rng)
    return stream[:kept], f"{kept - begin} bytes of the last segment"


def cut_png(stream: bytes, rng: random.Random) -> tuple[bytes, str]:
    """The packed pixels end early, and the check sum is that of what is left."""
    at = stream.index(b"IDAT") - 4
    length = int.from_bytes(stream[at : at + 4], "big")
    kept = _kept(0, length, rng)
    body = stream[at + 8 : at + 8 + kept]
    return stream[:at] + png_chunk(b"IDAT", body) + png_chunk(
        b"IEND", b""
    ), f"{kept} of {length} bytes of IDAT"


def cut_tiff(stream: bytes, rng: random.Random) -> tuple[bytes, str]:
    """The last strip ends early, and its length says so."""
    (start,) = struct.unpack_from("<L", stream, 4)
    (count,) = struct.unpack_from("<H", stream, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, many, value = struct.unpack_from("<HHLL", stream, at)
        if tag == 279:
            place = at + 8 if many == 1 else value + (many - 1) * (4 if kind == 4 else 2)
            width = 4 if kind == 4 else 2
            old = int.from_bytes(stream[place : place + width], "little")
            kept = _kept(0, old, rng)
            return _put(stream, place, kept, width, "little"), f"{kept} of {old} bytes of the strip"
    raise AssertionError("a TIFF without strips")


def _kept(begin: int, end: int, rng: random.Random) -> int:
    """Mostly anywhere, often near the end."""
    return (
        rng.randrange(begin + 1, end) if rng.random() < 0.6 else end - rng.randrange(1, min(24, end - begin))
    )


CUTS: dict[str, Callable[[bytes, random.Random], tuple[bytes, str]]] = {
    "jpeg": cut_jpeg,
    "jpeg-2000": cut_jpeg2000,
    "rle": cut_rle,
    "png": cut_png,
    "tiff": cut_tiff,
}

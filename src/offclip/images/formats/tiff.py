"""The structure of a TIFF file: its directories, and whether all strips are there (TIFF 6.0, BigTIFF)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from offclip.images.film import ReadOptions
from offclip.images.formats.header import RasterHeader, check_frame, check_size
from offclip.images.formats.tiff_strips import CHECKED, DEFLATE, check_unpacked
from offclip.images.reasons import Reason, refusal

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8}
_WHOLE = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q"}
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STRIPS, _ORIENTATION, _SAMPLES, _STRIP_ROWS, _STRIP_BYTES, _PLANAR = 273, 274, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _EXTRA, _FORMAT = 322, 323, 324, 325, 338, 339
# The tags that a decoder needs; it is given no others.
_KEPT = frozenset((*range(256, 260), 262, 266, 273, *range(277, 280), 284, 292, 293, 317, 320))
_KEPT |= frozenset((*range(322, 326), 338, 339, 347, *range(529, 533)))
_SINGLE = (256, 257, 259, 262, 266, 277, 278, 284, 317, 322, 323)  # tags that hold one number
_NAMES = {0: "white is zero", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr"}
# Fax (2 to 4), LZW, JPEG, deflate (two numbers), PackBits.
_COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32773, 32946)
_FILL_ORDER, _MOST_BY_DEFLATE = 266, 1032


# Numbers in all directories; a film has a few thousand strips, and many tags can point at the same numbers.
_MOST_VALUES = 4_000_000
_TOO_MANY = f"the directories of the TIFF have more than {_MOST_VALUES:,} values"


@dataclass(frozen=True, slots=True)
class _Layout:
    """How numbers are written in this file."""

    order: str
    big: bool
    data: bytes
    name: str

    def number(self, at: int, code: str) -> int:
        try:
            return struct.unpack_from(self.order + code, self.data, at)[0]
        except struct.error as error:
            raise refusal(
                Reason.TRUNCATED, self.name, "a directory of the TIFF lies beyond its end"
            ) from error


@dataclass(frozen=True, slots=True)
class _Page:
    """One directory: tag -> its raw entry, and tag -> its whole numbers; and where it lies in the file."""

    entries: dict[int, bytes]
    values: dict[int, tuple[int, ...]]
    places: tuple[tuple[int, int], ...] = ()

    def one(self, tag: int, default: int) -> int:
        values = self.values.get(tag, ())
        return values[0] if values else default


def check_tiff(data: bytes, options: ReadOptions, name: str) -> RasterHeader:
    """Walks over all directories and checks the strips or tiles of the chosen page.

    The decoder is given a directory with the tags that it needs and no others.

    Raises:
        ImageError: The file is cut off, damaged, too large, multi-page, or of a kind that is not read.
    """
    layout = _Layout("<" if data[:2] == b"II" else ">", data[2:4] in (b"+\0", b"\0+"), data, name)
    pages = [page for page in _pages(layout, options) if not page.one(_SUBFILE, 0) & 1]  # no thumbnails
    if not pages:
        raise refusal(Reason.NO_PIXELS, name, "the TIFF holds no image")
    page = pages[check_frame(len(pages), options.frame, options.limits, name)]
    width, height, samples = page.one(_WIDTH, 0), page.one(_HEIGHT, 0), page.one(_SAMPLES, 1)
    bits = page.values.get(_BITS, (1,))
    check_size(width, height, max(4, samples) * (2 if max(bits) > 8 else 1), options.limits, name)
    if set(page.values.get(_FORMAT, (1,))) != {1}:
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, "signed or floating-point pixels have no grey scale")
    if len(set(bits)) != 1 or bits[0] > 16 or samples > 5 or len(bits) not in (1, samples):
        what = f"a TIFF of {samples} channels with {max(bits)} bits"
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, what)
    if page.one(_COMPRESSION, 1) not in _COMPRESSIONS:
        what = f"a TIFF with compression {page.one(_COMPRESSION, 1)}"
        raise refusal(Reason.UNSUPPORTED_FORMAT, name, what)
    _check_strips(layout, page, width, height, samples, bits[0], options)
    photometric = page.one(_PHOTOMETRIC, 1)
    if photometric == 0 and samples > 1:
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, f"a TIFF of {samples} channels whose white is zero")
    turned = page.one(_ORIENTATION, 1)
    return RasterHeader(
        "TIFF",
        width,
        height,
        bits[0],
        _NAMES.get(photometric, f"photometric {photometric}"),
        _rebuilt(layout, page),
        turned if 1 <= turned <= 8 else 1,
        len(pages),
        alpha=_EXTRA in page.values,
    )


def _pages(layout: _Layout, options: ReadOptions) -> list[_Page]:
    start = layout.number(8, "Q") if layout.big else layout.number(4, "L")
    seen: set[int] = set()
    pages: list[_Page] = []
    values = 0
    while start:
        if start in seen:
            raise refusal(Reason.DAMAGED, layout.name, "the directories of the TIFF form a circle")
        if len(pages) > options.limits.max_frames:
            what = f"more than {options.limits.max_frames:,} frames"
            raise refusal(Reason.TOO_MANY_FRAMES, layout.name, what)
        seen.add(start)
        page, start = _page(layout, start)
        pages.append(page)
        values += sum(map(len, page.values.values()))
        if values > _MOST_VALUES:
            raise refusal(Reason.DAMAGED, layout.name, _TOO_MANY)
    return pages


def _page(layout: _Layout, start: int) -> tuple[_Page, int]:
    """The directory at `start`, and where the next one stands."""
    head, entry_bytes, wide = (8, 20, "Q") if layout.big else (2, 12, "L")
    count = layout.number(start, "Q" if layout.big else "H")
    entries: dict[int, bytes] = {}
    values: dict[int, tuple[int, ...]] = {}
    places = [(0, 16 if layout.big else 8), (start, start + head + count * entry_bytes)]
    if start + head + count * entry_bytes > len(layout.data):
        raise refusal(Reason.TRUNCATED, layout.name, "a directory of the TIFF lies beyond its end")
    for at in range(start + head, start + head + count * entry_bytes, entry_bytes):
        tag, kind = layout.number(at, "H"), layout.number(at + 2, "H")
        many = layout.number(at + 4, wide)
        if tag not in _KEPT and tag not in (_SUBFILE, _ORIENTATION):
            continue
        size, room = many * _TYPE_BYTES.get(kind, 0), 8 if layout.big else 4
        if tag in entries or not size or (tag in _SINGLE and many != 1):
            raise refusal(Reason.DAMAGED, layout.name, f"the TIFF tag {tag} is broken")
        place = at + entry_bytes - room if size <= room else layout.number(at + entry_bytes - room, wide)
        if place + size > len(layout.data):
            raise refusal(
                Reason.TRUNCATED, layout.name, f"the TIFF tag {tag} lies beyond the end of the file"
            )
        if many > _MOST_VALUES:
            raise refusal(Reason.DAMAGED, layout.name, _TOO_MANY)
        if size > room:
            places.append((place, place + size))
        entries[tag] = layout.data[at : at + entry_bytes]
        if kind in _WHOLE:
            values[tag] = struct.unpack_from(f"{layout.order}{many}{_WHOLE[kind]}", layout.data, place)
    return _Page(entries, values, tuple(places)), layout.number(start + head + count * entry_bytes, wide)


def _check_strips(
    layout: _Layout, page: _Page, width: int, height: int, samples: int, bits: int, options: ReadOptions
) -> None:
    """Every strip or tile must lie inside the file, and there must be as many as the size asks for."""
    name, tiled = layout.name, _TILES in page.values
    across = page.one(_TILE_WIDTH, 0) if tiled else width
    down = page.one(_TILE_HEIGHT, 0) if tiled else min(page.one(_STRIP_ROWS, height), height)
    starts = page.values.get(_TILES if tiled else _STRIPS, ())
    sizes = page.values.get(_TILE_BYTES if tiled else _STRIP_BYTES, ())
    if not starts or across < 1 or down < 1:
        raise refusal(Reason.DAMAGED, name, "the TIFF does not say where its pixels are")
    check_size(across, down, samples, options.limits, name)
    planes = samples if page.one(_PLANAR, 1) == 2 else 1
    expected = -(-width // across) * -(-height // down) * planes
    if len(starts) != expected or len(sizes) != expected:
        what = f"{len(starts)} strips of the TIFF where {expected} are needed"
        raise refusal(Reason.CONTRADICTORY, name, what)
    if any(start + size > len(layout.data) for start, size in zip(starts, sizes, strict=True)):
        raise refusal(Reason.TRUNCATED, name, "the pixels of the TIFF lie beyond the end of the file")
    spans = list(zip(starts, (start + size for start, size in zip(starts, sizes, strict=True)), strict=True))
    if any(begin < b and a < end for a, b in page.places for begin, end in spans):
        raise refusal(Reason.CONTRADICTORY, name, "the pixels of the TIFF lie over its directory")
    compression = page.one(_COMPRESSION, 1)
    # Other orders of the bits, and colour that pixels share, are left to the decoder.
    if compression not in CHECKED or page.one(_FILL_ORDER, 1) != 1 or page.one(_PHOTOMETRIC, 1) == 6:
        return
    row = (across * bits * (samples // planes) + 7) // 8
    in_plane = expected // planes
    for number, (begin, end) in enumerate(spans):
        last = not tiled and number % in_plane == in_plane - 1
        rows = height - (in_plane - 1) * down if last else down
        if compression in DEFLATE and (end - begin) * _MOST_BY_DEFLATE < rows * row:
            what = f"{end - begin:,} bytes cannot hold {across} x {rows} pixels"
            raise refusal(Reason.TRUNCATED, name, what)
        check_unpacked(memoryview(layout.data)[begin:end], rows * row, compression, name)


def _rebuilt(layout: _Layout, page: _Page) -> bytes:
    """The file with a directory of this page alone behind its end, and the header pointing there.

    Where white is zero the new directory says that black is: the decoder knows the one for few kinds of
    pixels only, and the reader turns the values over itself.
    """
    wide, count = ("Q", "Q") if layout.big else ("L", "H")
    kept = {tag: entry for tag, entry in sorted(page.entries.items()) if tag in _KEPT}
    if page.one(_PHOTOMETRIC, 1) == 0:
        black_is_zero = struct.pack(f"{layout.order}HH{wide}H", _PHOTOMETRIC, 3, 1, 1)
        kept[_PHOTOMETRIC] = black_is_zero.ljust(20 if layout.big else 12, b"\0")
    entries = list(kept.values())
    end = len(layout.data) + len(layout.data) % 2
    directory = struct.pack(layout.order + count, len(entries)) + b"".join(entries)
    directory += struct.pack(layout.order + wide, 0)
    head = layout.data[: 8 if layout.big else 4] + struct.pack(layout.order + wide, end)
    padding = bytes(len(layout.data) % 2)
    return b"".join((head, memoryview(layout.data)[len(head) :], padding, directory))

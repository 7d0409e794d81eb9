"""The header of a JPEG 2000 codestream (ITU-T T.800 annex A; T.814 for HTJ2K), read before it is decoded.

What no header can tell: a changed bit within the code blocks. Without the optional segment markers nothing in
the codestream notices it.
"""

from __future__ import annotations

import math
import struct

from offclip.images.dicom.codestream import Codestream, is_padding
from offclip.images.dicom.syntaxes import Syntax
from offclip.images.reasons import Reason, refusal

_SOC, _CAP, _SIZ, _COD, _QCD, _SOT, _SOD, _EOC = (
    0xFF4F,
    0xFF50,
    0xFF51,
    0xFF52,
    0xFF5C,
    0xFF90,
    0xFF93,
    0xFFD9,
)
_BOX_SIGNATURE = b"\x00\x00\x00\x0cjP  \x0d\x0a\x87\x0a"
_MAX_TILES = 65535
_HT = 1 << (32 - 15)  # of Pcap: part 15


def bare_codestream(data: bytes, name: str) -> bytes:
    """The codestream itself: files of some writers wrap it in JP2 boxes, against PS3.5 annex A.4.4.

    Raises:
        ImageError: `truncated` or `damaged`: boxes that do not hold one.
    """
    if not data.startswith(_BOX_SIGNATURE):
        return data
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        head = 8
        if length == 1 and position + 16 <= len(data):
            length, head = struct.unpack_from(">Q", data, position + 8)[0], 16
        elif length == 0:
            length = len(data) - position
        if length < head:
            raise refusal(Reason.DAMAGED, name, "a JP2 box has an impossible length")
        if length > len(data) - position:
            raise refusal(Reason.TRUNCATED, name, "a JP2 box is cut off")
        if kind == b"jp2c":
            return data[position + head : position + length]
        position += length
    raise refusal(Reason.DAMAGED, name, "a JP2 file without a codestream")


def read_jpeg2000(data: bytes, syntax: Syntax, name: str) -> Codestream:
    """Reads and checks a codestream from its first marker to its last.

    Args:
        data: The bare codestream of a frame; padding may follow its end.
        syntax: Its transfer syntax; HTJ2K must say so in the codestream, and nothing else may.
        name: The file, for messages.

    Raises:
        ImageError: `truncated`: tile-parts or the end marker are missing. `damaged`: markers or sizes that
            make no sense. `contradictory`: not what the transfer syntax says. `unsupported-pixels`:
            subsampled components.
    """
    if data[:2] != b"\xff\x4f":
        raise refusal(Reason.DAMAGED, name, "the codestream does not begin as JPEG 2000")
    main, position = _main_header(data, name)
    if not {_SIZ, _COD, _QCD} <= main.keys():
        raise refusal(Reason.DAMAGED, name, "the codestream lacks a part of its main header")
    high_throughput = (
        _CAP in main and len(main[_CAP]) >= 4 and bool(int.from_bytes(main[_CAP][:4], "big") & _HT)
    )
    if high_throughput != (syntax.codec == "htj2k"):
        raise refusal(Reason.CONTRADICTORY, name, f"the codestream is not of {syntax.name}")
    stream, tiles = _size(main[_SIZ], name)
    _check_tile_parts(data, position, tiles, name)
    return stream


def _main_header(data: bytes, name: str) -> tuple[dict[int, bytes], int]:
    """Segments up to the first tile-part; of a marker that comes more than once, the first."""
    segments: dict[int, bytes] = {}
    position = 2
    while True:
        if position + 4 > len(data):
            raise refusal(Reason.TRUNCATED, name, "the main header of the codestream is cut off")
        marker, length = struct.unpack_from(">HH", data, position)
        if marker == _SOT:
            return segments, position
        if marker < 0xFF50 or marker in (_SOD, _EOC) or length < 2 or (not segments and marker != _SIZ):
            raise refusal(Reason.DAMAGED, name, "no marker stands where one must")
        if position + 2 + length > len(data):
            raise refusal(Reason.TRUNCATED, name, "the main header of the codestream is cut off")
        if marker in (_SIZ, _COD, _QCD, _CAP) and marker in segments:
            raise refusal(Reason.DAMAGED, name, "a part of the main header comes twice")
        segments.setdefault(marker, data[position + 4 : position + 2 + length])
        position += 2 + length


def _size(body: bytes, name: str) -> tuple[Codestream, int]:
    """What SIZ says, and the number of tiles."""
    if len(body) < 36:
        raise refusal(Reason.DAMAGED, name, "the size segment of the codestream has a wrong length")
    right, bottom, left, top, tile_w, tile_h, tile_x, tile_y, components = struct.unpack_from(">8IH", body, 2)
    if len(body) != 36 + 3 * components or components == 0:
        raise refusal(Reason.DAMAGED, name, "the size segment of the codestream has a wrong length")
    inside = left < right and top < bottom and tile_x <= left and tile_y <= top and tile_w and tile_h
    if not inside or tile_x + tile_w <= left or tile_y + tile_h <= top:
        raise refusal(Reason.DAMAGED, name, "the image and the tiles of the codestream do not overlap")
    tiles = math.ceil((right - tile_x) / tile_w) * math.ceil((bottom - tile_y) / tile_h)
    if tiles > _MAX_TILES:
        raise refusal(Reason.DAMAGED, name, f"{tiles} tiles, more than a codestream can have")
    depths, steps = set(body[36::3]), {*body[37::3], *body[38::3]}
    if steps != {1} or len(depths) != 1:
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, "components of different size or precision")
    depth = depths.pop()
    stream = Codestream(
        rows=bottom - top,
        columns=right - left,
        components=components,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
    )
    return stream, tiles


def _check_tile_parts(data: bytes, position: int, tiles: int, name: str) -> None:
    """Follows the tile-parts to the end marker; every tile must be there with all parts that it promises."""
    promised: dict[int, int] = {}
    seen: dict[int, int] = {}
    while True:
        if position + 2 > len(data):
            raise refusal(Reason.TRUNCATED, name, "the codestream has no end marker")
        marker = int.from_bytes(data[position : position + 2], "big")
        if marker == _EOC:
            break
        if marker != _SOT:
            raise refusal(Reason.DAMAGED, name, "no tile-part stands where one must")
        if position + 12 > len(data):
            raise refusal(Reason.TRUNCATED, name, "a tile-part of the codestream is cut off")
        length, tile, size, part, parts = struct.unpack_from(">HHIBB", data, position + 2)
        if length != 10 or tile >= tiles or part != seen.get(tile, 0) or 0 < size < 14:
            raise refusal(Reason.DAMAGED, name, "a tile-part of the codestream makes no sense")
        if size == 0:  # the last one may leave its size open: it reaches to the end marker
            size = max(data.rfind(b"\xff\xd9") - position, 14)
        if size > len(data) - position:
            raise refusal(Reason.TRUNCATED, name, "a tile-part of the codestream is cut off")
        seen[tile] = part + 1
        promised[tile] = max(parts, promised.get(tile, 0))
        position += size
    if not is_padding(data[position + 2 :]):
        raise refusal(Reason.DAMAGED, name, "data follow the end marker of the codestream")
    if len(seen) != tiles or any(seen[tile] < promised[tile] for tile in seen):
        raise refusal(Reason.TRUNCATED, name, "tiles or parts of tiles are missing")

"""From an encapsulated pixel element to the codestream of one frame (DICOM PS3.5 annex A.4)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from offclip.images.reasons import Reason, refusal

_ITEM = 0xE000
_DELIMITER = 0xE0DD
_MOST_FRAGMENTS = 100_000  # a frame has one or a few; millions of empty ones would cost minutes
_ITEM_TAG = b"\xfe\xff\x00\xe0"
_END_MARKERS = (b"\xff\xd9", b"\xff\xd9\xff")  # EOI of JPEG and JPEG-LS, EOC of JPEG 2000; padded


@dataclass(frozen=True, slots=True)
class Encapsulated:
    """The items of a pixel element.

    Attributes:
        offsets: Basic Offset Table, empty where the file has none.
        starts: Start of each fragment's item, counted from the first item after the table.
        fragments: The fragments, without a copy.
    """

    offsets: tuple[int, ...]
    starts: tuple[int, ...]
    fragments: tuple[memoryview, ...]


def parse_items(pixel_data: bytes | memoryview, name: str) -> Encapsulated:
    """Splits a pixel element into its items.

    Args:
        pixel_data: From the item of the Basic Offset Table to the sequence delimiter; what follows is not
            looked at.
        name: The file, for messages.

    Raises:
        ImageError: `truncated`: an item is longer than the data, or the delimiter is missing. `damaged`:
            something else stands where an item must, a length is odd, or an item covers the next one.
            `no-pixels`: there is no fragment.

    Example:
        >>> table = bytes.fromhex("feff00e000000000")
        >>> parse_items(table + bytes.fromhex("feff00e002000000 abcd feffdde000000000"), "film.dcm").starts
        (0,)
    """
    data = memoryview(pixel_data).cast("B")
    position, first = 0, -1
    table = b""
    starts: list[int] = []
    fragments: list[memoryview] = []
    while True:
        if len(data) - position < 8:
            raise refusal(Reason.TRUNCATED, name, "the pixel data end without a sequence delimiter")
        group, element, length = struct.unpack_from("<HHI", data, position)
        position += 8
        if group != 0xFFFE or element not in (_ITEM, _DELIMITER):
            raise refusal(Reason.DAMAGED, name, "something else stands where an item of the pixel data must")
        if element == _DELIMITER:
            if length:
                raise refusal(Reason.DAMAGED, name, "the sequence delimiter of the pixel data has a length")
            break
        if length == 0xFFFFFFFF or length % 2:
            raise refusal(Reason.DAMAGED, name, "an item of the pixel data has an impossible length")
        if length > len(data) - position:
            raise refusal(Reason.TRUNCATED, name, "an item of the pixel data is cut off")
        if len(fragments) >= _MOST_FRAGMENTS:
            what = f"the pixel data have more than {_MOST_FRAGMENTS:,} fragments"
            raise refusal(Reason.DAMAGED, name, what)
        if first < 0:
            table, first = bytes(data[position : position + length]), position + length
        else:
            starts.append(position - 8 - first)
            fragments.append(data[position : position + length])
        position += length
    if len(table) % 4:
        raise refusal(Reason.DAMAGED, name, "the Basic Offset Table is no list of 32-bit numbers")
    if not fragments:
        raise refusal(Reason.NO_PIXELS, name, "the pixel data hold no fragment")
    if any(_covers_an_item(fragment) for fragment in fragments):
        raise refusal(Reason.DAMAGED, name, "an item of the pixel data covers the next one")
    offsets = struct.unpack(f"<{len(table) // 4}I", table)
    return Encapsulated(offsets, tuple(starts), tuple(fragments))


def _covers_an_item(fragment: memoryview) -> bool:
    """Whether a whole item stands at the end of a fragment: the length of this one was changed to span both.

    An entropy-coded stream has these eight bytes at this one place by chance once in 2 to the power of 64.
    """
    data = bytes(fragment)
    at = data.find(_ITEM_TAG)
    while at >= 0:
        if len(data) - at >= 8 and int.from_bytes(data[at + 4 : at + 8], "little") == len(data) - at - 8:
            return True
        at = data.find(_ITEM_TAG, at + 1)
    return False


def frame_codestream(
    pixel_data: bytes | memoryview, frames: int, frame: int, name: str, offsets: Sequence[int] | None = None
) -> bytes:
    """The codestream of one frame, its fragments joined.

    An offset table decides where it is consistent. Without one, or where it is not, a single frame takes all
    fragments, and of several frames each takes one fragment, or the fragments up to the next end marker.

    Args:
        pixel_data: As for `parse_items`.
        frames: Frames in the file.
        frame: Which, from 0.
        name: The file, for messages.
        offsets: Extended Offset Table, where the file has one.

    Raises:
        ImageError: As `parse_items`; and `contradictory`: the fragments cannot be dealt out to the frames.
    """
    items = parse_items(pixel_data, name)
    table = tuple(offsets) if offsets else items.offsets
    if frames == 1 and len(table) > 1:
        raise refusal(Reason.CONTRADICTORY, name, f"an offset table for {len(table)} frames, and one frame")
    groups = (
        _by_table(table, items, frames)
        or ([range(len(items.fragments))] if frames == 1 else None)
        or ([range(i, i + 1) for i in range(frames)] if len(items.fragments) == frames else None)
        or _by_end_marker(items, frames)
    )
    if groups is None:
        raise refusal(
            Reason.CONTRADICTORY, name, f"{len(items.fragments)} fragments cannot make {frames} frames"
        )
    return b"".join(items.fragments[i] for i in groups[frame])


def _by_table(table: tuple[int, ...], items: Encapsulated, frames: int) -> list[range] | None:
    index = {start: i for i, start in enumerate(items.starts)}
    if len(table) != frames or table[0] != 0 or not all(offset in index for offset in table):
        return None
    first = [index[offset] for offset in table] + [len(items.fragments)]
    if any(a >= b for a, b in pairwise(first)):
        return None
    return [range(a, b) for a, b in pairwise(first)]


def _by_end_marker(items: Encapsulated, frames: int) -> list[range] | None:
    groups: list[range] = []
    begin = 0
    for i, fragment in enumerate(items.fragments):
        if bytes(fragment[-16:]).rstrip(b"\0").endswith(_END_MARKERS):
            groups.append(range(begin, i + 1))
            begin = i + 1
    return groups if len(groups) == frames and begin == len(items.fragments) else None

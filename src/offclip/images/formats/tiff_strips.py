"""How many bytes the strips and tiles of a TIFF unpack to: exactly those of their pixels.

Decoders take the bytes that they need and say nothing of what is left, so a wrong size in the directory would
give a film that is cropped or sheared. Not checked: strips of JPEG and of fax codes.
"""

from __future__ import annotations

import zlib

import numpy as np

from offclip.images.dicom.rle import unpack_bits
from offclip.images.reasons import Reason, refusal

RAW, LZW, PACK_BITS, DEFLATE = 1, 5, 32773, (8, 32946)
CHECKED = (RAW, LZW, PACK_BITS, *DEFLATE)
_CLEAR, _END, _FIRST = 256, 257, 258
_MOST_CODES = 4096 - _FIRST
# Bits of the codes after a clear code: one more from the 255th, the 767th and the 1791st on (TIFF 6.0,
# section 13).
_WIDTHS = np.repeat((9, 10, 11, 12), (254, 512, 1024, _MOST_CODES + 2 - 1790))
_BEGINS = np.concatenate(([0], np.cumsum(_WIDTHS)[:-1]))


def check_unpacked(packed: memoryview, size: int, compression: int, name: str) -> None:
    """Refuses a strip or tile that does not unpack to `size` bytes.

    Args:
        packed: As in the file.
        size: Bytes of its pixels.
        compression: One of `CHECKED`.
        name: The file, for messages.

    Raises:
        ImageError: `truncated`, `contradictory` or `damaged`.

    Example:
        >>> check_unpacked(memoryview(b"abcd"), 3, RAW, "film.tif")
        Traceback (most recent call last):
        ...
        offclip.errors.ImageError: film.tif: a strip of the TIFF has 4 bytes of pixels, its size asks for 3. \
Export the file again; its header and its pixels do not belong together.
    """
    if compression == RAW:
        found = len(packed)
    elif compression == PACK_BITS:
        found = len(unpack_bits(bytes(packed), size, name))
    elif compression == LZW:
        found = unpacked_lzw(packed, size, name)
    else:
        found = _inflated(packed, size, name)
    if found != size:
        what = f"a strip of the TIFF has {found:,} bytes of pixels, its size asks for {size:,}"
        raise refusal(Reason.TRUNCATED if found < size else Reason.CONTRADICTORY, name, what)


def _inflated(packed: memoryview, size: int, name: str) -> int:
    unpacker = zlib.decompressobj()
    try:
        found = len(unpacker.decompress(packed, size + 1))
    except zlib.error as error:
        raise refusal(Reason.DAMAGED, name, f"a strip of the TIFF cannot be unpacked ({error})") from error
    if found == size and not unpacker.eof:
        raise refusal(Reason.TRUNCATED, name, "a strip of the TIFF ends before its check sum")
    return found


def unpacked_lzw(packed: memoryview, most: int, name: str) -> int:
    """Bytes that LZW codes stand for, without unpacking them; the count ends beyond `most`.

    The strings of the table are not needed, only their lengths: each is one longer than that of the code by
    which it came. Between two clear codes the place of every code is known, so they are read at once.

    Raises:
        ImageError: `damaged`: a code that cannot be.

    Example:
        >>> unpacked_lzw(memoryview(bytes.fromhex("8000 2060 5080")), 9, "film.tif")  # A, B, 258 (AB)
        Traceback (most recent call last):
        ...
        offclip.errors.ImageError: film.tif: an LZW code of the TIFF stands for nothing. \
Fetch the file again; it is damaged.
    """
    octets = np.frombuffer(packed, np.uint8)
    end = 8 * len(octets)
    at = total = 0
    while at + 9 <= end and total <= most:
        count = int(np.searchsorted(_BEGINS + _WIDTHS, end - at, side="right"))
        codes = _codes(octets, at + _BEGINS[:count], _WIDTHS[:count])
        stops = np.flatnonzero((codes == _CLEAR) | (codes == _END))
        last = int(stops[0]) if len(stops) else count
        total += _length(codes[:last], name)
        if last == count or codes[last] == _END:
            break  # some writers leave the end code out
        at += int(_BEGINS[last]) + int(_WIDTHS[last])
    return total


def _codes(octets: np.ndarray, begins: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """The codes that begin at these bits, the highest bit first."""
    first = begins >> 3
    near = np.append(octets[first[0] : first[-1] + 3], (0, 0)).astype(np.int64)
    first = first - first[0]
    word = (near[first] << 16) | (near[first + 1] << 8) | near[first + 2]
    return (word >> (24 - (begins & 7) - widths)) & ((1 << widths) - 1)


def _length(codes: np.ndarray, name: str) -> int:
    """Bytes that the codes between two clear codes stand for."""
    parent = codes - _FIRST  # the code by which the string of this one came; below 0: a byte
    if np.any(parent >= np.arange(len(codes))):
        raise refusal(Reason.DAMAGED, name, "an LZW code of the TIFF stands for nothing")
    lengths = np.ones(len(codes), np.int64)
    parent = np.maximum(parent, -1)
    while np.any(parent >= 0):  # each turn takes twice as many steps towards the byte
        linked = parent >= 0
        lengths[linked] += lengths[parent[linked]]
        parent[linked] = parent[parent[linked]]
    return int(lengths.sum())

"""Which way up an image is, by its EXIF orientation."""

from __future__ import annotations

import struct

import numpy as np

_ORIENTATION = 274
_SHORT = 3


def orientation(exif: bytes) -> int:
    r"""The orientation in an EXIF block, 1 (upright) where the block has none or is broken.

    Only this one value is read; a broken block is no reason to lose a film, and no other tag is of use here.

    Example:
        >>> orientation(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0")
        6
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "L", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(count):
            tag, kind, _, value = struct.unpack_from(order + "HHLH", exif, start + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns (H, W) pixels as the orientation says (EXIF 2.32, tag 274).

    Example:
        >>> upright(np.array([[1, 2], [3, 4]]), 6).tolist()
        [[3, 1], [4, 2]]
    """
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = pixels.T
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)

"""Grey values by table: counted once, looked up once, whatever the formula behind the table costs."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

_EXACT_COUNT = 2**24  # OpenCV counts in float32, which is exact up to here
_CHUNK = 2**17  # pixels whose indices stay in the cache


def domain_of(bits: int, signed: bool) -> np.ndarray:
    """All stored values of so many bits, in rising order, int64.

    Example:
        >>> domain_of(2, signed=True).tolist()
        [-2, -1, 0, 1]
    """
    least = -(2 ** (bits - 1)) if signed else 0
    return np.arange(least, least + 2**bits)


def count_values(stored: np.ndarray, domain: np.ndarray) -> np.ndarray:
    """How often each value of the domain occurs.

    Args:
        stored: 8- or 16-bit integers of any shape.
        domain: From `domain_of`, of at most as many bits.

    Returns:
        Counts in the order of the domain, int64. Values outside of it are not counted.
    """
    patterns = _patterns(stored)
    bins = 2 ** (8 * patterns.itemsize)
    flat = patterns.reshape(-1)
    counts = np.zeros(bins, np.int64)
    for start in range(0, flat.size, _EXACT_COUNT):
        part = flat[None, start : start + _EXACT_COUNT]
        counts += cv2.calcHist([part], [0], None, [bins], [0, bins]).reshape(-1).astype(np.int64)
    return counts[domain & (bins - 1)]


def look_up(stored: np.ndarray, domain: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Replaces stored values by their grey values.

    Args:
        stored: 8- or 16-bit integers (H, W).
        domain: From `domain_of`.
        grey: (len(domain),) uint8. Stored values outside of the domain take the nearest entry.

    Returns:
        (H, W) uint8.

    Example:
        >>> domain = domain_of(2, signed=True)
        >>> look_up(np.array([[-2, 1, 7]], np.int16), domain, np.array([9, 8, 7, 6], np.uint8)).tolist()
        [[9, 6, 6]]
    """
    patterns = _patterns(stored)
    bins = 2 ** (8 * patterns.itemsize)
    table = grey
    if len(domain) != bins or domain[0] < 0:
        values = domain_of(8 * patterns.itemsize, bool(domain[0] < 0))
        table = np.empty(bins, np.uint8)
        table[values & (bins - 1)] = grey[(values - domain[0]).clip(0, len(domain) - 1)]
    if bins == 256 or _opencv_looks_up_words():
        return cv2.LUT(patterns, table)
    shown = np.empty(patterns.shape, np.uint8)
    flat, out = patterns.reshape(-1), shown.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        table.take(flat[start : start + _CHUNK], mode="clip", out=out[start : start + _CHUNK])
    return shown


def _patterns(stored: np.ndarray) -> np.ndarray:
    """The bits of stored values as unsigned numbers; a copy only where they are no plain block of memory."""
    stored = np.ascontiguousarray(stored, stored.dtype.newbyteorder("="))
    return stored.view(np.uint8 if stored.itemsize == 1 else np.uint16)


@cache
def _opencv_looks_up_words() -> bool:
    """Whether this OpenCV has a table for 16-bit values: version 5 has, version 4 has not."""
    try:
        return bool(cv2.LUT(np.zeros((1, 1), np.uint16), np.ones(2**16, np.uint8))[0, 0] == 1)
    except cv2.error:
        return False

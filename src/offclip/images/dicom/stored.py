"""From words to stored values: sign, unused bits, colour (DICOM PS3.5 section 8, PS3.3 C.7.6.3.1)."""

from __future__ import annotations

import numpy as np

from offclip.images.dicom.pixel_header import PixelHeader


def stored_values(words: np.ndarray, bits_stored: int, high_bit: int, signed: bool) -> np.ndarray:
    """The stored values in unsigned words; no copy where the words are the values already.

    Args:
        words: Unsigned, any shape.
        bits_stored: Bits of a value.
        high_bit: Position of its highest bit; what lies above or below belongs to something else.
        signed: Two's complement.

    Returns:
        As `words`, with the signed type of the same size where `signed`.

    Example:
        >>> stored_values(np.array([0x0FFF, 0xF001], np.uint16), 12, 11, signed=True).tolist()
        [-1, 1]
    """
    width = words.dtype.itemsize * 8
    low = high_bit + 1 - bits_stored
    if not signed:
        mask = (1 << bits_stored) - 1
        if low:
            words = words >> low
        return words if words.size == 0 or int(words.max()) <= mask else words & words.dtype.type(mask)
    values = words.view(np.dtype(f"i{words.dtype.itemsize}"))
    half = 1 << (bits_stored - 1)
    if low == 0 and (values.size == 0 or (int(values.min()) >= -half and int(values.max()) < half)):
        return values
    # An arithmetic shift to the right repeats the sign bit.
    return (values << (width - 1 - high_bit)) >> (width - bits_stored)


def fits(words: np.ndarray, bits_stored: int, signed: bool) -> bool:
    """Whether words that are wider than the stored bits hold nothing beyond them.

    Example:
        >>> [fits(np.array([value], np.uint16), 12, signed=False) for value in (4095, 4096)]
        [True, False]
    """
    mask = (1 << bits_stored) - 1
    if words.size == 0:
        return True
    if words.dtype.kind == "u" and int(words.max()) <= mask:
        return True  # for signed values too: the bits above may be left clear
    if not signed:
        return words.dtype.kind == "i" and int(words.min()) >= 0 and int(words.max()) <= mask
    values = words.view(np.dtype(f"i{words.dtype.itemsize}"))
    half = 1 << (bits_stored - 1)
    return int(values.min()) >= -half and int(values.max()) < half


def by_pixel(samples: np.ndarray, header: PixelHeader, planar: bool) -> np.ndarray:
    """Flat samples as (rows, columns) or (rows, columns, 3)."""
    if header.samples == 1:
        return samples.reshape(header.rows, header.columns)
    if planar:
        return np.moveaxis(samples.reshape(header.samples, header.rows, header.columns), 0, 2)
    return samples.reshape(header.rows, header.columns, header.samples)


def rgb_from_ybr(ybr: np.ndarray, bits: int) -> np.ndarray:
    """YBR_FULL (rows, columns, 3) as RGB of the same type, rounded (PS3.3 C.7.6.3.1.2).

    Example:
        >>> rgb_from_ybr(np.array([[[76, 85, 255]]], np.uint8), 8).tolist()
        [[[254, 0, 0]]]
    """
    full, middle = (1 << bits) - 1, 1 << (bits - 1)
    y, cb, cr = (ybr[..., i].astype(np.float32) for i in range(3))
    cb -= middle
    cr -= middle
    rgb = np.stack((y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb), axis=-1)
    return np.floor(rgb + 0.5).clip(0, full).astype(ybr.dtype)

"""A small encoder of lossless JPEG (ITU-T T.81 annex H) of any precision and predictor."""

from __future__ import annotations

import struct

import numpy as np


def lossless_jpeg(
    values: np.ndarray, precision: int, predictor: int = 1, restart_rows: int = 0, selection: int = 0
) -> bytes:
    """Encodes (rows, columns) or (rows, columns, 3) integers as one interleaved scan.

    Args:
        values: Negative ones are written as two's complement of `precision` bits.
        precision: Bits of a sample, 2 to 16.
        predictor: Selection value, 1 to 7.
        restart_rows: Rows of a restart interval; 0 writes no restart marker.
        selection: Predictor that the header names, where it is to lie.
    """
    samples = (values.astype(np.int64) & ((1 << precision) - 1)).reshape(*values.shape[:2], -1)
    rows, columns, components = samples.shape
    diff = _differences(samples, precision, predictor, restart_rows)
    size = np.zeros_like(diff)
    for bit in range(16):
        size[np.abs(diff) >= 1 << bit] = bit + 1
    wide = np.where(size == 16, 0, size)  # a difference of 32768 needs no further bits
    extra = np.where(diff < 0, diff + (1 << size) - 1, diff) & ((1 << wide) - 1)
    # All 17 categories have codes of 5 bits.
    codes = (((size << wide) | extra).reshape(rows, -1), (wide + 5).reshape(rows, -1))
    scan = b""
    step = restart_rows or rows
    for number, first in enumerate(range(0, rows, step)):
        scan += struct.pack(">H", 0xFFD0 + (number - 1) % 8) if number else b""
        scan += _stuffed(codes[0][first : first + step].ravel(), codes[1][first : first + step].ravel())
    ids = range(1, components + 1)
    frame = struct.pack(">BHHB", precision, rows, columns, components) + b"".join(
        bytes((i, 0x11, 0)) for i in ids
    )
    head = bytes((components,)) + b"".join(bytes((i, 0)) for i in ids) + bytes((selection or predictor, 0, 0))
    huffman = bytes((0, *(17 if length == 5 else 0 for length in range(1, 17)), *range(17)))
    restart = _segment(0xDD, struct.pack(">H", restart_rows * columns)) if restart_rows else b""
    segments = _segment(0xC3, frame) + _segment(0xC4, huffman) + restart + _segment(0xDA, head)
    return b"\xff\xd8" + segments + scan + b"\xff\xd9"


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _differences(samples: np.ndarray, precision: int, predictor: int, restart_rows: int) -> np.ndarray:
    left = np.zeros_like(samples)
    above, corner = left.copy(), left.copy()
    left[:, 1:], above[1:], corner[1:, 1:] = samples[:, :-1], samples[:-1], samples[:-1, :-1]
    guess = {
        1: left,
        2: above,
        3: corner,
        4: left + above - corner,
        5: left + ((above - corner) >> 1),
        6: above + ((left - corner) >> 1),
        7: (left + above) >> 1,
    }[predictor].copy()
    guess[:, 0] = above[:, 0]
    starts = range(0, len(samples), restart_rows or len(samples))
    for row in starts:  # the first row of an interval knows nothing above it
        guess[row] = left[row]
        guess[row, 0] = 1 << (precision - 1)
    diff = (samples - guess) & 0xFFFF
    return np.where(diff > 32768, diff - 65536, diff)


def _stuffed(codes: np.ndarray, lengths: np.ndarray) -> bytes:
    bits = "".join(
        f"{code:0{length}b}" for code, length in zip(codes.tolist(), lengths.tolist(), strict=True)
    )
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")

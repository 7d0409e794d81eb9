"""Pixels that are stored as they are (DICOM PS3.5 section 8)."""

from __future__ import annotations

import numpy as np

from offclip.images.dicom.pixel_header import PixelHeader
from offclip.images.dicom.stored import by_pixel, stored_values
from offclip.images.reasons import Reason, refusal


def native_frame(
    header: PixelHeader, pixel_data: bytes | memoryview, frame: int, big_endian: bool, name: str
) -> np.ndarray:
    """One frame of native pixels; a view of `pixel_data` where the stored words are the values.

    Args:
        header: What the header says.
        pixel_data: The value of the pixel element. Two samples of 8 bits that share a big endian word were
            put in order before.
        frame: Which, from 0.
        big_endian: Whether words are stored with the high byte first.
        name: The file, for messages.

    Returns:
        (rows, columns) or (rows, columns, 3) of stored values, read-only where it is a view.

    Raises:
        ImageError: `truncated`: the value is too short. `contradictory`: it is longer than its padding
            explains. `unsupported-pixels`: a layout of retired colour.
    """
    data = memoryview(pixel_data).cast("B")
    halved = header.photometric == "YBR_FULL_422"
    if header.photometric in ("YBR_PARTIAL_422", "YBR_PARTIAL_420"):
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, f"the retired colour space {header.photometric}")
    if halved and (header.bits_allocated != 8 or header.columns % 2 or header.planar):
        raise refusal(
            Reason.UNSUPPORTED_PIXELS, name, "shared colour samples in a layout that is not defined"
        )
    samples = header.rows * header.columns * (2 if halved else header.samples)
    _check_length(len(data), samples * header.bits_allocated, header.frames, name)
    if header.bits_allocated == 1:
        return _bits(header, data, samples, frame)
    size = header.bits_allocated // 8
    words = np.frombuffer(data, f"{'>' if big_endian else '<'}u{size}", samples, frame * samples * size)
    if big_endian:
        words = words.astype(f"<u{size}")
    values = stored_values(words, header.bits_stored, header.high_bit, header.signed)
    return _whole_colour(values, header) if halved else by_pixel(values, header, header.planar == 1)


def _check_length(length: int, frame_bits: int, frames: int, name: str) -> None:
    needed = (frame_bits * frames + 7) // 8
    if length < needed:
        raise refusal(Reason.TRUNCATED, name, f"{length:,} bytes of pixels, {needed:,} are needed")
    if length > needed + 1:
        raise refusal(Reason.CONTRADICTORY, name, f"{length:,} bytes of pixels, only {needed:,} are needed")


def _bits(header: PixelHeader, data: memoryview, samples: int, frame: int) -> np.ndarray:
    # Frames follow each other without a gap, so one may begin within a byte.
    begin = frame * samples
    packed = np.frombuffer(data, np.uint8)[begin // 8 : (begin + samples + 7) // 8]
    bits = np.unpackbits(packed, bitorder="little")[begin % 8 : begin % 8 + samples]
    return by_pixel(bits.view(np.int8) * np.int8(-1) if header.signed else bits, header, header.planar == 1)


def _whole_colour(values: np.ndarray, header: PixelHeader) -> np.ndarray:
    """Y1 Y2 Cb Cr as (rows, columns, 3): two pixels in a row share their colour."""
    pairs = values.reshape(header.rows, header.columns // 2, 4)
    luminance = pairs[..., :2].reshape(header.rows, header.columns)
    return np.stack((luminance, pairs[..., 2].repeat(2, axis=1), pairs[..., 3].repeat(2, axis=1)), axis=-1)

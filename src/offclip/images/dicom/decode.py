"""One frame of stored values from the pixel element of a file, or a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from offclip.images.dicom.codecs import decode_jpeg, decode_jpeg2000, decode_jpeg_ls
from offclip.images.dicom.codestream import Codestream, check_against
from offclip.images.dicom.encapsulation import frame_codestream
from offclip.images.dicom.jpeg2000_stream import bare_codestream, read_jpeg2000
from offclip.images.dicom.jpeg_stream import read_jpeg
from offclip.images.dicom.native import native_frame
from offclip.images.dicom.pixel_header import PixelHeader
from offclip.images.dicom.rle import rle_words
from offclip.images.dicom.stored import by_pixel, fits, rgb_from_ybr, stored_values
from offclip.images.dicom.syntaxes import Syntax, syntax_of
from offclip.images.reasons import Reason, refusal


def decode_frame(
    header: PixelHeader,
    pixel_data: bytes | memoryview,
    frame: int,
    name: str,
    offsets: Sequence[int] | None = None,
) -> np.ndarray:
    """Decodes one frame.

    The codestream's own size, precision, sign and number of samples must be the header's, and it must be
    complete, before a decoder sees it. What remains unseen is a flipped bit within the entropy-coded data of
    a codec without a checksum (all of them): mostly the decoder stumbles over it, sometimes it gives other
    pixels.

    Args:
        header: What the DICOM header says.
        pixel_data: Native: exactly the value of the pixel element, 8-bit samples in their order.
            Encapsulated: from the item of the Basic Offset Table to the sequence delimiter, or beyond.
        frame: Which, from 0.
        name: The file, for messages.
        offsets: Extended Offset Table, where the file has one.

    Returns:
        (rows, columns) or (rows, columns, 3) of stored values, 8, 16 or 32 bits wide, signed where the header
        says so, bits that are not stored cleared; colour as RGB. Read-only where it is a view of
        `pixel_data`.

    Raises:
        ImageError: `unsupported-transfer-syntax`, `decoder-not-installed`, `unsupported-pixels`,
            `no-such-frame`, `no-pixels`, `truncated`, `damaged` or `contradictory`.

    Example:
        >>> header = PixelHeader("1.2.840.10008.1.2.1", rows=1, columns=2, bits_stored=12, high_bit=11)
        >>> decode_frame(header, bytes.fromhex("0100 ff0f"), 0, "film.dcm").tolist()
        [[1, 4095]]
    """
    syntax = syntax_of(header.transfer_syntax, name)
    if not 0 <= frame < header.frames:
        raise refusal(Reason.NO_SUCH_FRAME, name, f"frame {frame} of {header.frames}")
    if syntax.codec == "native":
        values = native_frame(header, pixel_data, frame, syntax.big_endian, name)
        return _in_rgb(values, header, header.photometric, name)
    data = frame_codestream(pixel_data, header.frames, frame, name, offsets)
    if syntax.codec == "rle":
        words = rle_words(data, header, name)
        values = stored_values(words, header.bits_stored, header.high_bit, header.signed)
        return _in_rgb(by_pixel(values, header, planar=True), header, header.photometric, name)
    return _decode_codestream(data, header, syntax, name)


def _decode_codestream(data: bytes, header: PixelHeader, syntax: Syntax, name: str) -> np.ndarray:
    if syntax.codec in ("jpeg-2000", "htj2k"):
        data = bare_codestream(data, name)
        stream = read_jpeg2000(data, syntax, name)
        check_against(header, stream, name)
        words = decode_jpeg2000(data, stream, syntax, name)
        # OpenJPEG has undone the transform that these two name.
        space = "RGB" if header.photometric in ("YBR_RCT", "YBR_ICT") else header.photometric
        return _in_rgb(_values(words, header, stream, name), header, space, name)
    stream = read_jpeg(data, syntax, name)
    check_against(header, stream, name, whole_words=syntax.codec != "jpeg")
    space = {"RGB": "RGB", "YBR": "YBR_FULL"}.get(stream.colour or "", header.photometric)
    if syntax.codec == "jpeg-ls":
        words = decode_jpeg_ls(data, stream, syntax, name)
    else:
        decoded_as = replace(stream, colour="RGB" if space == "RGB" else "YBR")
        words = decode_jpeg(data, decoded_as, syntax, name)
    return _in_rgb(_values(words, header, stream, name), header, space, name)


def _values(words: np.ndarray, header: PixelHeader, stream: Codestream, name: str) -> np.ndarray:
    """Samples of a codestream as stored values, by pixel."""
    bits, high_bit = header.bits_stored, header.high_bit
    if high_bit == bits - 1 and not fits(words, bits, header.signed):
        raise refusal(Reason.CONTRADICTORY, name, f"values beyond the {bits} bits that are stored")
    unsigned = words.view(f"u{words.dtype.itemsize}")
    return by_pixel(stored_values(unsigned, bits, high_bit, header.signed), header, stream.planar)


def _in_rgb(values: np.ndarray, header: PixelHeader, space: str, name: str) -> np.ndarray:
    if header.samples == 1 or space == "RGB":
        return values
    if space in ("YBR_FULL", "YBR_FULL_422") and not header.signed:
        return rgb_from_ybr(values, header.bits_stored)
    raise refusal(Reason.UNSUPPORTED_PIXELS, name, f"colour of the kind {space}")

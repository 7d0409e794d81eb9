"""From the bytes of a file to its header and its pixel element, checked before anything is decoded."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from offclip.errors import ImageError
from offclip.images.dicom.attributes import Attributes
from offclip.images.dicom.image_pixel import pixel_header_of
from offclip.images.dicom.part10 import NATIVE, Part10, open_part10
from offclip.images.dicom.pixel_header import PixelHeader
from offclip.images.dicom.quiet import PYDICOM_ERRORS, quiet
from offclip.images.limits import Limits
from offclip.images.reasons import Reason, refusal

_PIXEL_DATA = 0x7FE00010
_FLOAT_PIXEL_DATA = (0x7FE00008, 0x7FE00009)
_UNDEFINED = 0xFFFFFFFF
# A film has a few hundred elements; millions of empty ones, well packed, would cost minutes.
_MOST_ELEMENTS = 100_000


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A DICOM file that was opened and not decoded.

    Attributes:
        attributes: The header.
        pixels: What the header says about the stored pixels, checked.
        pixel_data: The pixel element without a copy. Native: the bytes of the value. Encapsulated: from the
            item of the Basic Offset Table to the end of the file.
        offsets: Extended Offset Table, None where the file has none.
        notes: What a careful reader should know.
    """

    attributes: Attributes
    pixels: PixelHeader
    pixel_data: memoryview = field(repr=False)
    offsets: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _PixelElement:
    start: int
    length: int
    vr: str | None


class _CutShortError(Exception):
    """An element says it is longer than what is left of the file."""


def parse(data: bytes | memoryview, limits: Limits, name: str) -> DicomFile:
    """Opens a DICOM file.

    Args:
        data: The whole file; bytes are not copied.
        limits: What it may cost.
        name: The file, for messages.

    Raises:
        ImageError: `not-an-image`, `truncated`, `damaged`, `contradictory`, `no-pixels`,
            `unsupported-pixels`, `unsupported-transfer-syntax`, `decoder-not-installed`,
            `unpacks-too-large`, `too-many-pixels` or `too-many-frames`.

    Example:
        >>> from offclip.images.limits import DEFAULT_LIMITS
        >>> parse(b"no film", DEFAULT_LIMITS, "notes.txt")
        Traceback (most recent call last):
        ...
        offclip.errors.ImageError: notes.txt: not a DICOM file. Remove the file, or give an image instead.
    """
    part10 = open_part10(_as_bytes(data), limits, name)
    dataset, element = _read_dataset(part10, name)
    attributes = Attributes(dataset, name, part10.little_endian)
    if element is None:
        raise refusal(Reason.NO_PIXELS, name, "the file holds no pixel data")
    notes = [] if part10.told else ["The file names no transfer syntax; its first element shows it."]
    header = pixel_header_of(attributes, part10.transfer_syntax, limits, notes)
    pixel_data = _pixel_bytes(part10, element, header, name)
    return DicomFile(attributes, header, pixel_data, _offsets(attributes), tuple(notes))


def _as_bytes(data: bytes | memoryview) -> bytes:
    if isinstance(data, memoryview):
        whole = data.obj
        return whole if isinstance(whole, bytes) and data.nbytes == len(whole) else bytes(data)
    return data


def _read_dataset(part10: Part10, name: str) -> tuple[Any, _PixelElement | None]:
    """Reads the header up to the pixel data, and checks that each element is there whole."""
    try:
        from pydicom.filereader import read_dataset
    except ImportError:
        raise refusal(Reason.DECODER_NOT_INSTALLED, name, "DICOM files are read by pydicom") from None
    size = len(part10.body)
    source = io.BytesIO(part10.body)  # shares the bytes
    source.seek(part10.start)
    found: list[_PixelElement] = []
    end = part10.start
    count = 0

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        nonlocal end, count
        count += 1
        if count > _MOST_ELEMENTS:
            raise refusal(Reason.DAMAGED, name, f"the header has more than {_MOST_ELEMENTS:,} elements")
        if tag in _FLOAT_PIXEL_DATA:
            raise refusal(Reason.UNSUPPORTED_PIXELS, name, "the pixels are floating-point numbers")
        start = source.tell()
        if length != _UNDEFINED and length > size - start:
            raise _CutShortError
        if tag == _PIXEL_DATA:
            found.append(_PixelElement(start, length, vr))
            return True
        # An element of undefined length ends where the next one is found.
        end = start if length == _UNDEFINED else start + length
        return False

    try:
        with quiet():
            dataset = read_dataset(source, part10.implicit, part10.little_endian, stop_when=at_pixels)
    except ImageError:
        raise
    except _CutShortError:
        raise refusal(Reason.TRUNCATED, name, "an element is longer than what is left of the file") from None
    except PYDICOM_ERRORS:
        at_end = source.tell() >= size
        reason, what = (Reason.TRUNCATED, "cut off") if at_end else (Reason.DAMAGED, "damaged")
        raise refusal(reason, name, f"the header is {what}") from None
    if not found and 0 < size - end < 8 and source.tell() >= size:
        raise refusal(Reason.TRUNCATED, name, "the file ends within an element")
    if not found and source.tell() < size:
        raise refusal(Reason.DAMAGED, name, "the header ends before the file does")
    return dataset, found[0] if found else None


def _offsets(attributes: Attributes) -> tuple[int, ...] | None:
    table = attributes.value("ExtendedOffsetTable")
    if not isinstance(table, bytes) or not table:
        return None
    order = "<u8" if attributes.little_endian else ">u8"
    return tuple(np.frombuffer(table, order, len(table) // 8).tolist())


def _pixel_bytes(part10: Part10, element: _PixelElement, header: PixelHeader, name: str) -> memoryview:
    body = memoryview(part10.body)
    native = header.transfer_syntax in NATIVE
    if element.length == _UNDEFINED:
        if native:
            raise refusal(
                Reason.CONTRADICTORY, name, "encapsulated pixels stand under a native transfer syntax"
            )
        return body[element.start :]
    if not native:
        known = header.transfer_syntax.startswith("1.2.840.10008.1.2.")
        reason = Reason.CONTRADICTORY if known else Reason.UNSUPPORTED_TRANSFER_SYNTAX
        raise refusal(
            reason, name, "pixels that are not encapsulated stand under a compressed transfer syntax"
        )
    # Whether it is long enough is the decoder's to say.
    value = body[element.start : element.start + element.length]
    if not part10.little_endian and header.bits_allocated <= 8 and element.vr == "OW" and len(value) % 2 == 0:
        # Two pixels share a big endian word: in the order of the pixels they stand only after a swap.
        return memoryview(np.frombuffer(value, ">u2").astype("<u2").tobytes())
    return value

"""The outside of a DICOM file (PS3.10): preamble, file meta information, transfer syntax, deflate."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from offclip.images.limits import Limits
from offclip.images.reasons import Reason, refusal

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
NATIVE = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG)

_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_SHORT_LENGTH = 1024  # no first element of a header is longer


@dataclass(frozen=True, slots=True)
class Part10:
    """Where the data set of a file lies and how it is encoded.

    Attributes:
        body: Bytes that hold the data set; the file itself, or what a deflated one unpacks to.
        start: Where the data set begins in `body`.
        transfer_syntax: UID, as the file says or, where it does not, as its first element shows.
        told: Whether the file says it.
    """

    body: bytes
    start: int
    transfer_syntax: str
    told: bool

    @property
    def implicit(self) -> bool:
        """Whether elements carry no VR."""
        return self.transfer_syntax == IMPLICIT_LITTLE

    @property
    def little_endian(self) -> bool:
        """Whether the lowest byte comes first."""
        return self.transfer_syntax != EXPLICIT_BIG


def looks_like_dicom(data: bytes | memoryview) -> bool:
    r"""Whether bytes are a DICOM file: the prefix after the preamble, or a first element like no other.

    Example:
        >>> looks_like_dicom(bytes(128) + b"DICM"), looks_like_dicom(b"\x89PNG\r\n\x1a\n" + bytes(9))
        (True, False)
    """
    return bytes(data[128:132]) == b"DICM" or _first_element(bytes(data[:132])) is not None


def open_part10(data: bytes, limits: Limits, name: str) -> Part10:
    """Finds the data set of a file, and unpacks it where it is deflated.

    Raises:
        ImageError: `not-an-image`, `truncated`, `damaged` or `unpacks-too-large`.
    """
    start = 132 if data[128:132] == b"DICM" else 0
    if start == 0 and _first_element(data[:132]) is None:
        raise refusal(Reason.NOT_AN_IMAGE, name, "not a DICOM file")
    start, syntax = _file_meta(data, start, name)
    if syntax == DEFLATED:
        return Part10(_inflated(data, start, limits, name), 0, syntax, told=True)
    if syntax:
        return Part10(data, start, syntax, told=True)
    syntax = _first_element(data[start : start + 132])
    if syntax is None:
        raise refusal(Reason.DAMAGED, name, "the file names no transfer syntax, and its data set shows none")
    return Part10(data, start, syntax, told=False)


def _first_element(head: bytes) -> str | None:
    """The transfer syntax that the first element shows, None where it is no plausible element."""
    if len(head) < 12:
        return None
    for order, syntax in (("<", EXPLICIT_LITTLE), (">", EXPLICIT_BIG)):
        group, element, vr, length = struct.unpack_from(f"{order}HH2sH", head)
        if group not in (0x0002, 0x0008) or element > 0x1000:
            continue
        if vr in _SHORT_VRS and length <= _SHORT_LENGTH:
            return syntax
        if vr in _LONG_VRS and length == 0:
            return syntax
        implicit_length = struct.unpack_from("<L", head, 4)[0]
        if order == "<" and implicit_length <= _SHORT_LENGTH and implicit_length % 2 == 0:
            return IMPLICIT_LITTLE
    return None


def _file_meta(data: bytes, at: int, name: str) -> tuple[int, str]:
    """Walks group 0002, which is always little endian: where it ends, and the transfer syntax it names."""
    syntax = ""
    while len(data) - at >= 8 and data[at : at + 2] == b"\x02\0":
        element, vr, length = struct.unpack_from("<H2sH", data, at + 2)
        at += 8
        if vr in _LONG_VRS:
            if len(data) - at < 4:
                raise refusal(Reason.TRUNCATED, name, "the file ends within its file meta information")
            length = struct.unpack_from("<L", data, at)[0]
            at += 4
        elif vr not in _SHORT_VRS:
            # Some writers leave the VR out here as well.
            length = struct.unpack_from("<L", data, at - 4)[0]
        if length > len(data) - at:
            raise refusal(Reason.TRUNCATED, name, "the file ends within its file meta information")
        if element == 0x0010:
            syntax = data[at : at + length].rstrip(b" \0").decode("ascii", "replace")[:64]
        at += length
    return at, syntax


def _inflated(data: bytes, start: int, limits: Limits, name: str) -> bytes:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        body = unpacker.decompress(memoryview(data)[start:], limits.max_unpacked_bytes + 1)
    except zlib.error:
        raise refusal(Reason.DAMAGED, name, "the deflated data set cannot be unpacked") from None
    if len(body) > limits.max_unpacked_bytes:
        raise refusal(
            Reason.UNPACKS_TOO_LARGE,
            name,
            f"the deflated data set unpacks to more than {limits.max_unpacked_bytes:,} bytes",
        )
    if not unpacker.eof:
        raise refusal(Reason.TRUNCATED, name, "the deflated data set is cut off")
    return body

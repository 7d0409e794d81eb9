"""Transfer syntaxes: which are read, and the one decoder of each (DICOM PS3.5 section 10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from offclip.errors import ImageError
from offclip.images.reasons import Reason, refusal

Codec = Literal["native", "rle", "jpeg", "jpeg-lossless", "jpeg-ls", "jpeg-2000", "htj2k"]
_ROOT = "1.2.840.10008.1.2"


@dataclass(frozen=True, slots=True)
class Syntax:
    """A transfer syntax that is read.

    Attributes:
        uid: As in the file.
        name: As in the standard, without the word "Transfer Syntax".
        codec: How a frame is stored.
        package: The package that decodes it; numpy where no decoder beside this one is needed.
        big_endian: Whether native words are stored with the high byte first.
        lossless_only: Whether the standard allows nothing but lossless codestreams under it.
    """

    uid: str
    name: str
    codec: Codec
    package: str = "numpy"
    big_endian: bool = False
    lossless_only: bool = False


_OPENJPEG = "pylibjpeg-openjpeg"
SYNTAXES = {
    syntax.uid: syntax
    for syntax in (
        Syntax(_ROOT, "Implicit VR Little Endian", "native"),
        Syntax(f"{_ROOT}.1", "Explicit VR Little Endian", "native"),
        # Its data set is inflated as a whole before the pixel element is found.
        Syntax(f"{_ROOT}.1.99", "Deflated Explicit VR Little Endian", "native"),
        Syntax(f"{_ROOT}.2", "Explicit VR Big Endian", "native", big_endian=True),
        Syntax(f"{_ROOT}.5", "RLE Lossless", "rle", lossless_only=True),
        Syntax(f"{_ROOT}.4.50", "JPEG Baseline (Process 1)", "jpeg", "python-gdcm"),
        Syntax(f"{_ROOT}.4.51", "JPEG Extended (Process 2 and 4)", "jpeg", "python-gdcm"),
        Syntax(f"{_ROOT}.4.57", "JPEG Lossless (Process 14)", "jpeg-lossless", "python-gdcm"),
        Syntax(
            f"{_ROOT}.4.70", "JPEG Lossless (Process 14, Selection Value 1)", "jpeg-lossless", "python-gdcm"
        ),
        Syntax(f"{_ROOT}.4.80", "JPEG-LS Lossless", "jpeg-ls", "pyjpegls", lossless_only=True),
        Syntax(f"{_ROOT}.4.81", "JPEG-LS Lossy (Near-Lossless)", "jpeg-ls", "pyjpegls"),
        Syntax(f"{_ROOT}.4.90", "JPEG 2000 (Lossless Only)", "jpeg-2000", _OPENJPEG, lossless_only=True),
        Syntax(f"{_ROOT}.4.91", "JPEG 2000", "jpeg-2000", _OPENJPEG),
        Syntax(
            f"{_ROOT}.4.201",
            "High-Throughput JPEG 2000 (Lossless Only)",
            "htj2k",
            _OPENJPEG,
            lossless_only=True,
        ),
        Syntax(
            f"{_ROOT}.4.202",
            "High-Throughput JPEG 2000 with RPCL (Lossless Only)",
            "htj2k",
            _OPENJPEG,
            lossless_only=True,
        ),
        Syntax(f"{_ROOT}.4.203", "High-Throughput JPEG 2000", "htj2k", _OPENJPEG),
    )
}


def syntax_of(uid: str, name: str) -> Syntax:
    """The entry of a transfer syntax.

    Args:
        uid: As in the file meta information.
        name: The file, for the message.

    Raises:
        ImageError: `unsupported-transfer-syntax`: video, JPIP, a private syntax, or no syntax at all.

    Example:
        >>> syntax_of("1.2.840.10008.1.2.4.80", "film.dcm").package
        'pyjpegls'
    """
    syntax = SYNTAXES.get(uid)
    if syntax is None:
        raise refusal(
            Reason.UNSUPPORTED_TRANSFER_SYNTAX, name, f"no decoder for transfer syntax {uid or '(none)'}"
        )
    return syntax


def not_installed(syntax: Syntax, name: str) -> ImageError:
    """The error for a decoder that cannot be imported."""
    return refusal(Reason.DECODER_NOT_INSTALLED, name, f"{syntax.name} is decoded by {syntax.package}")

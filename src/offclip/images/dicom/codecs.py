"""Calls of the three decoder packages: codestream in, flat samples out."""

from __future__ import annotations

import numpy as np

from offclip.images.dicom.codestream import Codestream
from offclip.images.dicom.native_messages import native_messages
from offclip.images.dicom.syntaxes import Syntax, not_installed
from offclip.images.reasons import Reason, refusal

# Of libjpeg within GDCM; after the first two it goes on and makes pixels up, after the others it gives up.
_COMPLAINTS = (
    "corrupt jpeg data",
    "premature end",
    "bogus marker",
    "bogus huffman",
    "bogus d",
    "was not defined",
    "unsupported marker",
    "invalid lossless parameters",
)


def decode_jpeg(data: bytes, stream: Codestream, syntax: Syntax, name: str) -> np.ndarray:
    """JPEG and lossless JPEG by GDCM, colour as stored.

    GDCM reports a scan that ends early, or a code that does not exist, in no way but a line on standard
    error, and fills the rest with grey; so that line is what is looked for.

    Raises:
        ImageError: `truncated`, `damaged`, `decoder-not-installed`.
    """
    try:
        import gdcm
    except ImportError:
        raise not_installed(syntax, name) from None
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((stream.columns, stream.rows, 1))
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(data)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image.SetDataElement(element)
    # GDCM converts no colour when the name of the space is that of the codestream.
    space = "MONOCHROME2" if stream.components == 1 else stream.colour or "YBR_FULL"
    kind = gdcm.PhotometricInterpretation.GetPIType("YBR_FULL" if space == "YBR" else space)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    if stream.components > 1:
        image.SetPlanarConfiguration(0)
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax.uid)))
    container = 8 if stream.precision <= 8 else 16
    # GDCM aborts the process where a byte holds fewer than 8 bits.
    bits = max(stream.precision, 8)
    image.SetPixelFormat(gdcm.PixelFormat(stream.components, container, bits, bits - 1, 0))
    with native_messages(*_COMPLAINTS) as lines:
        text = image.GetBuffer()
    _check_messages(lines, name)
    if text is None:
        raise refusal(Reason.DAMAGED, name, "the JPEG decoder gives up")
    return _flat(text.encode("utf-8", "surrogateescape"), container // 8, stream, name)


def _check_messages(lines: list[str], name: str) -> None:
    for line in lines:
        if "premature end" in line.lower():
            raise refusal(Reason.TRUNCATED, name, "the entropy-coded data end before the image does")
    if lines:
        raise refusal(Reason.DAMAGED, name, "the JPEG decoder reports corrupt data")


def decode_jpeg_ls(data: bytes, stream: Codestream, syntax: Syntax, name: str) -> np.ndarray:
    """JPEG-LS by CharLS, which refuses what ends early.

    Raises:
        ImageError: `damaged`, `decoder-not-installed`.
    """
    try:
        import jpeg_ls
    except ImportError:
        raise not_installed(syntax, name) from None
    try:
        decoded, _ = jpeg_ls.decode_buffer(data)
    except (RuntimeError, ValueError):
        raise refusal(Reason.DAMAGED, name, "the JPEG-LS decoder finds invalid data") from None
    return _flat(decoded, 1 if stream.precision <= 8 else 2, stream, name)


def decode_jpeg2000(data: bytes, stream: Codestream, syntax: Syntax, name: str) -> np.ndarray:
    """JPEG 2000 and HTJ2K by OpenJPEG, its transform of colour undone, with the sign of the codestream.

    Raises:
        ImageError: `damaged`, `decoder-not-installed`.
    """
    try:
        from openjpeg.utils import decode_pixel_data
    except ImportError:
        raise not_installed(syntax, name) from None
    try:
        decoded = bytes(decode_pixel_data(data, version=2))
    except (RuntimeError, ValueError):
        raise refusal(Reason.DAMAGED, name, "the JPEG 2000 decoder finds invalid data") from None
    size = 1 if stream.precision <= 8 else 2 if stream.precision <= 16 else 4
    words = _flat(decoded, size, stream, name)
    return words.view(f"i{size}") if stream.signed else words


def _flat(decoded: bytes | bytearray, size: int, stream: Codestream, name: str) -> np.ndarray:
    expected = stream.rows * stream.columns * stream.components * size
    if len(decoded) != expected:
        what = f"the decoder gives {len(decoded):,} bytes where the image has {expected:,}"
        raise refusal(Reason.DAMAGED, name, what)
    return np.frombuffer(decoded, f"<u{size}")

"""Which format a file has, by its first bytes; its name plays no part."""

from __future__ import annotations

import struct

from offclip.images.dicom.part10 import looks_like_dicom
from offclip.images.reasons import Reason

SNIFFED_BYTES = 512
_OURS = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0\x08\0\0\0", "TIFF"),
    (b"MM\0+\0\x08\0\0", "TIFF"),
)
_OTHERS = (
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstandard file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image outside DICOM"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image outside DICOM"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"NRRD000", "an NRRD volume"),
    (b"ObjectType = Image", "a MetaImage volume"),
    (b"\x93NUMPY", "a numpy array"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"8BPS", "a Photoshop image"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
)


def sniff(first_bytes: bytes) -> str | None:
    """The format of a file that can be read, None for any other.

    Args:
        first_bytes: At least the first 512 bytes, or the whole file.

    Example:
        >>> sniff(bytes(128) + b"DICM" + bytes(100)), sniff(b"GIF89a")
        ('DICOM', None)
    """
    # A DICOM file may carry the header of a TIFF in its preamble (PS3.10, 7.1), so this comes first.
    if first_bytes[128:132] == b"DICM":
        return "DICOM"
    for magic, name in _OURS:
        if first_bytes.startswith(magic):
            return name
    if first_bytes[:2] == b"BM" and first_bytes[6:10] == bytes(4) and first_bytes[15:18] == bytes(3):
        return "BMP"
    return "DICOM" if looks_like_dicom(first_bytes) else None


def what_else(first_bytes: bytes) -> tuple[Reason, str]:
    """Reason and words for a file that `sniff` does not know.

    Example:
        >>> what_else(b"%PDF-1.7")
        (<Reason.UNSUPPORTED_FORMAT: 'unsupported-format'>, 'a PDF document')
    """
    for magic, name in _OTHERS:
        if first_bytes.startswith(magic):
            return Reason.UNSUPPORTED_FORMAT, name
    if first_bytes[:4] == b"RIFF" and first_bytes[8:12] == b"WEBP":
        return Reason.UNSUPPORTED_FORMAT, "a WebP image"
    if first_bytes[4:8] == b"ftyp":
        return Reason.UNSUPPORTED_FORMAT, "a HEIF, AVIF or video file"
    if first_bytes[257:262] == b"ustar":
        return Reason.UNSUPPORTED_FORMAT, "a tar archive"
    if first_bytes[344:347] in (b"n+1", b"ni1") and 348 in struct.unpack(
        "<L", first_bytes[:4]
    ) + struct.unpack(">L", first_bytes[:4]):
        return Reason.UNSUPPORTED_FORMAT, "a NIfTI volume"
    return Reason.NOT_AN_IMAGE, _words(first_bytes)


def _words(first_bytes: bytes) -> str:
    start = first_bytes.removeprefix(b"\xef\xbb\xbf").lstrip()[:200].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "not an image but a web page, perhaps the error page of a download"
    if start.startswith((b"<?xml", b"<")):
        return "not an image but XML"
    if not any(first_bytes):
        return "not an image: it begins with zeros"
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in first_bytes):
        return "not an image but text"
    return "not an image"

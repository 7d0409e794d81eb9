"""One small sound file of each codec; where it can, its grey values show every change of a stored value."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from PIL import Image

from dicom_files import UIDS, Stored, dicom_file, file_of, film, pattern, stored

ROWS, COLUMNS = 48, 64
# Half a codestream each; RLE has one fragment a frame.
_FRAGMENTS = {"rle": 1}


@dataclass(frozen=True)
class Specimen:
    """A sound file and where its parts lie.

    Attributes:
        name: Of the codec.
        format: "dicom", "png", "jpeg", "tiff" or "bmp".
        data: The file.
        header: First byte of the header and the byte behind it; then pixels or entropy-coded data follow.
        strict: Whether a check sum stands behind every byte that makes up the image.
        pixels: For DICOM: the pixel element.
        attributes: For DICOM: what its header says beside.
    """

    name: str
    format: str
    data: bytes = field(repr=False)
    header: tuple[int, int]
    strict: bool = False
    pixels: Stored | None = field(default=None, repr=False)
    attributes: dict[str, object] = field(default_factory=dict, repr=False)

    @property
    def stream(self) -> bytes:
        """The codestream: of a DICOM file its only one, else the whole file; empty for native pixels."""
        if self.pixels is None:
            return self.data
        return self.pixels.codestreams[0] if self.pixels.codestreams else b""


def grey_levels() -> np.ndarray:
    """(ROWS, COLUMNS) uint8 from 1 to 254: a smooth film with noise."""
    return film((ROWS, COLUMNS), 8, seed=4).clip(1, 254)


@cache
def specimens() -> dict[str, Specimen]:
    """All codecs by name."""
    found = {name: _dicom(name) for name in UIDS if name != "jpeg-extended"}
    found["jpeg-colour"] = _dicom_colour()
    found |= {f"file-{name}": _raster(name) for name in _RASTER}
    return found


def _dicom(syntax: str) -> Specimen:
    # A window of 256 grey values around the middle of 12 bits: one stored value, one grey value.
    window = {"WindowCenter": 2048, "WindowWidth": 256}
    if syntax == "jpeg":
        values, bits, window = grey_levels(), 8, {"WindowCenter": 128, "WindowWidth": 256}
    elif syntax == "htj2k-lossy":
        values, bits = pattern((24, 20), 16) // 64 * 64, 16
        window = {"WindowCenter": 2**15, "WindowWidth": 2**16}
    elif syntax == "htj2k":
        values, bits = pattern((24, 20), 8), 8
        window = {"WindowCenter": 128, "WindowWidth": 256}
    elif syntax == "htj2k-rpcl":
        values, bits = pattern((24, 20), 12), 12
        window = {"WindowCenter": 2048, "WindowWidth": 4096}
    else:
        values, bits = grey_levels().astype(np.uint16) + 1920, 12
    pixels = stored(values, syntax, bits, fragments=_FRAGMENTS.get(syntax, 2))
    return _specimen(syntax, pixels, window)


def _dicom_colour() -> Specimen:
    pixels = stored(_colour(), "jpeg", 8, photometric="YBR_FULL_422", fragments=2)
    return _specimen("jpeg-colour", pixels, {})


def _colour() -> np.ndarray:
    return np.stack([grey_levels(), grey_levels()[::-1], grey_levels()[:, ::-1]], -1)


def _specimen(name: str, pixels: Stored, attributes: dict[str, object]) -> Specimen:
    data = file_of(pixels, attributes)
    if name == "deflated":
        header_end = data.index(UIDS["deflated"].encode()) + 40  # the data set is one stream
    elif pixels.codestreams:
        header_end = data.index(pixels.codestreams[0][:32]) + stream_header(pixels.codestreams[0])
    else:
        header_end = data.index(pixels.pixel_data)
    # The 128 bytes of the preamble mean nothing.
    return Specimen(name, "dicom", data, (128, header_end), pixels=pixels, attributes=attributes)


def stream_header(stream: bytes) -> int:
    """Where the entropy-coded data of a codestream begin."""
    if stream.startswith(b"\xff\xd8"):
        scan = stream.index(b"\xff\xda")
        return scan + 2 + int.from_bytes(stream[scan + 2 : scan + 4], "big")
    if stream.startswith(b"\xff\x4f"):
        return stream.index(b"\xff\x93") + 2
    return 64  # RLE


_RASTER = {
    "png": ("png", "PNG", {}),
    "png-16": ("png", "PNG", {}),
    "png-colour": ("png", "PNG", {}),
    "jpeg": ("jpeg", "JPEG", {"quality": 95}),
    "jpeg-colour": ("jpeg", "JPEG", {"quality": 95}),
    "jpeg-progressive": ("jpeg", "JPEG", {"quality": 95, "progressive": True}),
    "jpeg-restart": ("jpeg", "JPEG", {"quality": 95, "restart_marker_rows": 1}),
    "tiff": ("tiff", "TIFF", {}),
    "tiff-lzw": ("tiff", "TIFF", {"compression": "tiff_lzw"}),
    "tiff-deflate": ("tiff", "TIFF", {"compression": "tiff_adobe_deflate"}),
    "bmp": ("bmp", "BMP", {}),
}


def _raster(name: str) -> Specimen:
    kind, encoder, options = _RASTER[name]
    pixels = grey_levels()
    if "colour" in name:
        pixels = _colour()
    elif name == "png-16":
        pixels = pixels.astype(np.uint16) * 257  # full range: 257 stored values are one grey value
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, encoder, **options)
    data = file.getvalue()
    return Specimen(f"file-{name}", kind, data, _header(data, kind), strict=kind == "png")


def _header(data: bytes, kind: str) -> tuple[int, int]:
    if kind == "png":
        return 0, data.index(b"IDAT") + 4
    if kind == "jpeg":
        return 0, stream_header(data)
    if kind == "bmp":
        return 0, int.from_bytes(data[10:14], "little")
    directory = int.from_bytes(data[4:8], "little")  # of a TIFF; libtiff writes it behind the pixels
    return directory, directory + 2 + 12 * int.from_bytes(data[directory : directory + 2], "little")


__all__ = ["COLUMNS", "ROWS", "Specimen", "dicom_file", "grey_levels", "specimens", "stream_header"]

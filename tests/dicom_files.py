"""DICOM files in every transfer syntax, written for tests: `dicom_file(pattern((24, 20), 12), "jpeg-ls")`."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from htj2k_samples import SAMPLES
from lossless_jpeg import lossless_jpeg
from offclip.images.dicom.pixel_header import PixelHeader

ROOT = "1.2.840.10008.1.2"
UIDS = {
    "implicit": ROOT,
    "explicit": f"{ROOT}.1",
    "deflated": f"{ROOT}.1.99",
    "big-endian": f"{ROOT}.2",
    "rle": f"{ROOT}.5",
    "jpeg": f"{ROOT}.4.50",
    "jpeg-extended": f"{ROOT}.4.51",
    "jpeg-lossless-57": f"{ROOT}.4.57",
    "jpeg-lossless": f"{ROOT}.4.70",
    "jpeg-ls": f"{ROOT}.4.80",
    "jpeg-ls-near": f"{ROOT}.4.81",
    "jpeg-2000": f"{ROOT}.4.90",
    "jpeg-2000-lossy": f"{ROOT}.4.91",
    "htj2k": f"{ROOT}.4.201",
    "htj2k-rpcl": f"{ROOT}.4.202",
    "htj2k-lossy": f"{ROOT}.4.203",
}
NATIVE = ("implicit", "explicit", "deflated", "big-endian")
LOSSLESS = (
    *NATIVE,
    "rle",
    "jpeg-lossless-57",
    "jpeg-lossless",
    "jpeg-ls",
    "jpeg-2000",
    "htj2k",
    "htj2k-rpcl",
)
HTJ2K = ("htj2k", "htj2k-rpcl", "htj2k-lossy")  # only `pattern((24, 20), ...)` of 8, 12 or 16 bits


@dataclass(frozen=True)
class Stored:
    """The pixel element of a file as `decode_frame` takes it.

    Attributes:
        header: What the DICOM header says.
        pixel_data: The value of the pixel element; where encapsulated, with the sequence delimiter.
        codestreams: One a frame, where encapsulated.
    """

    header: PixelHeader
    pixel_data: bytes
    codestreams: tuple[bytes, ...] = field(default=(), repr=False)


def pattern(shape: tuple[int, ...], bits: int, signed: bool = False) -> np.ndarray:
    """Values over the whole range: (rows, columns) or (rows, columns, 3), different everywhere."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    values = (rows * 131 + columns * 77 + (rows * columns) % 97) % (1 << bits)
    if len(shape) == 3:
        values = np.stack([values, (values * 3 + 7) % (1 << bits), (values[::-1] + 11) % (1 << bits)], -1)
    if signed:
        values = values - (1 << (bits - 1))
    return values.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2 if bits <= 16 else 4}")


def film(shape: tuple[int, int], bits: int, seed: int = 0) -> np.ndarray:
    """A smooth film with noise, as large as wanted; compresses about as a real one does."""
    rows, columns = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    smooth = 0.15 + 0.6 * np.exp(-2 * rows**2 - 3 * columns**2) + 0.1 * np.cos(9 * rows) * np.cos(7 * columns)
    noise = np.random.default_rng(seed).normal(0, 0.002, shape)
    return ((smooth + noise).clip(0, 1) * ((1 << bits) - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


def stored(
    values: np.ndarray,
    syntax: str = "explicit",
    bits: int = 0,
    *,
    frames: int = 1,
    photometric: str = "",
    planar: int = 0,
    fragments: int = 1,
    table: bool = True,
    **codec: Any,
) -> Stored:
    """Encodes stored values.

    Args:
        values: (rows, columns) or (rows, columns, 3); with `frames` above 1, a leading axis of frames.
        syntax: A key of `UIDS`.
        bits: Bits stored; 0 takes all that the type has.
        frames: Length of the leading axis.
        photometric: Empty takes MONOCHROME2 or RGB.
        planar: Planar configuration, for native pixels.
        fragments: Fragments a frame.
        table: Whether a Basic Offset Table is written.
        codec: Of the encoder; see `codestream`.
    """
    stack = values if frames > 1 else values[None]
    samples = 3 if stack.ndim == 4 else 1
    bits = bits or values.itemsize * 8
    header = PixelHeader(
        transfer_syntax=UIDS[syntax],
        rows=stack.shape[1],
        columns=stack.shape[2],
        samples=samples,
        bits_allocated=values.itemsize * 8,
        bits_stored=bits,
        high_bit=bits - 1,
        signed=values.dtype.kind == "i",
        photometric=photometric or ("RGB" if samples == 3 else "MONOCHROME2"),
        planar=planar,
        frames=frames,
    )
    if syntax in NATIVE:
        order = ">" if syntax == "big-endian" else "<"
        raw = np.moveaxis(stack, -1, 1) if planar and samples == 3 else stack
        data = raw.astype(raw.dtype.newbyteorder(order)).tobytes()
        return Stored(header, data + b"\0" * (len(data) % 2))
    codestreams = tuple(codestream(frame, syntax, bits, **codec) for frame in stack)
    return Stored(header, encapsulate(codestreams, fragments, table), codestreams)


def codestream(values: np.ndarray, syntax: str, bits: int, **codec: Any) -> bytes:
    """One frame, encoded. Keywords go to the encoder: `predictor`, `quality`, `near`, `ratio`, ..."""
    samples = 3 if values.ndim == 3 else 1
    signed = values.dtype.kind == "i"
    rows, columns = values.shape[:2]
    raw = np.ascontiguousarray(values).tobytes()
    if syntax == "rle":
        return rle(values)
    if syntax in ("jpeg", "jpeg-extended"):
        file = io.BytesIO()
        Image.fromarray(values).save(file, "JPEG", quality=codec.pop("quality", 95), **codec)
        return file.getvalue()
    if syntax in ("jpeg-lossless", "jpeg-lossless-57"):
        return lossless_jpeg(values, codec.pop("precision", bits), **codec)
    if syntax in ("jpeg-ls", "jpeg-ls-near"):
        from jpeg_ls import encode_buffer

        masked = (values.view(f"u{values.itemsize}") & ((1 << bits) - 1)).astype(f"u{values.itemsize}")
        mode = codec.pop("interleave", 2) if samples == 3 else 0
        if samples == 3 and mode == 0:
            masked = np.moveaxis(masked, -1, 0)
        near = codec.pop("near", 2 if syntax == "jpeg-ls-near" else 0)
        source = np.ascontiguousarray(masked).tobytes()
        precision = codec.pop("precision", bits)
        return bytes(encode_buffer(source, rows, columns, samples, precision, near, mode))
    if syntax in ("jpeg-2000", "jpeg-2000-lossy"):
        from openjpeg.utils import encode_buffer as encode_jpeg2000

        if syntax == "jpeg-2000-lossy":
            codec.setdefault("compression_ratios", [codec.pop("ratio", 4)])
        codec.setdefault("photometric_interpretation", 1 if samples == 3 else 0)
        return bytes(encode_jpeg2000(raw, columns, rows, samples, bits, signed, **codec))
    return _htj2k(values, bits, lossy=syntax == "htj2k-lossy")


def _htj2k(values: np.ndarray, bits: int, lossy: bool) -> bytes:
    kind = ("rgb" if values.dtype.kind == "u" else "signed rgb") if values.ndim == 3 else values.dtype.kind
    lossy_values = pattern((24, 20), 16) // 64 * 64
    expected = lossy_values if lossy else pattern(values.shape, bits, values.dtype.kind == "i")
    key = "u16 lossy" if lossy else f"{kind}{bits}"
    if values.shape[:2] != (24, 20) or key not in SAMPLES or not np.array_equal(values, expected):
        raise ValueError("HTJ2K is there for some patterns only, see htj2k_samples.py")
    return SAMPLES[key]


def rle(values: np.ndarray) -> bytes:
    """One frame as RLE Lossless by pydicom's encoder."""
    from pydicom.pixels.encoders.base import EncodeRunner
    from pydicom.pixels.encoders.native import _encode_frame
    from pydicom.uid import RLELossless

    runner = EncodeRunner(RLELossless)
    size = values.itemsize * 8
    runner.set_options(
        rows=values.shape[0],
        columns=values.shape[1],
        samples_per_pixel=3 if values.ndim == 3 else 1,
        bits_allocated=size,
        bits_stored=size,
        planar_configuration=0,
        photometric_interpretation="RGB" if values.ndim == 3 else "MONOCHROME2",
        pixel_representation=int(values.dtype.kind == "i"),
        number_of_frames=1,
    )
    return bytes(_encode_frame(np.ascontiguousarray(values).tobytes(), runner))


def encapsulate(
    codestreams: tuple[bytes, ...] | list[bytes], fragments: int = 1, table: bool = True
) -> bytes:
    """Items with a Basic Offset Table and the sequence delimiter."""
    items: list[bytes] = []
    offsets: list[int] = []
    for data in codestreams:
        offsets.append(sum(map(len, items)))
        data += b"\0" * (len(data) % 2)
        step = (-(-len(data) // fragments) + 1) // 2 * 2
        items += [item(data[i : i + step]) for i in range(0, max(len(data), 1), max(step, 2))]
    listed = struct.pack(f"<{len(offsets)}I", *offsets) if table else b""
    return item(listed) + b"".join(items) + DELIMITER


DELIMITER = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def item(data: bytes) -> bytes:
    """An item of a sequence."""
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(data)) + data


def dicom_file(values: np.ndarray, syntax: str = "explicit", bits: int = 0, **options: Any) -> bytes:
    """A whole file; `attributes` maps keywords to values of its header, the rest is as for `stored`."""
    attributes = options.pop("attributes", {})
    return file_of(stored(values, syntax, bits, **options), attributes)


def file_of(pixels: Stored, attributes: dict[str, Any] | None = None) -> bytes:
    """The file of a pixel element; attributes override what the pixel header says, None leaves one out."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset, write_file_meta_info
    from pydicom.uid import UID

    header = pixels.header
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3.4"
    dataset.Modality = "DX"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = header.samples, header.photometric
    if header.samples == 3:
        dataset.PlanarConfiguration = header.planar
    if header.frames > 1:
        dataset.NumberOfFrames = header.frames
    dataset.Rows, dataset.Columns = header.rows, header.columns
    dataset.BitsAllocated, dataset.BitsStored = header.bits_allocated, header.bits_stored
    dataset.HighBit, dataset.PixelRepresentation = header.high_bit, int(header.signed)
    for keyword, value in (attributes or {}).items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(header.transfer_syntax)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        dataset.SOPClassUID,
        dataset.SOPInstanceUID,
    )
    meta.FileMetaInformationVersion = b"\0\1"
    meta.ImplementationClassUID = "1.2.3.5"
    implicit, big = header.transfer_syntax == UIDS["implicit"], header.transfer_syntax == UIDS["big-endian"]
    body = DicomBytesIO()
    body.is_implicit_VR, body.is_little_endian = implicit, not big
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_dataset(body, dataset)
        head = DicomBytesIO()
        head.is_implicit_VR, head.is_little_endian = False, True
        head.write(bytes(128) + b"DICM")
        write_file_meta_info(head, meta)
    data = body.getvalue() + _pixel_element(pixels, implicit, big)
    if header.transfer_syntax == UIDS["deflated"]:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = packer.compress(data) + packer.flush()
    return (
        head.getvalue()
        + data
        + (b"\0" * (len(data) % 2) if header.transfer_syntax == UIDS["deflated"] else b"")
    )


def _pixel_element(pixels: Stored, implicit: bool, big: bool) -> bytes:
    encapsulated = bool(pixels.codestreams)
    length = 0xFFFFFFFF if encapsulated else len(pixels.pixel_data)
    vr = b"OB" if encapsulated or pixels.header.bits_allocated <= 8 else b"OW"
    order = ">" if big else "<"
    tag = struct.pack(f"{order}HH", 0x7FE0, 0x0010)
    middle = b"" if implicit else vr + b"\0\0"
    return tag + middle + struct.pack(f"{order}I", length) + pixels.pixel_data

"""X-ray-like films for read_images.py, and their files in every format and transfer syntax."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, generate_uid

from offclip.data.phantom import phantom_case
from offclip.images.dicom.syntaxes import SYNTAXES

EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
_DX = "1.2.840.10008.5.1.4.1.1.1.1"
_TOP = 4095  # of 12 bits
_NOISE = 10.0  # standard deviation in 12-bit grey values, about that of a detector
_LARGEST_PHANTOM = 1024


class NoEncoderError(Exception):
    """Nothing that is installed writes this transfer syntax."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of file.

    Attributes:
        name: For the table.
        suffix: Of the file name.
        write: Writes 12-bit stored values to a path.
    """

    name: str
    suffix: str
    write: Callable[[np.ndarray, Path], None]


def film(shape: tuple[int, int], number: int = 0) -> np.ndarray:
    """12-bit stored values of a chest: the phantom, drawn large, with the noise of a detector.

    Example:
        >>> stored = film((40, 32))
        >>> stored.shape, stored.dtype.name, bool(stored.max() > 1000)
        ((40, 32), 'uint16', True)
    """
    size = min(_LARGEST_PHANTOM, max(32, *shape))
    chest = phantom_case(seed=0, index=number, size=size).image.astype(np.float32)
    chest = cv2.resize(chest, shape[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 255)
    noise = np.random.default_rng(number).normal(0, _NOISE, shape).astype(np.float32)
    return (200 + chest * (3600 / 255) + noise).clip(0, _TOP).astype(np.uint16)


def eight_bit(stored: np.ndarray) -> np.ndarray:
    """The upper eight of twelve bits."""
    return (stored >> 4).astype(np.uint8)


def raster_kinds() -> list[Kind]:
    """PNG with 8 and with 16 bits, and JPEG, written by OpenCV."""
    return [
        Kind("PNG, 8 bits", "8.png", lambda film, path: _write(path, ".png", eight_bit(film))),
        Kind("PNG, 16 bits", "16.png", lambda film, path: _write(path, ".png", film << 4)),
        Kind("JPEG, 8 bits", "jpg", lambda film, path: _write(path, ".jpg", eight_bit(film))),
    ]


def dicom_kinds() -> list[Kind]:
    """Every transfer syntax that is read; 12 bits stored where the syntax can, else 8."""
    return [_dicom_kind(uid) for uid in SYNTAXES]


def write_dicom(stored: np.ndarray, path: Path, uid: str = EXPLICIT) -> None:
    """Writes a DICOM file.

    Raises:
        NoEncoderError: Nothing that is installed writes this transfer syntax.
    """
    codec = SYNTAXES[uid].codec
    if codec == "jpeg":
        stored = eight_bit(stored)
    dataset = _dataset(stored, bits=8 if codec == "jpeg" else 12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom advises against some of these syntaxes
        if codec == "jpeg-lossless":
            _save(dataset, path, EXPLICIT)
            _change_by_gdcm(path, uid)
        elif codec == "native":
            _save(dataset, path, uid)
        elif codec in _ENCODERS:
            dataset.PixelData = encapsulate([_ENCODERS[codec](stored, uid)])
            _save(dataset, path, uid)
        else:  # RLE and JPEG-LS
            near = 2 if uid.endswith(".81") else None
            dataset.compress(UID(uid), generate_instance_uid=False, jls_error=near)
            _save(dataset, path, uid)


def _dicom_kind(uid: str) -> Kind:
    syntax = SYNTAXES[uid]
    bits = 8 if syntax.codec == "jpeg" else 12
    return Kind(
        f"{syntax.name}, {bits} bits",
        f"{uid.removeprefix('1.2.840.10008.')}.dcm",
        lambda film, path: write_dicom(film, path, uid),
    )


def _dataset(stored: np.ndarray, bits: int) -> Dataset:
    """A header as a detector writes it, shortened; nobody's name is in it."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    dataset.SOPClassUID, dataset.SOPInstanceUID = UID(_DX), generate_uid(entropy_srcs=["read_images"])
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    dataset.Modality, dataset.ImageType = "DX", ["ORIGINAL", "PRIMARY"]
    dataset.PatientID, dataset.PatientSex, dataset.PatientAge = "phantom", "O", "050Y"
    dataset.StudyDescription, dataset.SeriesDescription = "CHEST", "PA"
    dataset.BodyPartExamined, dataset.ViewPosition, dataset.KVP = "CHEST", "PA", "120"
    dataset.ImagerPixelSpacing, dataset.BurnedInAnnotation = [0.14, 0.14], "NO"
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.PresentationLUTShape = "1", "0", "IDENTITY"
    top = 2**bits
    dataset.WindowCenter, dataset.WindowWidth = f"{top // 2}", f"{top * 3 // 4}"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = 8 * stored.itemsize
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, 0
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OB" if stored.itemsize == 1 else "OW"
    return dataset


def _save(dataset: Dataset, path: Path, uid: str) -> None:
    dataset.file_meta.TransferSyntaxUID = UID(uid)
    if uid == BIG_ENDIAN:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    if SYNTAXES[uid].codec != "native":
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)


def _write(path: Path, suffix: str, pixels: np.ndarray) -> None:
    done, data = cv2.imencode(suffix, pixels)
    if not done:
        raise NoEncoderError(suffix)
    path.write_bytes(data.tobytes())


def _jpeg(pixels: np.ndarray, _: str) -> bytes:
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def _jpeg2000(stored: np.ndarray, uid: str) -> bytes:
    from openjpeg.utils import encode_array

    return bytes(
        encode_array(stored, bits_stored=12, compression_ratios=[10] if uid.endswith(".91") else None)
    )


def _htj2k(stored: np.ndarray, uid: str) -> bytes:
    """By imagecodecs (OpenJPH), where it is installed; offclip does not need it."""
    try:
        from imagecodecs import htj2k_encode  # type: ignore[reportMissingImports]
    except ImportError:
        raise NoEncoderError("imagecodecs, which would write it, is not installed") from None
    return bytes(htj2k_encode(stored, reversible=not uid.endswith(".203")))


def _change_by_gdcm(path: Path, uid: str) -> None:
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise NoEncoderError("GDCM cannot read what pydicom wrote")
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(uid)))
    change.SetInput(reader.GetImage())
    if not change.Change():
        raise NoEncoderError("GDCM does not write it")
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    if not writer.Write():
        raise NoEncoderError("GDCM does not write it")


_ENCODERS: dict[str, Callable[[np.ndarray, str], bytes]] = {
    "jpeg": _jpeg,
    "jpeg-2000": _jpeg2000,
    "htj2k": _htj2k,
}

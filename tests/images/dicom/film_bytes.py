"""Small DICOM files for the tests, built with pydicom."""

from __future__ import annotations

import io
import warnings

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DX = "1.2.840.10008.5.1.4.1.1.1.1"


def dataset_of(stored: np.ndarray, bits: int = 12, syntax: str = EXPLICIT, **attributes) -> Dataset:
    """A film with the stored values as native pixels: (H, W), or (H, W, 3) for colour."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = DX, "1.2.3.4"
    dataset.Modality, dataset.PatientName, dataset.PatientID = "DX", "Secret^Patient", "hidden-17"
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel = 3 if stored.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if stored.ndim == 3 else "MONOCHROME2"
    if stored.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = 8 * stored.itemsize
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    if stored.itemsize == 4:
        stored = stored.astype("<i4" if stored.dtype.kind == "i" else "<u4")
    raw = stored.astype(stored.dtype.newbyteorder(">" if syntax == BIG_ENDIAN else "<")).tobytes()
    dataset.add_new(0x7FE00010, "OB" if stored.itemsize == 1 else "OW", raw + b"\0" * (len(raw) % 2))
    for keyword, value in attributes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    return dataset


def file_of(dataset: Dataset, syntax: str = EXPLICIT) -> bytes:
    """The file of a data set."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", DX)
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def film_of(stored: np.ndarray, bits: int = 12, syntax: str = EXPLICIT, **attributes) -> bytes:
    """`file_of(dataset_of(...))`."""
    return file_of(dataset_of(stored, bits, syntax, **attributes), syntax)


def lookup_item(
    entries: list[int], first: int, bits: int, data_vr: str = "US", signed: bool = False
) -> Dataset:
    """An item of a Modality or VOI LUT Sequence."""
    item = Dataset()
    item.add_new(0x00283002, "SS" if signed else "US", [len(entries) % 65536, first, bits])
    words = entries if data_vr == "US" else np.array(entries, "<u2").tobytes()
    item.add_new(0x00283006, data_vr, words)
    return item


def gradient(
    bits: int = 12, signed: bool = False, shape: tuple[int, int] = (24, 31), seed: int = 0
) -> np.ndarray:
    """Stored values over the whole range of the bits."""
    least = -(2 ** (bits - 1)) if signed else 0
    kind = f"{'i' if signed else 'u'}{1 if bits <= 8 else 2 if bits <= 16 else 4}"
    values = np.random.default_rng(seed).integers(least, least + 2**bits, shape)
    values.flat[:2] = least, least + 2**bits - 1
    return values.astype(kind)

"""What reading a file gives: pixels, geometry and metadata; and how it is to be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from offclip.images.limits import DEFAULT_LIMITS, Limits

GreyPolicy = Literal["standard", "percentile", "full-range", "carzero"]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How a file becomes 8-bit grey.

    Attributes:
        policy: How grey values are scaled. `"standard"`: DICOM's own order with the window or VOI LUT of the
            header, robust percentiles where it has none. `"percentile"`: robust percentiles always.
            `"full-range"`: all that the stored bits can hold. `"carzero"`: as CARZero and OFF-CLIP do it, no
            window and no inversion, for parity with their numbers.
        window: Which window of several: its number from 0, or `"widest"`.
        modalities: DICOM modalities that are taken; an empty tuple takes all.
        frame: Frame of a multi-frame file, from 0; None refuses such a file.
        burned_in: What to do with a film whose header says that annotations are burned in.
        limits: What the file may cost.
    """

    policy: GreyPolicy = "standard"
    window: int | Literal["widest"] = 0
    modalities: tuple[str, ...] = ("CR", "DX")
    frame: int | None = None
    burned_in: Literal["keep", "refuse"] = "keep"
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class PixelGrid:
    """How the pixels lie on the film.

    Attributes:
        height: Rows.
        width: Columns.
        aspect: Height of a pixel divided by its width; 1 for square pixels.
        spacing_mm: Millimetres from row to row and from column to column, None where the file does not say.
            At the detector for most films: a length in the patient is shorter.
    """

    height: int
    width: int
    aspect: float = 1.0
    spacing_mm: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who and what a DICOM file belongs to. Not part of any printed form of a film.

    Attributes:
        patient_id, study_uid, series_uid, instance_uid: As in the header, empty where it has none.
        age_years: From PatientAge, None where the header has none.
        sex: `"F"`, `"M"`, `"O"` or empty.
    """

    patient_id: str = field(default="", repr=False)
    study_uid: str = field(default="", repr=False)
    series_uid: str = field(default="", repr=False)
    instance_uid: str = field(default="", repr=False)
    age_years: float | None = field(default=None, repr=False)
    sex: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class FilmMetadata:
    """What a file says about its image.

    Attributes:
        format: `"DICOM"`, `"PNG"`, `"JPEG"`, `"TIFF"`, `"BMP"` or `"JSRT"`.
        bits: Bits of a stored grey value.
        grey: Where the scale of the grey values comes from, such as `"window 1 of 2"` or `"percentile"`.
        inverted: Whether the grey values were turned over for display.
        view: One of `offclip.images.views.VIEWS`.
        view_source: Which attribute told the view, empty when none did.
        modality: DICOM modality, empty for other formats.
        photometric: Photometric interpretation of DICOM, or the mode of the other formats.
        transfer_syntax: UID, empty for other formats.
        frames: Frames in the file.
        burned_in: Whether annotations are burned in; None where the file does not say.
        identity: Of a DICOM file.
        notes: What a careful reader should know, such as a window that was ignored because it is broken.
    """

    format: str
    bits: int = 8
    grey: str = "8-bit"
    inverted: bool = False
    view: str = "unknown"
    view_source: str = ""
    modality: str = ""
    photometric: str = ""
    transfer_syntax: str = ""
    frames: int = 1
    burned_in: bool | None = None
    identity: Identity | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Film:
    """An image as a model or a viewer takes it.

    Attributes:
        pixels: (H, W) uint8, bone white.
        grid: How the pixels lie on the film.
        metadata: What the file says.
    """

    pixels: np.ndarray
    grid: PixelGrid
    metadata: FilmMetadata

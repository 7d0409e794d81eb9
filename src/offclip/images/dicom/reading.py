"""A DICOM file as a film: header, checks, pixels, grey values, in this order."""

from __future__ import annotations

import numpy as np

from offclip.images.dicom.attributes import Attributes
from offclip.images.dicom.colour import colour_to_grey, palette_to_grey
from offclip.images.dicom.grey import Grey, to_grey
from offclip.images.dicom.grid import grid_of
from offclip.images.dicom.header import DicomFile, parse
from offclip.images.dicom.identity import identity_of
from offclip.images.dicom.view import view_of_header
from offclip.images.film import Film, FilmMetadata, ReadOptions
from offclip.images.reasons import Reason, refusal

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def read_dicom(data: bytes | memoryview, options: ReadOptions = ReadOptions(), name: str = "") -> Film:
    """Reads a DICOM file.

    Args:
        data: The whole file.
        options: What is taken and how it becomes grey.
        name: The file, for messages.

    Raises:
        ImageError: The file is refused, with one of `offclip.images.reasons.Reason`.
    """
    from offclip.images.dicom.decode import decode_frame

    file = parse(data, options.limits, name)
    modality = _modality(file.attributes, options, name)
    burned_in = _burned_in(file.attributes, options, name)
    frame = _frame(file, options, name)
    notes = list(file.notes)
    # All that can refuse the file by its header comes before the costly part.
    grid = grid_of(file.attributes, file.pixels, notes)
    view = view_of_header(file.attributes)
    stored = decode_frame(file.pixels, file.pixel_data, frame, name, file.offsets)
    grey = _grey(stored, file, options, frame)
    metadata = FilmMetadata(
        format="DICOM",
        bits=file.pixels.bits_stored,
        grey=grey.description,
        inverted=grey.inverted,
        view=view.name,
        view_source=view.source,
        modality=modality,
        photometric=file.pixels.photometric,
        transfer_syntax=file.pixels.transfer_syntax,
        frames=file.pixels.frames,
        burned_in=burned_in,
        identity=identity_of(file.attributes),
        notes=(*notes, *view.notes, *grey.notes),
    )
    return Film(grey.pixels, grid, metadata)


def _grey(stored: np.ndarray, file: DicomFile, options: ReadOptions, frame: int) -> Grey:
    if file.pixels.samples == 3:
        return colour_to_grey(stored, file.pixels, file.attributes.name)
    if file.pixels.photometric == "PALETTE COLOR":
        return palette_to_grey(stored, file.attributes, file.pixels)
    return to_grey(stored, file.attributes, file.pixels, options, frame)


def _modality(attributes: Attributes, options: ReadOptions, name: str) -> str:
    modality = attributes.text("Modality").upper()[:16]
    if not options.modalities or modality in options.modalities:
        return modality
    # Secondary capture is a class of files, whose modality may be that of the film or "other".
    if "SC" in options.modalities and attributes.text("SOPClassUID").startswith(_SECONDARY_CAPTURE):
        return modality
    taken = ", ".join(options.modalities)
    if not modality:
        raise refusal(Reason.WRONG_MODALITY, name, f"the header names no modality; {taken} are taken")
    raise refusal(Reason.WRONG_MODALITY, name, f"its modality is {modality!r}; {taken} are taken")


def _burned_in(attributes: Attributes, options: ReadOptions, name: str) -> bool | None:
    flag = {"YES": True, "NO": False}.get(attributes.text("BurnedInAnnotation").upper())
    if flag and options.burned_in == "refuse":
        raise refusal(Reason.BURNED_IN, name, "the header says that annotations are burned into the pixels")
    return flag


def _frame(file: DicomFile, options: ReadOptions, name: str) -> int:
    frames = file.pixels.frames
    if options.frame is None:
        if frames > 1:
            raise refusal(Reason.MULTI_FRAME, name, f"the file holds {frames} frames")
        return 0
    if not 0 <= options.frame < frames:
        raise refusal(
            Reason.NO_SUCH_FRAME, name, f"there is no frame {options.frame} of {frames}, counted from 0"
        )
    return options.frame

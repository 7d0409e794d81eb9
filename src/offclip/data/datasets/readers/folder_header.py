"""Whose film a DICOM file is, from the beginning of the file: no pixel is read."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

from offclip.errors import ImageError
from offclip.images.dicom.attributes import Attributes
from offclip.images.dicom.identity import identity_of
from offclip.images.dicom.part10 import DEFLATED, open_part10
from offclip.images.dicom.quiet import PYDICOM_ERRORS, quiet
from offclip.images.dicom.view import view_of_header
from offclip.images.film import Identity
from offclip.images.limits import DEFAULT_LIMITS
from offclip.images.reasons import Reason, refusal

_HEAD = 256 * 2**10  # most headers are far shorter
_AFTER_VIEW = 0x00550000  # ids stand in group 0020, the last of what tells the view in 0054


@dataclass(frozen=True, slots=True)
class FilmHeader:
    """What a header says about whose film it is and how it was taken.

    Attributes:
        identity: Patient and study; stays out of printed forms.
        view: One of `offclip.images.views.VIEWS`.
        modality: Such as `"DX"`.
    """

    identity: Identity = field(default_factory=Identity)
    view: str = "unknown"
    modality: str = ""


def film_header(path: Path) -> FilmHeader:
    """Reads the header of a DICOM file without its pixels.

    Raises:
        ImageError: The file cannot be opened, is no DICOM file, or pydicom is not installed.
    """
    attributes = _attributes(path)
    return FilmHeader(
        identity_of(attributes), view_of_header(attributes).name, attributes.text("Modality").upper()
    )


def _attributes(path: Path) -> Attributes:
    name = str(path)
    try:
        size = path.stat().st_size
        if size > DEFAULT_LIMITS.max_file_bytes:
            raise refusal(Reason.FILE_TOO_LARGE, name, f"{size:,} bytes")
        with path.open("rb") as file:
            head = file.read(_HEAD)
            try:
                attributes, complete = _parsed(head, name)
            except ImageError:
                # The beginning of a deflated file, or of one with a long first part, is no file.
                complete = size <= _HEAD
                if complete:
                    raise
                attributes = None
            if attributes is None or not complete:
                attributes, _ = _parsed(head + file.read(), name)
    except FileNotFoundError:
        raise refusal(Reason.MISSING, name, "the file does not exist") from None
    except OSError as error:
        raise refusal(Reason.NOT_A_FILE, name, f"cannot be read ({error.strerror or error})") from error
    return attributes


def _parsed(data: bytes, name: str) -> tuple[Attributes, bool]:
    """The header, and whether it was there as far as it is needed."""
    part10 = open_part10(data, DEFAULT_LIMITS, name)
    try:
        from pydicom.filereader import read_dataset
    except ImportError:
        raise refusal(Reason.DECODER_NOT_INSTALLED, name, "DICOM headers are read by pydicom") from None
    source = io.BytesIO(part10.body)
    source.seek(part10.start)
    stopped = False

    def after_view(tag: int, _vr: str | None, _length: int) -> bool:
        nonlocal stopped
        stopped = tag >= _AFTER_VIEW
        return stopped

    try:
        with quiet():
            dataset = read_dataset(source, part10.implicit, part10.little_endian, stop_when=after_view)
    except PYDICOM_ERRORS:
        raise refusal(Reason.DAMAGED, name, "the header is damaged or cut off") from None
    complete = stopped or part10.transfer_syntax == DEFLATED
    return Attributes(dataset, name, part10.little_endian), complete

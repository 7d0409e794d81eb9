"""The grey pixels of a JPEG file, and what libjpeg has to say about them.

libjpeg fills the pixels of a scan that ends early, leaves aside what a scan holds beyond the image, and goes
on behind a code that does not exist. In each case it says so, on standard error and nowhere else.
"""

from __future__ import annotations

import cv2
import numpy as np

from offclip.images.dicom.native_messages import native_messages
from offclip.images.formats.header import RasterHeader
from offclip.images.reasons import Reason, refusal

_COMPLAINTS = (
    "corrupt jpeg",
    "premature end",
    "inconsistent progression",
    "invalid sos",
    "bogus",
    "invalid jpeg",
)


def jpeg_grey(header: RasterHeader, name: str) -> np.ndarray:
    """The grey channel or the Y channel, (H, W) uint8.

    Args:
        header: Of a JPEG file whose structure is sound.
        name: The file, for messages.

    Raises:
        ImageError: `truncated`, `contradictory` or `damaged`: libjpeg complains about the entropy-coded data.
            `too-much-memory`.
    """
    return _decoded(header, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION, name)


def check_scans(header: RasterHeader, name: str) -> None:
    """Refuses a file about whose scans libjpeg complains, for the sake of another decoder that does not tell.

    Raises:
        ImageError: As `jpeg_grey`.
    """
    _decoded(header, cv2.IMREAD_REDUCED_GRAYSCALE_8, name)


def _decoded(header: RasterHeader, flags: int, name: str) -> np.ndarray:
    try:
        with native_messages(*_COMPLAINTS) as lines:
            pixels = cv2.imdecode(np.frombuffer(header.decodable, np.uint8), flags)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise refusal(Reason.TOO_MUCH_MEMORY, name, "the memory does not suffice") from error
        raise refusal(Reason.DAMAGED, name, "the JPEG decoder gives up") from error
    for line in lines:
        _refuse_by(line.lower(), name)
    if pixels is None:
        raise refusal(Reason.DAMAGED, name, "the JPEG decoder gives up")
    return pixels


def _refuse_by(line: str, name: str) -> None:
    if "extraneous bytes" in line:
        raise refusal(Reason.CONTRADICTORY, name, "a scan of the JPEG holds more than its header says")
    if "premature end" in line:
        raise refusal(Reason.TRUNCATED, name, "a scan of the JPEG ends early")
    raise refusal(Reason.DAMAGED, name, "the entropy-coded data of the JPEG are corrupt")

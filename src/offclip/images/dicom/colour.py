"""Colour and palette files as grey: the luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B."""

from __future__ import annotations

import cv2
import numpy as np

from offclip.images.dicom.attributes import Attributes
from offclip.images.dicom.grey import Grey
from offclip.images.dicom.lookup import read_lookup
from offclip.images.dicom.pixel_header import PixelHeader
from offclip.images.dicom.table import domain_of, look_up
from offclip.images.reasons import Reason, refusal

_WEIGHTS = np.array([0.299, 0.587, 0.114])
_COLOURS = ("Red", "Green", "Blue")


def colour_to_grey(stored: np.ndarray, header: PixelHeader, name: str) -> Grey:
    """The luma of a colour frame, rounded as OpenCV does it, so that it equals a PNG of the same pixels.

    Args:
        stored: (H, W, 3) RGB integers, as `decode_frame` gives them.
        header: Pixel header of the file.
        name: The file, for messages.

    Raises:
        ImageError: Signed colours, or colours of more than 16 bits (`unsupported-pixels`).
    """
    if header.signed or header.bits_allocated > 16:
        raise refusal(Reason.UNSUPPORTED_PIXELS, name, "signed colours or colours of more than 16 bits")
    luma = cv2.cvtColor(np.ascontiguousarray(stored), cv2.COLOR_RGB2GRAY)
    if header.bits_stored == 8:
        return Grey(luma, "luma")
    domain = domain_of(header.bits_stored, signed=False)
    return Grey(look_up(luma, domain, _eight_bit(domain / domain[-1])), "luma")


def palette_to_grey(stored: np.ndarray, attributes: Attributes, header: PixelHeader) -> Grey:
    """The luma of a palette frame (PS3.3 C.7.9).

    Args:
        stored: (H, W) integers.
        attributes: The header, with the palette.
        header: Pixel header of the file.

    Raises:
        ImageError: A segmented palette or more than 16 bits (`unsupported-pixels`), a broken one (`damaged`).
    """
    name = attributes.name
    if "SegmentedRedPaletteColorLookupTableData" in attributes or stored.itemsize > 2:
        raise refusal(
            Reason.UNSUPPORTED_PIXELS, name, "a segmented palette or a palette of more than 16 bits"
        )
    domain = domain_of(header.bits_stored, header.signed)
    luma = np.zeros(len(domain))
    for colour, weight in zip(_COLOURS, _WEIGHTS, strict=True):
        keyword = f"{colour}PaletteColorLookupTable"
        table = read_lookup(attributes, f"{keyword}Descriptor", f"{keyword}Data", signed=header.signed)
        if isinstance(table, str):
            raise refusal(Reason.DAMAGED, name, f"the palette is broken: {table}")
        luma += weight * table.apply(domain) / table.top
    return Grey(look_up(stored, domain, _eight_bit(luma)), "luma of a palette")


def _eight_bit(shown: np.ndarray) -> np.ndarray:
    return np.floor(shown.clip(0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)

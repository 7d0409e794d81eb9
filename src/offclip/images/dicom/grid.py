"""Size and shape of the pixels of a film, as the header gives them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from offclip.errors import ImageError
from offclip.images.dicom.attributes import Attributes
from offclip.images.dicom.pixel_header import PixelHeader
from offclip.images.film import PixelGrid

_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_FLATTEST = 10.0  # a pixel that is longer one way than this many times the other way is a mistake


def grid_of(attributes: Attributes, header: PixelHeader, notes: list[str]) -> PixelGrid:
    """The pixel grid of a film.

    Args:
        attributes: The header.
        header: Its pixel header.
        notes: Takes what was ignored.
    """
    ratio = _pair(attributes, "PixelAspectRatio", notes)
    spacing = None
    for keyword in _SPACINGS:
        spacing = spacing or _pair(attributes, keyword, notes)
    aspect = 1.0 if spacing is None else spacing[0] / spacing[1]
    if ratio is not None:
        told = ratio[0] / ratio[1]
        if spacing is not None and abs(told / aspect - 1) > 0.01:
            notes.append("PixelAspectRatio and the pixel spacing contradict each other; the ratio is taken.")
        aspect = told
    return PixelGrid(header.rows, header.columns, aspect, spacing)


def _pair(attributes: Attributes, keyword: str, notes: list[str]) -> tuple[float, float] | None:
    """Two positive numbers, of the rows and of the columns; None where they are absent or make no sense."""
    try:
        numbers: Sequence[float] = attributes.numbers(keyword)
    except ImageError:
        numbers = (0.0,)
    if not numbers:
        return None
    if len(numbers) == 2 and all(np.isfinite(numbers)) and min(numbers) > 0:
        down, across = numbers
        if 1 / _FLATTEST <= down / across <= _FLATTEST:
            return down, across
    notes.append(f"{keyword} makes no sense and is ignored.")
    return None

"""From stored values to 8-bit grey, bone white, in the order of the standard.

Stored value -> modality LUT or rescale (PS3.3 C.11.1) -> VOI LUT or window, to 0..1 (C.11.2) -> turned over
where low values are shown white (C.7.6.3.1.2, C.8.11.3.1.2) -> padding black -> 8 bits by
`floor(255 * value + 0.5)`. Up to 16 bits this is computed once for every stored value that there can be, in
float64, and looked up for each pixel: the same result as computing it for each pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from offclip.images.dicom.attributes import Attributes
from offclip.images.dicom.lookup import LookupTable
from offclip.images.dicom.pixel_header import PixelHeader
from offclip.images.dicom.table import count_values, domain_of, look_up
from offclip.images.dicom.voi import Rescale, Voi, modality_of, voi_of
from offclip.images.film import ReadOptions

_GreyOf = Callable[[np.ndarray], np.ndarray]  # stored values -> grey values

_LOW, _HIGH = 5, 995  # percentiles 0.5 and 99.5, in thousandths
_SAMPLED_ROWS = 16  # every 16th row shows first whether a window is worth a closer look
_ONE_VALUE = 0.999  # a window that shows more of the pixels as one grey value than this is of no use


@dataclass(frozen=True, slots=True)
class Grey:
    """8-bit pixels and where their scale comes from.

    Attributes:
        pixels: (H, W) uint8.
        description: Such as `"window 1 of 2"`.
        inverted: Whether low stored values are shown white.
        notes: What a careful reader should know.
    """

    pixels: np.ndarray
    description: str
    inverted: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Range:
    """Display values from 0 at `low` to 1 at `high`, in modality values."""

    low: float
    high: float

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Display values from 0 to 1, float64; all 0 where the range is empty."""
        if not self.high > self.low:
            return np.zeros(np.shape(values))
        return ((values - self.low) / (self.high - self.low)).clip(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class GreyScale:
    """The whole way from stored value to grey value.

    Attributes:
        modality: Modality LUT or rescale.
        voi: VOI LUT, window or range.
        inverted: Whether low values are shown white.
        padding: Lowest and highest stored value that mark pixels outside of the film, None for none.
    """

    modality: LookupTable | Rescale
    voi: Voi | Range
    inverted: bool = False
    padding: tuple[int, int] | None = None

    def apply(self, stored: np.ndarray) -> np.ndarray:
        """Grey values of stored values of any shape, uint8.

        Example:
            >>> GreyScale(Rescale(), Range(0, 4095), inverted=True).apply(np.array([0, 2048, 4095])).tolist()
            [255, 127, 0]
        """
        shown = self.voi.apply(self.modality.apply(stored))
        if self.inverted:
            shown = 1.0 - shown
        grey = np.floor(shown * 255.0 + 0.5).astype(np.uint8)
        grey[is_padding(stored, self.padding)] = 0
        return grey


def is_padding(stored: np.ndarray, padding: tuple[int, int] | None) -> np.ndarray:
    """Which stored values are padding."""
    if padding is None:
        return np.zeros(np.shape(stored), bool)
    return (stored >= padding[0]) & (stored <= padding[1])


def to_grey(
    stored: np.ndarray, attributes: Attributes, header: PixelHeader, options: ReadOptions, frame: int = 0
) -> Grey:
    """Scales the stored values of a grey film.

    Args:
        stored: (H, W) integers, as `decode_frame` gives them.
        attributes: The header of the file.
        header: Its pixel header.
        options: Policy and choice of a window.
        frame: Which frame this is, from 0.

    Raises:
        ImageError: The header is damaged where the pixels cannot be understood without it.
    """
    pixels = _Pixels(stored, header)
    if options.policy == "carzero":
        return Grey(pixels.shown_by(_carzero(pixels)), "carzero")
    notes: list[str] = []
    modality = modality_of(attributes, header.signed, frame, notes)
    inverted = _is_inverted(attributes, header, notes)
    padding = _padding(attributes, header)

    def scale(voi: Voi | Range) -> GreyScale:
        return GreyScale(modality, voi, inverted, padding)

    if options.policy == "full-range":
        limits = modality.apply(pixels.extremes())
        top = float(modality.top) if isinstance(modality, LookupTable) else float(limits.max())
        bottom = 0.0 if isinstance(modality, LookupTable) else float(limits.min())
        return Grey(pixels.shown_by(scale(Range(bottom, top)).apply), "full range", inverted, tuple(notes))
    if options.policy == "standard":
        negative = bool(modality.apply(pixels.extremes()).min() < 0)
        voi = voi_of(attributes, options.window, negative, frame, notes)
        if voi is not None:
            if not pixels.mostly_one_value(scale(voi)):
                return Grey(pixels.shown_by(scale(voi).apply), voi.description, inverted, tuple(notes))
            notes.append(f"{voi.description} shows nearly all pixels as one grey value and is ignored.")
    around = pixels.percentiles(scale(Range(0.0, 0.0)))
    if not around.high > around.low:
        notes.append("The film has no contrast.")
    return Grey(pixels.shown_by(scale(around).apply), "percentile", inverted, tuple(notes))


class _Pixels:
    """The stored values of a frame: by table up to 16 bits, one by one above."""

    def __init__(self, stored: np.ndarray, header: PixelHeader) -> None:
        self.stored = stored
        self.domain = domain_of(header.bits_stored, header.signed) if stored.itemsize <= 2 else None
        self._header = header

    def extremes(self) -> np.ndarray:
        """The lowest and the highest value that the stored bits can hold."""
        bits, signed = self._header.bits_stored, self._header.signed
        least = -(2 ** (bits - 1)) if signed else 0
        return np.array([least, least + 2**bits - 1])

    def shown_by(self, grey: _GreyOf) -> np.ndarray:
        """Grey pixels by a function of stored values."""
        if self.domain is None:
            return grey(self.stored)
        return look_up(self.stored, self.domain, grey(self.domain))

    def percentiles(self, scale: GreyScale) -> Range:
        """The modality values at percentiles 0.5 and 99.5 (inverted CDF), padding left out."""
        if self.domain is None:
            values = np.sort(
                scale.modality.apply(self.stored[~is_padding(self.stored, scale.padding)]), axis=None
            )
            if values.size == 0:
                return Range(0.0, 0.0)
            return Range(*(float(values[_rank(values.size, part) - 1]) for part in (_LOW, _HIGH)))
        counts = count_values(self.stored, self.domain)
        counts[is_padding(self.domain, scale.padding)] = 0
        values = scale.modality.apply(self.domain)
        order = np.argsort(values, kind="stable")
        below = np.cumsum(counts[order])
        if below[-1] == 0:
            return Range(0.0, 0.0)
        ranks = [_rank(int(below[-1]), part) for part in (_LOW, _HIGH)]
        return Range(*(float(values[order[np.searchsorted(below, rank)]]) for rank in ranks))

    def mostly_one_value(self, scale: GreyScale) -> bool:
        """Whether a scale shows nearly all pixels of a film that has contrast as one grey value."""
        for rows in (self.stored[::_SAMPLED_ROWS], self.stored):
            if self.domain is None:
                film = rows[~is_padding(rows, scale.padding)]
                counts, grey = np.ones(film.size, np.int64), scale.apply(film)
                different = film.size > 0 and film.min() != film.max()
            else:
                counts = count_values(rows, self.domain)
                counts[is_padding(self.domain, scale.padding)] = 0
                grey, different = scale.apply(self.domain), np.count_nonzero(counts) > 1
            shown = np.bincount(grey, weights=counts)
            if shown.size == 0 or shown.max() <= _ONE_VALUE * counts.sum():
                return False
        return bool(different)


def _rank(count: int, thousandths: int) -> int:
    """Number of the pixel, from 1 and in rising order, at which so many thousandths of them are reached."""
    return max(1, -(-count * thousandths // 1000))


def _carzero(pixels: _Pixels) -> _GreyOf:
    """The scaling of CARZero and OFF-CLIP: negative to 0, divided by the maximum, cut to 8 bits."""
    highest = float(pixels.stored.max())

    def grey(stored: np.ndarray) -> np.ndarray:
        if highest <= 0:
            return np.zeros(np.shape(stored), np.uint8)
        return np.minimum(np.maximum(stored.astype(np.float64), 0.0) / highest * 255.0, 255.0).astype(
            np.uint8
        )

    return grey


def _is_inverted(attributes: Attributes, header: PixelHeader, notes: list[str]) -> bool:
    low_is_white = header.photometric == "MONOCHROME1"
    shape = attributes.text("PresentationLUTShape").upper()
    if shape in ("IDENTITY", "INVERSE") and (shape == "INVERSE") != low_is_white:
        notes.append(
            f"Presentation LUT shape {shape} and {header.photometric} contradict each other; turned over."
        )
        return True
    return low_is_white


def _padding(attributes: Attributes, header: PixelHeader) -> tuple[int, int] | None:
    value = attributes.integer("PixelPaddingValue")
    if value is None:
        return None
    limit = attributes.integer("PixelPaddingRangeLimit")
    ends = sorted(_as_stored(number, header) for number in (value, value if limit is None else limit))
    return ends[0], ends[1]


def _as_stored(number: int, header: PixelHeader) -> int:
    """A 16-bit value of the header, whose VR is US or SS by choice of the writer, as a stored value."""
    if header.bits_allocated > 16:
        return number
    number &= 0xFFFF
    return number - 2**16 if header.signed and number >= 2**15 else number

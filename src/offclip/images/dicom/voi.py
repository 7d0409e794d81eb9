"""Modality and VOI transformations of a header (PS3.3 C.11.1 and C.11.2), as numbers and pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from offclip.errors import ImageError
from offclip.images.dicom.attributes import Attributes
from offclip.images.dicom.lookup import LookupTable, read_lookup
from offclip.images.reasons import Reason, refusal

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


@dataclass(frozen=True, slots=True)
class Rescale:
    """Modality value = slope * stored value + intercept.

    Attributes:
        slope, intercept: Of the header; 1 and 0 where it has none.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Modality values, float64."""
        return np.asarray(values, np.float64) * self.slope + self.intercept


@dataclass(frozen=True, slots=True)
class Window:
    """A window of grey values.

    Attributes:
        center, width: In modality values.
        function: `"LINEAR"` (C.11.2.1.2.1), `"LINEAR_EXACT"` (C.11.2.1.3.2) or `"SIGMOID"` (C.11.2.1.3.1).
    """

    center: float
    width: float
    function: str = "LINEAR"

    @property
    def broken(self) -> bool:
        """Whether the standard gives no meaning to it."""
        least = 1.0 if self.function == "LINEAR" else np.nextafter(0.0, 1.0)
        return not (np.isfinite(self.center) and np.isfinite(self.width) and self.width >= least)

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Display values from 0 to 1, float64.

        Example:
            >>> Window(center=2048, width=4096).apply(np.array([0, 4095])).tolist()
            [0.0, 1.0]
            >>> Window(center=50, width=100, function="LINEAR_EXACT").apply(np.array([-9, 25, 100])).tolist()
            [0.0, 0.25, 1.0]
        """
        values = np.asarray(values, np.float64)
        if self.function == "SIGMOID":
            with np.errstate(over="ignore"):
                return 1.0 / (1.0 + np.exp(-4.0 * (values - self.center) / self.width))
        center, width = self.center, self.width
        if self.function == "LINEAR":
            center, width = center - 0.5, width - 1.0
        # A width of nothing is a step: the middle itself belongs to the dark side.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            inside = (values - center) / width + 0.5
        return np.where(values <= center - width / 2, 0.0, np.where(values > center + width / 2, 1.0, inside))


@dataclass(frozen=True, slots=True)
class Voi:
    """What turns modality values into display values, and how to name it.

    Attributes:
        table: A VOI lookup table or a window.
        description: Such as `"window 1 of 2"`.
    """

    table: LookupTable | Window
    description: str

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Display values from 0 to 1, float64."""
        shown = self.table.apply(values)
        return shown / self.table.top if isinstance(self.table, LookupTable) else shown


def modality_of(header: Attributes, signed: bool, frame: int, notes: list[str]) -> LookupTable | Rescale:
    """The modality LUT of a file, or its rescale values.

    Raises:
        ImageError: The modality LUT is broken (`damaged`): without it the stored values mean nothing.
    """
    item = header.first("ModalityLUTSequence")
    if item is not None:
        table = read_lookup(item, signed=signed)
        if isinstance(table, str):
            raise refusal(Reason.DAMAGED, header.name, f"the modality lookup table is broken: {table}")
        return table
    source = functional_group(header, "PixelValueTransformationSequence", frame) or header
    slope, intercept = source.number("RescaleSlope"), source.number("RescaleIntercept")
    if slope is None and intercept is None:
        return Rescale()
    if slope is None or intercept is None:
        notes.append("Only one of rescale slope and intercept is there; the other is 1 or 0.")
    slope = 1.0 if slope is None else slope
    intercept = 0.0 if intercept is None else intercept
    if not (np.isfinite(slope) and np.isfinite(intercept)) or slope == 0:
        notes.append("The rescale values are broken and ignored.")
        return Rescale()
    return Rescale(slope, intercept)


def voi_of(
    header: Attributes, choice: int | Literal["widest"], negative: bool, frame: int, notes: list[str]
) -> Voi | None:
    """The VOI LUT of a file, else the chosen one of its windows, else None.

    Args:
        header: The header.
        choice: Number from 0, or `"widest"`.
        negative: Whether modality values can be negative.
        frame: The frame, for files whose frames have windows of their own.
        notes: Takes what was ignored.
    """
    source = functional_group(header, "FrameVOILUTSequence", frame) or header
    tables = source.items("VOILUTSequence")
    if tables:
        number = _chosen(0 if choice == "widest" else choice, len(tables), "VOI lookup table", notes)
        table = read_lookup(tables[number], signed=negative)
        if isinstance(table, LookupTable):
            return Voi(table, f"VOI LUT {number + 1} of {len(tables)}")
        notes.append(f"VOI lookup table {number + 1} is broken and ignored: {table}.")
    windows = _windows(source, notes)
    if not windows:
        return None
    if choice == "widest":
        whole = [number for number, window in enumerate(windows) if not window.broken]
        number = max(whole, key=lambda number: windows[number].width) if whole else 0
    else:
        number = _chosen(choice, len(windows), "window", notes)
    if windows[number].broken:
        notes.append(f"Window {number + 1} is broken and ignored.")
        return None
    return Voi(windows[number], f"window {number + 1} of {len(windows)}")


def _windows(source: Attributes, notes: list[str]) -> list[Window]:
    try:
        centers, widths = source.numbers("WindowCenter"), source.numbers("WindowWidth")
    except ImageError:
        notes.append("The windows cannot be read and are ignored.")
        return []
    if len(centers) != len(widths):
        notes.append(f"{len(centers)} window centres and {len(widths)} widths; the surplus is ignored.")
    function = source.text("VOILUTFunction").upper() or "LINEAR"
    if function not in _FUNCTIONS:
        notes.append("The VOI LUT function is unknown; LINEAR is taken.")
        function = "LINEAR"
    return [Window(center, width, function) for center, width in zip(centers, widths, strict=False)]


def _chosen(choice: int, count: int, what: str, notes: list[str]) -> int:
    if 0 <= choice < count:
        return choice
    notes.append(f"There is no {what} {choice}; the first of {count} is taken.")
    return 0


def functional_group(header: Attributes, sequence: str, frame: int) -> Attributes | None:
    """The item of an enhanced file (C.7.6.16) that holds for a frame: its own, else the shared one."""
    frames = (
        header.items("PerFrameFunctionalGroupsSequence")
        if "PerFrameFunctionalGroupsSequence" in header
        else ()
    )
    own = frames[frame].first(sequence) if frame < len(frames) else None
    return own or header.first("SharedFunctionalGroupsSequence", sequence)

"""Lookup tables of a header (PS3.3 C.11.1.1 and C.11.2.1.1): modality, VOI and palette share one form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offclip.images.dicom.attributes import Attributes


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A table from whole numbers to whole numbers.

    Attributes:
        first: The input that the first entry belongs to; smaller ones take it too, too large ones the last.
        bits: Bits of an entry.
        entries: (N,) uint16.
    """

    first: int
    bits: int
    entries: np.ndarray

    @property
    def top(self) -> int:
        """The largest output that the bits can hold."""
        return 2**self.bits - 1

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Entries for inputs of any shape, as float64. Inputs between two whole numbers take the nearest.

        Example:
            >>> table = LookupTable(first=10, bits=8, entries=np.array([0, 128, 255], np.uint16))
            >>> table.apply(np.array([-5, 10, 11, 99])).tolist()
            [0.0, 0.0, 128.0, 255.0]
        """
        index = np.floor(np.asarray(values, np.float64) - self.first + 0.5)
        return self.entries[index.clip(0, len(self.entries) - 1).astype(np.intp)].astype(np.float64)


def read_lookup(
    item: Attributes,
    descriptor: str = "LUTDescriptor",
    data: str = "LUTData",
    *,
    signed: bool = False,
) -> LookupTable | str:
    """Reads a table, or says in words what is wrong with it.

    Args:
        item: The item of the sequence, or the header itself for a palette.
        descriptor: Keyword of the three numbers: entries, first input, bits.
        data: Keyword of the entries.
        signed: Whether the inputs can be negative; decides how the first input is read.
    """
    numbers = item.numbers(descriptor)
    if len(numbers) != 3:
        return "its descriptor has not three numbers"
    if not all(np.isfinite(number) for number in numbers):
        return "its descriptor is no whole number"
    # The VR of the three is US or SS by choice of the writer; 16 bits are 16 bits.
    count, first, bits = (int(number) & 0xFFFF for number in numbers)
    count = count or 2**16  # 0 stands for 65,536, which does not fit
    if signed and first >= 2**15:
        first -= 2**16
    if not 8 <= bits <= 16:
        return f"its entries have {bits} bits"
    words = _words(item, data)
    if len(words) >= count:
        entries = words[:count]
    elif bits == 8 and 2 * len(words) >= count:
        entries = words.astype("<u2").view(np.uint8)[:count].astype(np.uint16)  # two entries share a word
    else:
        return f"it has {len(words)} of its {count} entries"
    # Some writers name fewer bits than their entries use.
    bits = max(bits, int(entries.max()).bit_length())
    return LookupTable(first, bits, entries)


def _words(item: Attributes, keyword: str) -> np.ndarray:
    """The 16-bit words of a table, whichever of US, SS and OW carries them."""
    value = item.value(keyword)
    if isinstance(value, bytes):
        order = "<u2" if item.little_endian else ">u2"
        return np.frombuffer(value, order, len(value) // 2).astype(np.uint16)
    numbers = np.array(item.numbers(keyword), np.float64)
    numbers[~np.isfinite(numbers)] = 0
    return (numbers.astype(np.int64) & 0xFFFF).astype(np.uint16)

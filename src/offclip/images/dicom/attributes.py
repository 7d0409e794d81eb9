"""The attributes of a header as plain, checked values; the other modules see a data set only through this."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from offclip.images.dicom.quiet import PYDICOM_ERRORS, quiet
from offclip.images.reasons import Reason, refusal

_TEXT_LENGTH = 1024  # the longest text that any module here has a use for


@dataclass(frozen=True, slots=True)
class Attributes:
    """A pydicom data set behind a guard: no error and no warning of pydicom leaves it.

    Attributes:
        dataset: `pydicom.Dataset`, of the file or of an item of a sequence.
        name: The file, for messages.
        little_endian: Byte order of the file, for values that pydicom leaves as bytes.
    """

    dataset: Any = field(repr=False)
    name: str
    little_endian: bool = True

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.dataset

    def value(self, keyword: str) -> Any:
        """The value as pydicom gives it, None where it is absent or empty.

        Raises:
            ImageError: The attribute is there and cannot be read (`damaged`).
        """
        try:
            with quiet():
                return self.dataset[keyword].value if keyword in self.dataset else None
        except PYDICOM_ERRORS:
            raise refusal(Reason.DAMAGED, self.name, f"the attribute {keyword} cannot be read") from None

    def text(self, keyword: str) -> str:
        r"""A text without its padding, empty where it cannot be read; several are joined by a backslash.

        Example:
            >>> import pydicom
            >>> dataset = pydicom.Dataset()
            >>> dataset.ImageType = ["ORIGINAL", "PRIMARY"]
            >>> Attributes(dataset, "film.dcm").text("ImageType")
            'ORIGINAL\\PRIMARY'
        """
        try:
            with quiet():
                value = self.dataset[keyword].value if keyword in self.dataset else None
                parts = [] if value is None else [str(part) for part in _several(value)]
        except PYDICOM_ERRORS:
            return ""
        return "\\".join(part.strip(" \0") for part in parts)[:_TEXT_LENGTH]

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """All numbers of an attribute; empty where it is absent or has no value.

        Raises:
            ImageError: A value is no number (`damaged`). Infinite and NaN are numbers here.
        """
        value = self.value(keyword)
        if value is None or value == "" or isinstance(value, bytes):
            return ()
        try:
            return tuple(float(str(part).strip(" \0")) for part in _several(value))
        except PYDICOM_ERRORS:
            raise refusal(Reason.DAMAGED, self.name, f"the attribute {keyword} is no number") from None

    def number(self, keyword: str) -> float | None:
        """The first number of an attribute, None where it is absent or has no value."""
        numbers = self.numbers(keyword)
        return numbers[0] if numbers else None

    def integer(self, keyword: str) -> int | None:
        """A whole number, None where it is absent or has no value.

        Raises:
            ImageError: The attribute has another value, or several (`damaged`).
        """
        numbers = self.numbers(keyword)
        if len(numbers) == 0:
            return None
        number = numbers[0]
        if len(numbers) > 1 or not math.isfinite(number) or number != int(number):
            raise refusal(Reason.DAMAGED, self.name, f"the attribute {keyword} is not one whole number")
        return int(number)

    def items(self, keyword: str) -> tuple[Attributes, ...]:
        """The items of a sequence; none where it is absent.

        Raises:
            ImageError: The sequence cannot be read (`damaged`).
        """
        from pydicom.sequence import Sequence

        value = self.value(keyword)
        if value is None:
            return ()
        if not isinstance(value, Sequence):
            raise refusal(Reason.DAMAGED, self.name, f"the attribute {keyword} is no sequence")
        return tuple(Attributes(item, self.name, self.little_endian) for item in value)

    def first(self, *keywords: str) -> Attributes | None:
        """The first item along a path of sequences, None where the path ends early."""
        here: Attributes | None = self
        for keyword in keywords:
            items = here.items(keyword) if here is not None else ()
            here = items[0] if items else None
        return here


def _several(value: Any) -> Iterable[Any]:
    from pydicom.multival import MultiValue

    return value if isinstance(value, MultiValue | list | tuple) else (value,)

"""Masks as COCO packs them: lengths of runs, column by column, in a text.

Source: the published format of the COCO API (`maskApi`): each length is a signed number in groups of five
bits, the lowest first, one printable character a group; from the fourth on, the difference to the length two
before. The runs are off and on in turn, and begin with off.
"""

from __future__ import annotations

from dataclasses import dataclass

_MAX_GROUPS = 13  # of a number of 64 bits


@dataclass(frozen=True, slots=True)
class MaskExtent:
    """The smallest rectangle round a mask, in pixels; (x, y) is its upper left corner."""

    x: int
    y: int
    width: int
    height: int


def run_lengths(counts: str) -> list[int]:
    """The lengths of the runs.

    Args:
        counts: The text, as in the field `counts`.

    Raises:
        ValueError: The text is damaged.

    Example:
        >>> run_lengths("ifdl3")
        [4084441]
    """
    lengths: list[int] = []
    value = shift = 0
    for character in counts:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift >= 5 * _MAX_GROUPS:
            raise ValueError("a character that no run length has")
        value |= (code & 0x1F) << shift
        shift += 5
        if not code & 0x20:
            if code & 0x10:
                value -= 1 << shift
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            if lengths[-1] < 0:
                raise ValueError("a run of negative length")
            value = shift = 0
    if shift:
        raise ValueError("the text is cut short")
    return lengths


def mask_extent(height: int, width: int, counts: str) -> MaskExtent | None:
    """The extent of a mask, without unpacking it; None where the mask is empty.

    Args:
        height: Of the image.
        width: Of the image.
        counts: The text, as in the field `counts`.

    Raises:
        ValueError: The text is damaged, or the runs do not fill the image.
    """
    lengths = run_lengths(counts)
    if height <= 0 or width <= 0 or sum(lengths) != height * width:
        raise ValueError("the runs do not fill the image")
    left, right, top, bottom = width, -1, height, -1
    position = 0
    for number, length in enumerate(lengths):
        if number % 2 and length:
            last = position + length - 1
            left, right = min(left, position // height), max(right, last // height)
            if position // height == last // height:
                top, bottom = min(top, position % height), max(bottom, last % height)
            else:  # it goes on in the next column, so it touches the lower and the upper edge
                top, bottom = 0, height - 1
        position += length
    return None if right < 0 else MaskExtent(left, top, right - left + 1, bottom - top + 1)

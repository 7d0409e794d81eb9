"""The run-length encoding of SIIM-ACR's masks: offsets from the end of the run before, down the columns."""

from __future__ import annotations

SIDE = 1024  # every mask is drawn on a film of 1024 x 1024 pixels


def mask_extent(encoded: str, side: int = SIDE) -> tuple[int, int, int, int]:
    """The smallest box round a mask, without decoding it.

    Args:
        encoded: Pairs of numbers: pixels to skip since the run before, then pixels of the run. Pixels are
            counted from 0, down the first column, then down the next.
        side: Rows and columns of the film.

    Returns:
        x, y, width and height of the box.

    Raises:
        ValueError: The text is no such mask, or it leaves the film.

    Example:
        >>> mask_extent("1030 2 1022 3")  # rows 6-7 of column 1, rows 6-8 of column 2
        (1, 6, 2, 3)
    """
    try:
        numbers = [int(word) for word in encoded.split()]
    except ValueError as error:
        raise ValueError("a run is no whole number") from error
    if not numbers or len(numbers) % 2:
        raise ValueError("runs do not come in pairs")
    position = 0
    left, right, top, bottom = side, -1, side, -1
    for skip, length in zip(numbers[::2], numbers[1::2], strict=True):
        if skip < 0 or length <= 0:
            raise ValueError("a run has a negative offset or no length")
        position += skip
        first, last = position, position + length - 1
        position += length
        if last >= side * side:
            raise ValueError(f"a run leaves the film of {side} x {side} pixels")
        left, right = min(left, first // side), max(right, last // side)
        if first // side == last // side:
            top, bottom = min(top, first % side), max(bottom, last % side)
        else:  # down to the end of a column and on at the top of the next
            top, bottom = 0, side - 1
    return left, top, right - left + 1, bottom - top + 1

"""Many films as one picture, to see at a glance what a folder holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_MARGIN, _LINE, _FONT = 6, 15, 12
_BACKGROUND, _INK = 32, 220


@dataclass(frozen=True, slots=True)
class Tile:
    """A film of a contact sheet.

    Attributes:
        square: (S, S) uint8; all tiles have the same size.
        lines: What stands below it, at most two lines; what is too long is cut.
    """

    square: np.ndarray
    lines: tuple[str, ...] = ()


def contact_sheet(tiles: Sequence[Tile], columns: int = 8) -> np.ndarray:
    """Puts films side by side.

    Args:
        tiles: The films, not empty.
        columns: How many stand in a row.

    Returns:
        (H, W) uint8.

    Example:
        >>> contact_sheet([Tile(np.zeros((64, 64), np.uint8), ("PA",))] * 3, columns=2).shape
        (218, 146)
    """
    size = tiles[0].square.shape[0]
    columns = min(columns, len(tiles))
    cell_width, cell_height = size + _MARGIN, size + 2 * _LINE + 2 * _MARGIN
    rows = -(-len(tiles) // columns)
    sheet = Image.new("L", (columns * cell_width + _MARGIN, rows * cell_height + _MARGIN), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        left, top = _MARGIN + column * cell_width, _MARGIN + row * cell_height
        sheet.paste(Image.fromarray(tile.square), (left, top))
        for line_number, line in enumerate(tile.lines[:2]):
            while line and draw.textlength(line, font) > size:
                line = line[:-1]
            draw.text((left, top + size + 2 + line_number * _LINE), line, fill=_INK, font=font)
    return np.asarray(sheet)

"""boxes.csv: where findings are, a box a row."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from offclip.data.csv_table import read_table
from offclip.data.files import Skipped
from offclip.grounding.regions import Box

_EDGES = ("x", "y", "width", "height")


def read_boxes(path: Path) -> tuple[list[tuple[str, Box]], list[Skipped]]:
    """Boxes with the id of their image: columns `image_id`, `finding`, `x`, `y`, `width`, `height`.

    Args:
        path: The table; where there is no such file, there are no boxes.

    Returns:
        The boxes in the order of the rows, and the rows that were left out, with the reason.

    Raises:
        DataError: The table cannot be read, or lacks a column.
    """
    boxes: list[tuple[str, Box]] = []
    skipped: list[Skipped] = []
    if not path.is_file():
        return boxes, skipped
    table = read_table(path, ("image_id", "finding", *_EDGES))
    for number, row in enumerate(table.iter_rows(named=True), start=2):
        image_id, finding = row["image_id"] or "", row["finding"] or ""
        try:
            x, y, width, height = (float(row[edge]) for edge in _EDGES)
        except (TypeError, ValueError):
            skipped.append(Skipped(str(path), number, image_id, "x, y, width or height is no number"))
            continue
        drawn = np.isfinite([x, y, width, height]).all() and width > 0 and height > 0
        if not image_id or not finding or not drawn:
            skipped.append(Skipped(str(path), number, image_id, "no id, no finding, or an empty box"))
            continue
        boxes.append((image_id, Box(finding.lower(), x, y, width, height)))
    return boxes, skipped

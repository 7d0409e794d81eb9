"""The pointing game: does the heat map's maximum lie in a box of that finding?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offclip.errors import InputError
from offclip.images.geometry import Letterbox


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in original pixels.

    Attributes:
        finding: What it encloses.
        x, y: Left and top edge.
        width, height: Size.
    """

    finding: str
    x: float
    y: float
    width: float
    height: float

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies inside or on the edge."""
        return self.x <= x <= self.x + self.width and self.y <= y <= self.y + self.height


@dataclass(frozen=True, slots=True)
class Pointing:
    """Result for one image and one finding.

    Attributes:
        hit: The maximum lies in a box; a fraction where several cells share the maximum.
        chance: Share of the cells over the image whose centre lies in a box.
    """

    hit: float
    chance: float


def point(heat_map: np.ndarray, geometry: Letterbox, boxes: Sequence[Box]) -> Pointing:
    """Plays the pointing game on one map.

    The rule: the centre of the cell with the largest value, taken to original pixels, lies in any box of
    the finding. Cells whose centre lies in the padding are left out. Tied cells count as if one of them
    were drawn at random, so a constant map scores exactly its chance level.

    Args:
        heat_map: (rows, columns) over the model's square.
        geometry: How the image got into the square.
        boxes: Boxes of this finding, at least one, in original pixels.

    Raises:
        InputError: There is no box, the map is not finite, or no cell lies over the image.

    Source:
        Zhang et al., Top-down neural attention by excitation backprop, ECCV 2016.

    Example:
        >>> geometry = Letterbox.of(height=100, width=100, size=64)
        >>> heat = np.zeros((2, 2)); heat[0, 0] = 1
        >>> point(heat, geometry, [Box("nodule", 0, 0, 40, 40)])
        Pointing(hit=1.0, chance=0.25)
    """
    if not boxes:
        raise InputError("There is no box to point at.", "Leave the image out of the pointing game.")
    if not np.isfinite(heat_map).all():
        raise InputError("The heat map is not finite.", "Look at the image and the model.")
    rows, columns = heat_map.shape
    inside, over_image = np.zeros((rows, columns), bool), np.zeros((rows, columns), bool)
    for row in range(rows):
        for column in range(columns):
            x, y = geometry.to_original(
                x=(column + 0.5) * geometry.size / columns, y=(row + 0.5) * geometry.size / rows
            )
            over_image[row, column] = 0 <= x <= geometry.width and 0 <= y <= geometry.height
            inside[row, column] = any(box.holds(x, y) for box in boxes)
    if not over_image.any():
        raise InputError(
            f"An image of {geometry.height} x {geometry.width} pixels lies between the "
            f"{rows} x {columns} cells.",
            "Leave the image out of the pointing game.",
        )
    inside &= over_image
    maximum = over_image & (heat_map == heat_map[over_image].max())
    return Pointing(
        hit=float((inside & maximum).sum() / maximum.sum()), chance=float(inside.sum() / over_image.sum())
    )

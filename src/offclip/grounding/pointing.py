"""The pointing game: does the heat map's maximum lie in a region of that finding?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offclip.errors import ConfigError, InputError
from offclip.grounding.regions import Box, Region
from offclip.images.geometry import Letterbox

__all__ = ["RULES", "Box", "Pointing", "PointingRule", "point"]

RULES = ("centre", "peer")


@dataclass(frozen=True, slots=True)
class PointingRule:
    """What counts as a hit.

    Attributes:
        name: `"centre"`: the centre of the largest cell counts, tied cells by their share, and cells in the
            padding are left out, so that a constant map scores its chance. `"peer"`: what the published code
            of CARZero comes to, whose map is repeated over the square before the maximum is taken: the top
            left corner of the first of the largest cells counts, padding or not.
        tolerance: How far from a region is still a hit: below 1 a share of the image's longer side, from 1 on
            a number of original pixels. Zhang et al. allow 15 pixels.

    Raises:
        ConfigError: The rule is unknown, or the tolerance is negative or not a number.
    """

    name: str = "centre"
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in RULES:
            raise ConfigError(f"Unknown rule {self.name!r}.", f"Choose one of: {', '.join(RULES)}.")
        if not 0 <= self.tolerance < float("inf"):
            raise ConfigError(
                f"A tolerance of {self.tolerance}.",
                "Give pixels, or below 1 a share of the image's longer side.",
            )

    def reach(self, geometry: Letterbox) -> float:
        """The tolerance in original pixels.

        Example:
            >>> PointingRule(tolerance=0.02).reach(Letterbox.of(height=1000, width=500, size=64))
            20.0
        """
        if self.tolerance >= 1:
            return self.tolerance
        return self.tolerance * max(geometry.height, geometry.width)


@dataclass(frozen=True, slots=True)
class Pointing:
    """Result for one image and one finding.

    Attributes:
        hit: The maximum lies in a region; a fraction where several cells share the maximum.
        chance: Share of the cells that would be a hit: what a random cell scores.
    """

    hit: float
    chance: float


def point(
    heat_map: np.ndarray,
    geometry: Letterbox,
    regions: Sequence[Region],
    rule: PointingRule = PointingRule(),
) -> Pointing:
    """Plays the pointing game on one map.

    The rule: the centre of the cell with the largest value, taken to original pixels, lies in any region of
    the finding. Cells whose centre lies in the padding are left out. Tied cells count as if one of them
    were drawn at random, so a constant map scores exactly its chance level. `PointingRule` has another rule
    and a tolerance.

    Args:
        heat_map: (rows, columns) over the model's square.
        geometry: How the image got into the square.
        regions: Boxes and masks of this finding, at least one, in original pixels.
        rule: What counts as a hit.

    Raises:
        InputError: There is no region, the map is not finite, or no cell lies over the image.

    Source:
        Zhang et al., Top-down neural attention by excitation backprop, ECCV 2016.

    Example:
        >>> geometry = Letterbox.of(height=100, width=100, size=64)
        >>> heat = np.zeros((2, 2)); heat[0, 0] = 1
        >>> point(heat, geometry, [Box("nodule", 0, 0, 40, 40)])
        Pointing(hit=1.0, chance=0.25)
        >>> point(heat, geometry, [Box("nodule", 30, 30, 40, 40)], PointingRule(tolerance=15)).hit
        1.0
    """
    if not regions:
        raise InputError("There is no box to point at.", "Leave the image out of the pointing game.")
    if not np.isfinite(heat_map).all():
        raise InputError("The heat map is not finite.", "Look at the image and the model.")
    rows, columns = heat_map.shape
    peer = rule.name == "peer"
    reach, at = rule.reach(geometry), 0.0 if peer else 0.5
    inside, counts = np.zeros((rows, columns), bool), np.ones((rows, columns), bool)
    for row in range(rows):
        for column in range(columns):
            x, y = geometry.to_original(
                x=(column + at) * geometry.size / columns, y=(row + at) * geometry.size / rows
            )
            if not peer:
                counts[row, column] = 0 <= x <= geometry.width and 0 <= y <= geometry.height
            if counts[row, column]:
                inside[row, column] = any(region.holds(x, y, reach) for region in regions)
    if not counts.any():
        raise InputError(
            f"An image of {geometry.height} x {geometry.width} pixels lies between the "
            f"{rows} x {columns} cells.",
            "Leave the image out of the pointing game.",
        )
    chance = float(inside.sum() / counts.sum())
    if peer:
        return Pointing(hit=float(inside.flat[int(heat_map.argmax())]), chance=chance)
    maximum = counts & (heat_map == heat_map[counts].max())
    return Pointing(hit=float((inside & maximum).sum() / maximum.sum()), chance=chance)

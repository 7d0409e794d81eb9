"""Rib cage, spine, clavicles, shoulder blades: curves in the chest frame.

A rib is the projection of a tilted loop: at angle 0 it leaves the spine at the back, at a right angle it
passes the side of the chest, further on it comes forward and falls. From one formula follow the flat
posterior ribs, the steep anterior ones, and the wall that bounds the lung.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from offclip.data.phantom.acquisition import Pose
from offclip.data.phantom.anatomy import Anatomy
from offclip.data.phantom.canvas import Canvas, Mask, Points, smooth

LEFT, RIGHT = 1, -1
SIDES = (RIGHT, LEFT)

_COUNT = 11
_WIDTHS = np.array([0.44, 0.68, 0.81, 0.89, 0.945, 0.98, 1.0, 1.01, 1.0, 0.98, 0.95])
_DROPS = np.array([0.30, 0.50, 0.70, 0.82, 0.90, 0.96, 1.0, 1.02, 1.0, 0.95, 0.90])
_BACK_ANGLES = np.linspace(0.10, 1.62, 11)
_FRONT_ANGLES = np.linspace(1.60, 2.40, 7)
_DEPTH = 0.42  # depth of the chest over its half-width, as far as turning shows it
_CIRCLE = np.stack([np.cos(np.arange(16) * np.pi / 8), np.sin(np.arange(16) * np.pi / 8)], axis=1)
_LEVELS = np.arange(-4, 18)  # vertebrae, 0 at the first rib


@dataclass(frozen=True, slots=True)
class RibCage:
    """The ribs of a posed patient.

    Attributes:
        half_widths: (11,) reach of each rib to the side.
        tops: (11,) height of each rib at the spine.
        drops: (11,) fall of each rib from the spine to its front end.
        turn: Rotation about the long axis in radians.
    """

    half_widths: Points
    tops: Points
    drops: Points
    turn: float

    @classmethod
    def of(cls, anatomy: Anatomy, pose: Pose) -> RibCage:
        """The rib cage; a bedside film looks at flatter ribs."""
        spread = 0.97 + 0.05 * pose.inspiration
        drop = anatomy.rib_drop * (1.0 - 0.15 * pose.inspiration) * (0.85 if pose.view == "AP" else 1.0)
        tops = anatomy.rib_top + anatomy.rib_spacing * spread * np.arange(_COUNT)
        return cls(anatomy.chest_half_width * _WIDTHS, tops, drop * _DROPS, pose.turn)

    @property
    def top(self) -> float:
        """Height of the first rib at the spine."""
        return float(self.tops[0])

    @property
    def reach(self) -> float:
        """Half the inner width of the chest where it is about widest."""
        return float(self.half_widths[6])

    def curves(self, side: int, angles: Points) -> Points:
        """Centre lines (11, angles, 2) of the ribs of one side."""
        across = np.sin(angles) ** 0.92 * side
        depth = -np.cos(angles) * _DEPTH
        x = self.half_widths[:, None] * (across * np.cos(self.turn) + depth * np.sin(self.turn))
        fall = (1 - np.cos(angles)) / 2 - 0.06 * np.sin(2 * angles).clip(0)
        y = self.tops[:, None] + self.drops[:, None] * fall
        return np.stack([x, y], axis=-1)

    def wall(self, side: int, heights: Points) -> Points:
        """The x of the inner chest wall of one side at the given heights."""
        reach = np.interp(heights, self.tops + self.drops * 0.5, self.half_widths * 0.98)
        return side * reach * np.cos(self.turn)

    def shift(self, depth: float) -> float:
        """How far turning moves what lies at ``depth`` (-1 back, 1 front) to the patient's left."""
        return depth * _DEPTH * self.reach * float(np.sin(self.turn))


def draw_ribs(canvas: Canvas, anatomy: Anatomy, cage: RibCage) -> Mask:
    """The ribs, posterior and anterior parts adding up where they cross."""
    back, front = canvas.blank(), canvas.blank()
    thick = anatomy.rib_half_width
    _draw_bands(canvas, back, [cage.curves(side, _BACK_ANGLES) for side in SIDES], thick, (58, 96))
    _draw_bands(
        canvas, front, [cage.curves(side, _FRONT_ANGLES)[:9] for side in SIDES], 1.2 * thick, (38, 54)
    )
    return cast(Mask, cv2.add(back, front, back))


def draw_girdle(canvas: Canvas, anatomy: Anatomy, pose: Pose, cage: RibCage) -> Mask:
    """Shoulder blades, clavicles and upper arms; and the spine."""
    board = canvas.blank()
    _draw_shoulder_blades(canvas, board, cage, pose)
    _draw_clavicles(canvas, board, anatomy, cage)
    _draw_spine(canvas, board, anatomy, cage)
    return board


def _draw_bands(
    canvas: Canvas, board: Mask, sides: list[Points], half_width: float, grey: tuple[int, int]
) -> None:
    """Bands with denser margins, the lower one denser; ``grey`` of the inside and of the margin."""
    curves = np.concatenate(sides)
    along = curves[:, 2:] - curves[:, :-2]
    along = np.concatenate([along[:, :1], along, along[:, -1:]], axis=1)
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    across *= half_width / np.hypot(along[..., :1], along[..., 1:])
    across *= np.sign(across[:, :1, 1:])  # downwards at the start
    upper, lower = curves - across, curves + across
    inside, margin = grey
    canvas.fill(np.concatenate([upper, lower[:, ::-1]], axis=1), inside, board)
    canvas.stroke(upper, 0.006, (inside + margin) // 2, board)
    canvas.stroke(lower, 0.007, margin, board)


def _both(shape: Points, shift: Points | float = 0.0) -> Points:
    """A shape of the left side (n, 2) and its mirror image (2, n, 2); ``shift`` moves both the same way."""
    both = np.stack([shape, shape * np.array([-1.0, 1.0])])
    both[..., 0] += shift
    return both


def _draw_clavicles(canvas: Canvas, board: Mask, anatomy: Anatomy, cage: RibCage) -> None:
    """S-shaped bands from the breastbone to the shoulders."""
    y = cage.top + 0.24
    reach = anatomy.chest_half_width * 1.14
    rise = anatomy.clavicle
    middle = np.array(
        [
            [0.060, y + 0.030],
            [0.150, y - 0.005 - 0.18 * rise],
            [reach * 0.45, y - 0.050 - 0.55 * rise],
            [reach * 0.70, y - 0.075 - 0.90 * rise],
            [reach * 0.88, y - 0.062 - 1.02 * rise],
            [reach, y - 0.085 - rise],
        ]
    )
    offset = np.zeros((6, 2))
    offset[:, 1] = [0.026, 0.027, 0.018, 0.018, 0.021, 0.013]
    front = cage.shift(0.9) * np.linspace(1.0, 0.0, 21)  # turning moves the inner ends, the shoulders hardly
    upper = _both(smooth(middle - offset, 4, closed=False), front)
    lower = _both(smooth(middle + offset, 4, closed=False), front)
    canvas.fill(np.concatenate([upper, lower[:, ::-1]], axis=1), 82, board)
    canvas.stroke(np.concatenate([upper, lower]), 0.007, 122, board)


def _draw_shoulder_blades(canvas: Canvas, board: Mask, cage: RibCage, pose: Pose) -> None:
    """Blades with their spines, and the humeri."""
    reach, top = cage.reach, cage.top
    inward = 0.28 * pose.scapula_over_lung * reach
    outer = reach + 0.16
    blade = np.array(
        [
            [reach + 0.02 - inward, top + 0.20],
            [outer, top + 0.19],
            [outer + 0.03, top + 0.30],
            [outer - 0.06, top + 0.48],
            [reach + 0.05 - 0.7 * inward, top + 0.82],
            [reach - 0.02 - 0.95 * inward, top + 0.74],
            [reach - 0.03 - inward, top + 0.45],
        ]
    )
    outline = _both(smooth(blade, 4))
    canvas.fill(outline, 24, board)
    canvas.stroke(outline, 0.009, 58, board, closed=True)
    spine = np.array([[reach - inward, top + 0.31], [outer + 0.02, top + 0.19], [outer + 0.10, top + 0.14]])
    canvas.stroke(_both(spine), 0.03, 54, board)
    head = np.array([outer + 0.09, top + 0.30])
    drift = 0.06 + 0.45 * pose.arm_spread
    shaft = _both(head + np.array([[-0.045, 0.02], [drift - 0.035, 1.3], [drift + 0.035, 1.3], [0.05, 0.0]]))
    canvas.fill(_both(head + 0.072 * _CIRCLE), 70, board)
    canvas.fill(shaft, 70, board)
    canvas.stroke(shaft.reshape(4, 2, 2), 0.01, 104, board)


def _draw_spine(canvas: Canvas, board: Mask, anatomy: Anatomy, cage: RibCage) -> None:
    """Vertebral bodies with end plates, pedicles and spinous processes, growing downwards."""
    y = cage.top + anatomy.rib_spacing * _LEVELS
    half = 0.050 + 0.0022 * _LEVELS
    rise = np.full_like(half, 0.40 * anatomy.rib_spacing)
    zero = np.zeros_like(half)
    left = np.stack([[half, -rise], [0.88 * half, zero], [half, rise]]).transpose(2, 0, 1)
    middle = np.stack([np.full_like(half, cage.shift(-0.8)), y], axis=1)[:, None]
    flip = np.array([-1.0, 1.0])
    bodies = middle + np.concatenate([left, left[:, ::-1] * flip], axis=1)
    plates = np.concatenate([bodies[:, [0, 5]], bodies[:, [2, 3]]])
    pedicle = np.stack([[0.6 * half, zero - 0.014], [0.6 * half, zero + 0.014]]).transpose(2, 0, 1)
    process = np.stack([[zero, zero + 0.008], [zero, rise]]).transpose(2, 0, 1)
    details = np.concatenate([middle + pedicle, middle + pedicle * flip, middle + process])
    canvas.fill(bodies, 48, board)
    canvas.stroke(plates, 0.008, 74, board)
    canvas.stroke(details, 0.015, 74, board)

"""Soft organs and their gas: trunk and arms, lungs, breasts, airways, stomach."""

from __future__ import annotations

import numpy as np

from offclip.data.phantom.acquisition import Pose
from offclip.data.phantom.anatomy import Anatomy
from offclip.data.phantom.canvas import Canvas, Mask, Points, smooth
from offclip.data.phantom.skeleton import RibCage

_MIRROR = np.array([-1.0, 1.0])


def dome_height(anatomy: Anatomy, pose: Pose, side: int) -> float:
    """Height of the top of the diaphragm of one side."""
    return anatomy.dome - 0.16 * (1 - pose.inspiration) + anatomy.dome_gap * (side > 0)


def lung_outline(anatomy: Anatomy, pose: Pose, cage: RibCage, side: int, raised: float = 0.0) -> Points:
    """Outline (n, 2) of one lung, to the midline of the chest; the heart covers its inner part.

    Args:
        anatomy: The patient.
        pose: The position.
        cage: The posed rib cage.
        side: -1 for the patient's right, 1 for the left.
        raised: By how much the diaphragm of this side stands higher than usual.
    """
    dome = dome_height(anatomy, pose, side) - raised
    angle_y = dome + 0.13 + 0.07 * pose.inspiration
    top = cage.top
    heights = np.array([top + 0.10, top + 0.24, top + 0.40, top + 0.60, top + 0.82, angle_y - 0.10, angle_y])
    wall = cage.wall(side, heights)
    reach = side * cage.reach
    inner = cage.shift(0.0)
    return smooth(
        np.array(
            [
                [side * 0.050 + inner, top + 0.16],
                [side * 0.085 + inner, top + 0.035],
                [side * 0.17 + 0.5 * inner, top - 0.025],
                [side * 0.27, top + 0.005],
                *np.stack([wall, heights], axis=1),
                [wall[-1] * 0.985, angle_y + 0.004],
                [reach * 0.87, dome + 0.075],
                [reach * 0.66, dome + 0.018],
                [reach * 0.44, dome],
                [reach * 0.22, dome + 0.025],
                [side * 0.045 + inner, dome + 0.07],
                [side * 0.045 + inner, 0.0],
            ]
        ),
        per=4,
    )


def draw_body(canvas: Canvas, anatomy: Anatomy, pose: Pose, cage: RibCage) -> tuple[Mask, Mask]:
    """Boards of the trunk with the neck, and of the arms."""
    top = cage.top
    wall = cage.reach + 0.07 + 0.14 * anatomy.fat
    neck = 0.20 + 0.07 * anatomy.fat
    slope = anatomy.shoulder
    half = np.array(
        [
            [neck, top - 0.75],
            [neck, top - 0.30],
            [neck + 0.05, top - 0.17],
            [neck + 0.26, top - 0.08 + 0.4 * slope],
            [wall + 0.02, top - 0.02 + slope],
            [wall + 0.17, top + 0.08 + slope],
            [wall + 0.16, top + 0.34 + slope],
            [wall + 0.035, top + 0.58],
            [wall, top + 0.80],
            [wall + 0.01, top + 1.10],
            [wall - 0.03 + 0.06 * anatomy.fat, top + 1.45],
            [wall + 0.05 * anatomy.fat, top + 2.2],
        ]
    )
    edge = smooth(half, 4, closed=False)
    trunk = np.concatenate([edge, edge[::-1] * _MIRROR])
    shoulder = np.array([wall + 0.10, top + 0.22 + slope])
    thick, drift = 0.125 + 0.06 * anatomy.fat, 0.10 + 0.45 * pose.arm_spread
    outer = shoulder + np.array(
        [
            [-0.10, -0.10],
            [0.06, -0.12],
            [thick * 0.95, 0.06],
            [thick + 0.3 * drift, 0.45],
            [drift + thick * 0.9, 1.35],
            [drift - thick * 0.9, 1.35],
            [-thick * 0.8 + 0.3 * drift, 0.45],
            [-thick * 0.8, 0.2],
        ]
    )
    arm = smooth(outer, 3)
    return canvas.fill([trunk]), canvas.fill([arm, arm * _MIRROR])


def draw_breasts(canvas: Canvas, anatomy: Anatomy, cage: RibCage) -> Mask:
    """Rounded shadows over the lower lungs, with an under edge."""
    reach, size = cage.reach, anatomy.breast
    low = 0.20 + 0.30 * size
    shape = np.array(
        [
            [0.30 * reach, low - 0.16],
            [0.62 * reach, low],
            [(0.95 + 0.12 * size) * reach, low - 0.04],
            [(1.12 + 0.20 * size) * reach, low - 0.22],
            [1.0 * reach, -0.22],
            [0.55 * reach, -0.22],
            [0.28 * reach, -0.04],
        ]
    )
    outline = smooth(shape, 4)
    return canvas.fill([outline, outline * _MIRROR])


def draw_airways(canvas: Canvas, cage: RibCage) -> Mask:
    """The air column of the trachea, its carina and the main bronchi."""
    x = cage.shift(0.1)
    trachea = smooth(
        np.array(
            [
                [-0.045 + x, -1.3],
                [0.045 + x, -1.3],
                [0.042 + x, -0.50],
                [0.046 + x, -0.30],
                [0.135 + x, -0.13],
                [0.105 + x, -0.105],
                [0.012 + x, -0.235],
                [-0.07 + x, -0.115],
                [-0.105 + x, -0.135],
                [-0.040 + x, -0.30],
                [-0.040 + x, -0.50],
            ]
        ),
        4,
    )
    return canvas.fill([trachea])


def draw_stomach_bubble(canvas: Canvas, anatomy: Anatomy, pose: Pose, rng: np.random.Generator) -> Mask:
    """Gas under the left dome."""
    dome = dome_height(anatomy, pose, 1)
    x, wide, tall = rng.uniform(0.26, 0.42), rng.uniform(0.08, 0.18), rng.uniform(0.04, 0.10)
    centre = (x, dome + 0.055 + tall)
    angles = np.arange(8) * (np.pi / 4)
    shape = np.stack([centre[0] + wide * np.cos(angles), centre[1] + tall * np.sin(angles)], axis=1)
    return canvas.fill([smooth(shape, 4)])

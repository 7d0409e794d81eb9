"""The pulmonary vessels and the roots from which they come."""

from __future__ import annotations

import numpy as np

from offclip.data.phantom.anatomy import Anatomy
from offclip.data.phantom.canvas import Canvas, Mask, Points, smooth
from offclip.data.phantom.skeleton import RibCage

_MIRROR = np.array([-1.0, 1.0])
_MAIN = 8  # vessels that leave each hilum
_TWIGS = 5  # branches of each of them
_STEPS = 7


def draw_vessels(canvas: Canvas, anatomy: Anatomy, cage: RibCage, rng: np.random.Generator) -> Mask:
    """Pulmonary vessels: two generations of branches from each hilum, thinner and fainter outwards."""
    side = np.repeat([-1.0, 1.0], _MAIN)
    mirror = np.stack([side, np.ones_like(side)], axis=1)[:, None]
    hilum = np.stack([side * 0.13 + cage.shift(0.2), -0.075 - 0.02 * side], axis=1)
    hilum[:, 1] += rng.uniform(-0.09, 0.09, side.size)
    fan = np.tile(np.linspace(-1.25, 1.40, _MAIN), 2)
    angles = fan + rng.uniform(-0.22, 0.22, side.size)
    lengths = (
        anatomy.chest_half_width * (0.55 + 0.30 * np.abs(np.sin(angles))) * rng.uniform(0.7, 1.15, side.size)
    )
    main, headings = _branches(angles, lengths, 0.20, rng)
    parent = np.repeat(np.arange(side.size), _TWIGS)
    fork = rng.integers(1, _STEPS - 1, parent.size)
    swing = rng.choice((-1.0, 1.0), parent.size) * rng.uniform(0.35, 0.9, parent.size)
    twig_lengths = lengths[parent] * rng.uniform(0.20, 0.55, parent.size)
    twigs, _ = _branches(headings[parent, fork] + swing, twig_lengths, 0.28, rng)
    twigs = hilum[parent, None] + (main[parent, fork][:, None] + twigs) * mirror[parent]
    main = hilum[:, None] + main * mirror
    board = canvas.blank()
    canvas.stroke(twigs[:, 3:], 0.007, 34, board)
    canvas.stroke(twigs[:, :4], 0.007, 62, board)
    canvas.stroke(main[:, 4:], 0.007, 84, board)
    canvas.stroke(main[:, 2:5], 0.014, 104, board)
    canvas.stroke(main[:, :3], 0.022, 132, board)
    return board


def _branches(
    angles: Points, lengths: Points, bend: float, rng: np.random.Generator
) -> tuple[Points, Points]:
    """Wandering lines (n, steps, 2) that start at the origin, and their headings (n, steps)."""
    turns = rng.normal(0.0, bend, (len(angles), _STEPS))
    turns[:, 0] = angles
    headings = np.cumsum(turns, axis=1)
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    steps *= lengths[:, None, None] / (_STEPS - 1)
    steps[:, 0] = 0.0
    return np.cumsum(steps, axis=1), headings


def draw_hila(canvas: Canvas, cage: RibCage) -> Mask:
    """The roots of the lungs, as bright as the vessels that they are."""
    root = np.array([[0.165, -0.16], [0.215, -0.07], [0.20, 0.05], [0.145, 0.14]])
    outline = smooth(np.concatenate([root, root[::-1] - np.array([0.10, 0.0])]), 3)
    lower = np.array([cage.shift(0.2), 0.03])  # the right one stands lower
    return canvas.fill([outline + lower * np.array([1, -1]), outline * _MIRROR + lower])

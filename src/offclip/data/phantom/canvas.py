"""Drawing shapes so that every size of the film shows the same.

Shapes are given in the chest frame and rasterised on a fine canvas of at least 256 x 256; masks for a
smaller film are area averages of the canvas. A vessel of a third of a pixel therefore keeps its weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from offclip.data.phantom.acquisition import Pose

Points = NDArray[np.floating]
Shapes = Sequence[Points] | Points
"""Several (n, 2) curves, or one (shapes, n, 2) array of equally long ones."""
Mask = NDArray[np.uint8]
Field = NDArray[np.float32]

FINEST_FILM = 256
_SHIFT = 4  # fractional bits of the coordinates given to OpenCV
_FIXED = 1 << _SHIFT


@dataclass(frozen=True, slots=True)
class Canvas:
    """A drawing board for one film.

    Attributes:
        size: Side of the film in pixels.
        side: Side of the drawing board in pixels, at least 256.
        linear, offset: (2, 2) and (2,), affine map of row vectors from the chest frame to the fixed-point
            pixel indices of OpenCV on the board.
    """

    size: int
    side: int
    linear: NDArray[np.float64]
    offset: NDArray[np.float64]

    @classmethod
    def of(cls, size: int, pose: Pose) -> Canvas:
        """The board for a film of ``size`` pixels and a patient in ``pose``."""
        side = max(size, FINEST_FILM)
        half = side / 2
        cos, sin = pose.scale * np.cos(pose.tilt) * half, pose.scale * np.sin(pose.tilt) * half
        centre_x, centre_y = (pose.shift_x + 1) * half - 0.5, (pose.shift_y + 1) * half - 0.5
        linear, offset = np.array([[cos, sin], [-sin, cos]]), np.array([centre_x, centre_y])
        return cls(size, side, linear * _FIXED, offset * _FIXED)

    def film_frame(self) -> Canvas:
        """The same board addressed in film coordinates (-1 to 1) instead of the patient's."""
        half = self.side / 2
        return replace(self, linear=np.eye(2) * half * _FIXED, offset=np.full(2, half - 0.5) * _FIXED)

    def blank(self) -> Mask:
        """An empty board."""
        return np.zeros((self.side, self.side), np.uint8)

    def fixed(self, shapes: Shapes) -> list[NDArray[np.int32]]:
        """Chest coordinates to OpenCV's fixed-point pixel indices, all shapes in one go."""
        stacked = shapes if isinstance(shapes, np.ndarray) else np.concatenate(shapes)
        fixed = np.rint(stacked.reshape(-1, 2) @ self.linear + self.offset).astype(np.int32)
        if isinstance(shapes, np.ndarray):
            return list(fixed.reshape(shapes.shape))
        ends = list(accumulate(len(shape) for shape in shapes))
        return [fixed[end - len(shape) : end] for shape, end in zip(shapes, ends, strict=True)]

    def fill(self, shapes: Shapes, value: int = 255, onto: Mask | None = None) -> Mask:
        """Fill closed shapes that do not overlap, on a new board or onto one."""
        board = self.blank() if onto is None else onto
        cv2.fillPoly(board, self.fixed(shapes), value, cv2.LINE_AA, _SHIFT)
        return board

    def stroke(
        self, lines: Shapes, width: float, value: int = 255, onto: Mask | None = None, closed: bool = False
    ) -> Mask:
        """Draw lines, ``width`` in film units, on a new board or onto one."""
        board = self.blank() if onto is None else onto
        thickness = max(1, round(width * self.side / 2))
        edge = cv2.LINE_AA if thickness == 1 else cv2.LINE_8  # smooth edges cost much on thick lines only
        cv2.polylines(board, self.fixed(lines), closed, value, thickness, edge, _SHIFT)
        return board

    def field(self, board: Mask, blur: float = 0.0) -> Field:
        """A board as a (size, size) field from 0 to 1, blurred by ``blur`` film units."""
        return np.multiply(self.shrink(board, blur), np.float32(1 / 255), dtype=np.float32)

    def shrink(self, board: Mask, blur: float = 0.0) -> Mask:
        """A board at the size of the film, still 8-bit."""
        small = board
        while small.shape[0] >= 2 * self.size and small.shape[0] % 2 == 0:  # halving is OpenCV's fast path
            half = small.shape[0] // 2
            small = cv2.resize(small, (half, half), interpolation=cv2.INTER_AREA)
        if small.shape[0] != self.size:
            small = cv2.resize(small, (self.size, self.size), interpolation=cv2.INTER_AREA)
        sigma = blur * self.size / 2
        if sigma > 0.3:
            small = cv2.GaussianBlur(small, (0, 0), sigma)
        return cast(Mask, small)

    def enlarge(self, coarse: Field) -> Field:
        """A coarse square field at the size of the film."""
        if coarse.shape[0] == self.size:
            return coarse
        way = cv2.INTER_CUBIC if coarse.shape[0] < self.size else cv2.INTER_AREA
        return cast(Field, cv2.resize(coarse, (self.size, self.size), interpolation=way))


def smooth(controls: Points, per: int = 6, closed: bool = True) -> Points:
    """A Catmull-Rom curve through ``controls`` (n, 2), ``per`` points for each piece.

    Example:
        >>> corners = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        >>> curve = smooth(corners, per=4)
        >>> curve.shape, bool(np.allclose(curve[::4], corners))
        ((16, 2), True)
    """
    return _curve_basis(len(controls), per, closed) @ controls


@lru_cache(maxsize=64)
def _curve_basis(count: int, per: int, closed: bool) -> NDArray[np.float64]:
    """Weights (points, controls) of a Catmull-Rom curve: the curve is linear in its controls."""
    pieces = count if closed else count - 1
    t = np.arange(per) / per
    weights = np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], axis=1
    )
    basis = np.zeros((pieces * per + (not closed), count))
    for piece in range(pieces):
        for offset in range(4):
            control = piece + offset - 1
            control = control % count if closed else min(max(control, 0), count - 1)
            basis[piece * per : (piece + 1) * per, control] += weights[:, offset] / 2
    if not closed:
        basis[-1, -1] = 1.0
    return basis


def blob(
    rng: np.random.Generator, centre: tuple[float, float], radii: tuple[float, float], rough: float
) -> Points:
    """A closed round shape (n, 2) whose radius wanders by ``rough`` (share of the radius)."""
    angles = np.arange(10) * (2 * np.pi / 10)
    radius = 1 + rough * rng.uniform(-1, 1, 10)
    controls = np.stack([radii[0] * radius * np.cos(angles), radii[1] * radius * np.sin(angles)], axis=1)
    return smooth(controls + np.array(centre), per=4)

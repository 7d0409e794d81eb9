"""The shadow of heart and great vessels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offclip.data.phantom.acquisition import Pose
from offclip.data.phantom.anatomy import Anatomy
from offclip.data.phantom.canvas import Points, smooth
from offclip.data.phantom.organs import dome_height
from offclip.data.phantom.skeleton import RibCage


@dataclass(frozen=True, slots=True)
class Heart:
    """Extents of the heart's shadow.

    Attributes:
        middle: x of the patient's midline at the depth of the heart.
        right, left: How far the shadow reaches to either side of ``middle``.
        top, bottom: Height of the atrial waist, and of the lowest point at the diaphragm.
        knob: How far the aortic knob stands out.
        tilt: Lying (0) to upright (1).
    """

    middle: float
    right: float
    left: float
    top: float
    bottom: float
    knob: float
    tilt: float

    @classmethod
    def of(cls, anatomy: Anatomy, pose: Pose, cage: RibCage, enlargement: float | None) -> Heart:
        """The heart of a posed patient; ``enlargement`` is the severity of cardiomegaly, if there is one."""
        ratio = anatomy.heart_ratio
        if enlargement is not None:
            ratio = 0.51 + 0.13 * enlargement
        ratio *= pose.heart_magnification * (1.04 - 0.05 * pose.inspiration)
        width = ratio * 2 * anatomy.chest_half_width
        right_share = 0.33 + 0.03 * anatomy.heart_tilt
        bottom = dome_height(anatomy, pose, 1) + 0.05
        tall = 0.52 + 0.06 * anatomy.heart_tilt + 0.35 * max(ratio - 0.5, 0.0)
        return cls(
            cage.shift(0.45),
            width * right_share,
            width * (1 - right_share),
            bottom - tall,
            bottom,
            anatomy.knob,
            anatomy.heart_tilt * (0.5 if enlargement is not None else 1.0),
        )

    def outline(self) -> Points:
        """Outline (n, 2) of heart and upper mediastinum in one."""
        m, r, w, top, low = self.middle, self.right, self.left, self.top, self.bottom
        tall = low - top
        lean = 0.06 * self.tilt
        right = [
            [-0.135, -1.25],
            [-0.10, -0.75],
            [-0.098, -0.50],
            [-0.105, -0.22],
            [-max(0.115, 0.62 * r), top + 0.05 * tall],
            [-0.93 * r, top + 0.32 * tall],
            [-r, top + 0.60 * tall],
            [-0.86 * r, top + 0.90 * tall],
            [-0.45 * r, low + 0.06],
        ]
        left = [
            [0.40 * w, low + 0.07],
            [0.86 * w, low + lean],
            [w, top + (0.84 + lean) * tall],
            [0.97 * w, top + (0.70 + lean) * tall],
            [0.80 * w, top + (0.46 + lean) * tall],
            [max(0.13, 0.58 * w), top + 0.23 * tall],
            [max(0.115, 0.42 * w), top + 0.04 * tall],
            [0.125, top - 0.13],
            [0.10 + 0.5 * self.knob, -0.235],
            [0.115 + self.knob, -0.295],
            [0.10 + self.knob, -0.36],
            [0.09, -0.43],
            [0.095, -0.75],
            [0.135, -1.25],
        ]
        return smooth(np.array(right + left) + np.array([m, 0.0]), per=4)

    def box(self) -> Points:
        """Corners (4, 2) of the rectangle around the heart proper."""
        x0, x1, y0, y1 = self.middle - self.right, self.middle + self.left, self.top - 0.02, self.bottom
        return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])

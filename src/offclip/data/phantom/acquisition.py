"""The film: how the patient stood, and how it was exposed. Drawn anew for every study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

View = Literal["PA", "AP"]

AP_SHARE_NORMAL = 0.30
AP_SHARE_ABNORMAL = 0.45


@dataclass(frozen=True, slots=True)
class Pose:
    """Position of the patient on the film.

    Attributes:
        view: ``PA`` (standing, from behind) or ``AP`` (bedside, from the front).
        tilt: Rotation of the picture in radians.
        scale: Film units per chest unit.
        shift_x, shift_y: Where the origin of the chest frame lies on the film.
        turn: Rotation about the body's long axis in radians; the front moves to the patient's left.
        inspiration: From 0 (poor) to 1 (full).
        heart_magnification: Above 1 where the heart lies far from the film.
        arm_spread: How far the arms are from the body.
        scapula_over_lung: From 0 (rotated out of the lungs) to 1.
    """

    view: View
    tilt: float
    scale: float
    shift_x: float
    shift_y: float
    turn: float
    inspiration: float
    heart_magnification: float
    arm_spread: float
    scapula_over_lung: float


@dataclass(frozen=True, slots=True)
class Exposure:
    """How attenuation becomes grey.

    Attributes:
        centre: Attenuation that is shown mid-grey.
        contrast: Steepness of the film's curve.
        gamma: Exponent on the grey value.
        black, white: Grey values, from 0 to 1, of no and of full attenuation.
        gradient_x, gradient_y: Uneven exposure across the film.
        grain: Standard deviation of the finest noise in attenuation.
        scatter: Share of the attenuation that scattered radiation smears out.
    """

    centre: float
    contrast: float
    gamma: float
    black: float
    white: float
    gradient_x: float
    gradient_y: float
    grain: float
    scatter: float


def draw_pose(rng: np.random.Generator, normal: bool) -> Pose:
    """Draw the position; an abnormal study is somewhat more often a bedside film."""
    bedside = rng.random() < (AP_SHARE_NORMAL if normal else AP_SHARE_ABNORMAL)
    loose = 1.6 if bedside else 1.0
    return Pose(
        view="AP" if bedside else "PA",
        tilt=float(np.clip(rng.normal(0.0, 0.03 * loose), -0.12, 0.12)),
        scale=rng.uniform(0.92, 1.12),
        shift_x=float(np.clip(rng.normal(0.0, 0.04 * loose), -0.12, 0.12)),
        shift_y=float(np.clip(rng.normal(0.02, 0.04 * loose), -0.10, 0.12)),
        turn=float(np.clip(rng.normal(0.0, 0.08 * loose), -0.3, 0.3)),
        inspiration=rng.uniform(0.0, 0.8) if bedside else rng.uniform(0.35, 1.0),
        heart_magnification=rng.uniform(1.04, 1.12) if bedside else rng.uniform(0.98, 1.02),
        arm_spread=rng.uniform(0.0, 0.35) if bedside else rng.uniform(0.15, 0.6),
        scapula_over_lung=rng.uniform(0.4, 1.0) if bedside else rng.uniform(0.0, 0.3),
    )


def draw_exposure(rng: np.random.Generator, view: View) -> Exposure:
    """Draw the exposure; bedside films are flatter, grainier and less even."""
    bedside = view == "AP"
    loose = 1.5 if bedside else 1.0
    return Exposure(
        centre=rng.uniform(0.46, 0.64),
        contrast=rng.uniform(2.0, 3.6) if bedside else rng.uniform(2.6, 4.4),
        gamma=rng.uniform(0.85, 1.2),
        black=rng.uniform(0.0, 0.05),
        white=rng.uniform(0.90, 1.0),
        gradient_x=float(rng.normal(0.0, 0.025 * loose)),
        gradient_y=float(rng.normal(0.0, 0.02)),
        grain=rng.uniform(0.006, 0.018) * loose,
        scatter=rng.uniform(0.05, 0.35),
    )

"""The patient: what stays the same from one film to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A patient's build, in the chest frame.

    The chest frame has its origin near the middle of the chest and the unit of half a film: x runs from
    the patient's right (-1) to the patient's left (1), y from the neck (-1) to the abdomen (1).

    Attributes:
        fat: Thickness of the soft tissue, from 0 (thin) to 1 (obese).
        breast: Size of the breast shadows, 0 for none.
        chest_half_width: Half the inner width of the rib cage at its widest.
        rib_top: Height of the first rib at the spine.
        rib_spacing: Distance from one rib to the next at the spine.
        rib_drop: How far a middle rib falls from the spine to its front end.
        rib_half_width: Half the height of a rib.
        heart_ratio: Width of the heart over the inner width of the chest.
        heart_tilt: Lying (0) to upright (1) heart.
        knob: Size of the aortic knob.
        dome: Height of the right dome of the diaphragm in full inspiration.
        dome_gap: How much lower the left dome stands.
        shoulder: Slope of the shoulders.
        clavicle: Slope of the clavicles.
        vascularity: Strength of the vessels.
        bone: Density of the bones (low in old age).
    """

    fat: float
    breast: float
    chest_half_width: float
    rib_top: float
    rib_spacing: float
    rib_drop: float
    rib_half_width: float
    heart_ratio: float
    heart_tilt: float
    knob: float
    dome: float
    dome_gap: float
    shoulder: float
    clavicle: float
    vascularity: float
    bone: float


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw a patient's build.

    Example:
        >>> 0.4 < draw_anatomy(np.random.default_rng(0)).heart_ratio < 0.5
        True
    """
    fat = float(rng.beta(2.0, 2.4))
    female = rng.random() < 0.5
    low, high = (0.3, 1.0) if female else (0.0, 0.12)
    slim = 1.0 - fat
    return Anatomy(
        fat=fat,
        breast=rng.uniform(low, high) * (0.6 + 0.6 * fat),
        chest_half_width=rng.uniform(0.60, 0.68) + 0.02 * fat,
        rib_top=rng.uniform(-0.76, -0.70),
        rib_spacing=rng.uniform(0.110, 0.132) + 0.010 * slim,
        rib_drop=rng.uniform(0.30, 0.46),
        rib_half_width=rng.uniform(0.019, 0.026),
        heart_ratio=rng.uniform(0.41, 0.505),
        heart_tilt=float(np.clip(0.5 * slim + rng.uniform(0.0, 0.6), 0.0, 1.0)),
        knob=rng.uniform(0.015, 0.07),
        dome=rng.uniform(0.44, 0.54),
        dome_gap=rng.uniform(0.01, 0.07),
        shoulder=rng.uniform(-0.06, 0.08),
        clavicle=rng.uniform(-0.02, 0.14),
        vascularity=rng.uniform(0.65, 1.35),
        bone=rng.uniform(0.7, 1.2),
    )

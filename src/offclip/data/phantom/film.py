"""The layers of a film before it is exposed, and how they add up to attenuation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from offclip.data.phantom.acquisition import Pose
from offclip.data.phantom.anatomy import Anatomy
from offclip.data.phantom.canvas import Canvas, Field, Mask
from offclip.data.phantom.heart import Heart
from offclip.data.phantom.organs import (
    draw_airways,
    draw_body,
    draw_breasts,
    draw_stomach_bubble,
    lung_outline,
)
from offclip.data.phantom.skeleton import LEFT, RIGHT, SIDES, RibCage, draw_girdle, draw_ribs
from offclip.data.phantom.vessels import draw_hila, draw_vessels

COARSE = 64  # side of the grid of everything that changes slowly


@dataclass(slots=True)
class Film:
    """The layers of one film; findings change them in place.

    Attributes:
        canvas, anatomy, pose, cage, heart: What the layers were drawn from.
        lungs: Boards of the right (-1) and left (1) lung, before any finding.
        tissue: (size, size) attenuation of the soft tissue as if there were no lungs.
        air: (size, size) share of air, 0 to about 1.
        vessels: (size, size) pulmonary vessels.
        ribs: (size, size) ribs.
        dense: (size, size) attenuation added by other bones, metal, calcium.
    """

    canvas: Canvas
    anatomy: Anatomy
    pose: Pose
    cage: RibCage
    heart: Heart
    lungs: dict[int, Mask]
    tissue: Field
    air: Field
    vessels: Field
    ribs: Field
    dense: Field

    def opacify(self, shape: Field, strength: float) -> None:
        """Replace air by tissue or fluid: ``shape`` from 0 to 1, ``strength`` the share at 1."""
        self.air *= 1 - strength * shape

    def attenuation(self) -> Field:
        """What the layers add up to."""
        slim = 1 - self.anatomy.fat
        depth = np.float32(0.50 + 0.14 * slim)
        vessels = np.float32(0.26 * self.anatomy.vascularity) * self.vessels
        ribs = self.ribs * (np.float32(0.30) + np.float32(0.70) * self.air)  # they hardly show without air
        return cast(Field, self.tissue - self.air * (depth - vessels) + ribs + self.dense)


def texture(rng: np.random.Generator, canvas: Canvas, cells: int) -> Field:
    """Smooth noise of unit variance at its nodes, ``cells`` across the film, the same at every size."""
    nodes = rng.standard_normal((cells, cells), dtype=np.float32)
    coarse = cv2.resize(nodes, (COARSE, COARSE), interpolation=cv2.INTER_CUBIC)
    return canvas.enlarge(cast(Field, coarse))


def _coarse(board: Mask, blur: float) -> Field:
    """A board on the coarse grid, blurred by ``blur`` film units."""
    small = cv2.resize(board, (COARSE, COARSE), interpolation=cv2.INTER_AREA).astype(np.float32)
    small *= np.float32(1 / 255)
    return cast(Field, cv2.GaussianBlur(small, (0, 0), blur * COARSE / 2, borderType=cv2.BORDER_REPLICATE))


def build_film(
    canvas: Canvas,
    anatomy: Anatomy,
    pose: Pose,
    enlargement: float | None,
    raised: dict[int, float],
    vessel_rng: np.random.Generator,
    texture_rng: np.random.Generator,
) -> Film:
    """Draw a patient's normal layers.

    Args:
        canvas: The drawing board.
        anatomy: The patient.
        pose: The position.
        enlargement: Severity of cardiomegaly, if there is one.
        raised: By how much the dome of a side (-1, 1) stands too high.
        vessel_rng: The patient's stream for the vessels.
        texture_rng: The study's stream for uneven tissue and stomach gas.
    """
    cage = RibCage.of(anatomy, pose)
    heart = Heart.of(anatomy, pose, cage, enlargement)
    lungs = {
        side: canvas.fill([lung_outline(anatomy, pose, cage, side, raised.get(side, 0.0))]) for side in SIDES
    }
    lung = canvas.field(lungs[RIGHT] | lungs[LEFT], blur=0.010)
    outline = canvas.fill([heart.outline()])
    shadow = canvas.field(outline, blur=0.016)
    air = cast(Field, lung * (1 - np.float32(0.76) * shadow))
    air += np.float32(0.30) * canvas.field(draw_airways(canvas, cage), blur=0.012)
    air *= 1 - texture_rng.uniform(0.0, 0.14) * (1 + 0.6 * texture(texture_rng, canvas, 6))  # no lung is even
    bubble = draw_stomach_bubble(canvas, anatomy, pose, texture_rng)
    if texture_rng.random() < 0.55:
        air += np.float32(texture_rng.uniform(0.2, 0.55)) * canvas.field(bubble, blur=0.03)
    tissue = _soft_tissue(canvas, anatomy, pose, cage, texture_rng)
    tissue += np.float32(0.12) * shadow * canvas.enlarge(_coarse(outline, 0.10))
    density = np.float32(0.40 * anatomy.bone)
    ribs = canvas.field(draw_ribs(canvas, anatomy, cage)) * density
    girdle = canvas.field(draw_girdle(canvas, anatomy, pose, cage)) * density
    vessels = canvas.field(draw_vessels(canvas, anatomy, cage, vessel_rng), blur=0.0045)
    vessels += np.float32(0.45) * canvas.field(draw_hila(canvas, cage), blur=0.05)
    return Film(canvas, anatomy, pose, cage, heart, lungs, tissue, air, vessels, ribs, girdle)


def _soft_tissue(
    canvas: Canvas, anatomy: Anatomy, pose: Pose, cage: RibCage, rng: np.random.Generator
) -> Field:
    """Skin, fat and muscle: thick in the middle of the trunk, thin at its margin."""
    trunk, arms = draw_body(canvas, anatomy, pose, cage)
    bulk = _coarse(trunk, 0.15)
    rows = np.linspace(-1, 1, COARSE) / pose.scale - pose.shift_y
    top = cage.top
    thickness = np.interp(
        rows, [top - 0.4, top, top + 0.35, top + 0.9, top + 1.4], [0.58, 0.62, 0.84, 0.96, 1.10]
    ).astype(np.float32)[:, None]
    bulk = bulk**1.4 * thickness
    uneven = cv2.resize(
        rng.standard_normal((5, 5), dtype=np.float32), (COARSE, COARSE), interpolation=cv2.INTER_CUBIC
    )
    bulk *= 1 + np.float32(0.03) * uneven
    bulk += np.float32(0.05 + 0.05 * anatomy.fat)
    tissue = canvas.field(trunk, blur=0.008) * canvas.enlarge(bulk)
    limb = canvas.field(arms, blur=0.012) * np.float32(0.30 + 0.12 * anatomy.fat)
    tissue = np.maximum(tissue, limb)
    if anatomy.breast > 0.02:
        breasts = canvas.field(draw_breasts(canvas, anatomy, cage), blur=0.022)
        tissue += np.float32(0.02 + 0.15 * anatomy.breast) * breasts
    return tissue

"""From findings to pixels: build the layers, let each finding change them, expose the film."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from offclip.data.phantom.acquisition import Exposure, Pose, View, draw_exposure, draw_pose
from offclip.data.phantom.anatomy import draw_anatomy
from offclip.data.phantom.canvas import Canvas, Field, Mask
from offclip.data.phantom.extras import draw_extras
from offclip.data.phantom.film import build_film, texture
from offclip.data.phantom.findings import FINDINGS, Finding
from offclip.data.phantom.lesions import LESIONS, raised_dome, side_sign
from offclip.data.phantom.streams import Purpose, patient_number, stream

_VEIL = 32  # side of the grid on which scattered radiation is smeared out


@dataclass(frozen=True, slots=True)
class Box:
    """Bounding box of a finding in pixels of the image, (x, y) its upper left corner.

    Coordinates are continuous: the pixel of row r and column c covers [c, c + 1) x [r, r + 1).
    """

    finding: Finding
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A rendered film: (size, size) uint8 image, view, and a box for each finding."""

    image: NDArray[np.uint8]
    view: View
    boxes: tuple[Box, ...]


def render(seed: int, index: int, size: int, findings: tuple[Finding, ...]) -> Picture:
    """Render study ``index`` with the given findings.

    The patient, the position and the exposure depend on the seed and the index alone, except that an
    abnormal study is drawn from a slightly different mixture of views.
    """
    patient = patient_number(seed, index)
    anatomy = draw_anatomy(stream(seed, patient, Purpose.ANATOMY))
    pose = draw_pose(stream(seed, index, Purpose.POSE), normal=not findings)
    exposure = draw_exposure(stream(seed, index, Purpose.EXPOSURE), pose.view)
    canvas = Canvas.of(size, pose)
    film = build_film(
        canvas,
        anatomy,
        pose,
        enlargement=next((f.severity for f in findings if f.name == "cardiomegaly"), None),
        raised={side_sign(f): raised_dome(f) for f in findings if f.name == "atelectasis"},
        vessel_rng=stream(seed, patient, Purpose.VESSELS),
        texture_rng=stream(seed, index, Purpose.TEXTURE),
    )
    boxes = []
    for finding in findings:
        rng = stream(seed, index, Purpose.LESION, FINDINGS.index(finding.name))
        boxes.append(_box(finding, LESIONS[finding.name](film, finding, rng), size))
    objects, opening = draw_extras(canvas, pose, stream(seed, index, Purpose.EXTRAS))
    attenuation = film.attenuation()
    if objects is not None:
        attenuation += np.float32(0.50) * objects
    image = _expose(attenuation, canvas, exposure, pose, stream(seed, index, Purpose.GRAIN))
    if opening is not None:
        image *= opening
    return Picture(np.rint(image * 255).astype(np.uint8), pose.view, tuple(boxes))


def _expose(
    attenuation: Field, canvas: Canvas, exposure: Exposure, pose: Pose, rng: np.random.Generator
) -> Field:
    """Attenuation to grey from 0 to 1: uneven exposure, grain, and the film's S-shaped curve."""
    size = canvas.size
    veil = cv2.resize(attenuation, (_VEIL, _VEIL), interpolation=cv2.INTER_AREA)
    veil = cv2.GaussianBlur(veil, (0, 0), 2.0, borderType=cv2.BORDER_REPLICATE)
    attenuation += np.float32(exposure.scatter) * (canvas.enlarge(cast(Field, veil)) - attenuation)
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    attenuation += np.float32(exposure.gradient_x) * ramp
    attenuation += np.float32(exposure.gradient_y) * ramp[:, None]
    attenuation += np.float32(exposure.grain * 0.6) * texture(rng, canvas, 64)
    fine = min(size, 256)
    grain = rng.standard_normal((fine, fine), dtype=np.float32)
    attenuation += np.float32(exposure.grain * fine / 256) * canvas.enlarge(grain)
    curve = np.tanh(np.float32(exposure.contrast / 2) * (attenuation - np.float32(exposure.centre)))
    low, high = (np.tanh(exposure.contrast / 2 * (edge - exposure.centre)) for edge in (0.0, 1.25))
    grey = np.clip((curve - np.float32(low)) / np.float32(high - low), 0, 1)
    grey = cv2.pow(grey, exposure.gamma)
    return np.float32(exposure.black) + np.float32(exposure.white - exposure.black) * grey  # type: ignore[return-value]


def _box(finding: Finding, board: Mask, size: int) -> Box:
    """Bounding box of a board, in pixels of the film."""
    x, y, width, height = cv2.boundingRect((board > 127).astype(np.uint8))
    ratio = size / board.shape[0]
    return Box(finding, x * ratio, y * ratio, width * ratio, height * ratio)

"""One small function for each finding: it changes the layers of a film and returns where.

Each returns a board (a mask on the drawing canvas) of what it drew; the box of the finding is the
bounding box of that board.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from offclip.data.phantom.canvas import Mask, Points, blob, smooth
from offclip.data.phantom.film import Film, texture
from offclip.data.phantom.findings import Finding
from offclip.data.phantom.heart import Heart
from offclip.data.phantom.organs import dome_height
from offclip.data.phantom.skeleton import LEFT, RIGHT, SIDES

Lesion = Callable[[Film, Finding, np.random.Generator], Mask]

_ZONE_HEIGHTS = {"upper": 0.30, "mid": 0.62, "lower": 0.94}
_SPINDLE = np.array([0.4, 0.9, 1.0, 0.8, 0.2])  # thickness along a band of atelectasis
_ROUND = np.linspace(0, 2 * np.pi, 20, endpoint=False)


def side_sign(finding: Finding) -> int:
    """1 for the patient's left, -1 for the right."""
    return LEFT if finding.side == "left" else RIGHT


def raised_dome(finding: Finding) -> float:
    """How far loss of volume pulls up the diaphragm."""
    return 0.02 + 0.06 * finding.severity if finding.name == "atelectasis" else 0.0


def draw_cardiomegaly(film: Film, finding: Finding, rng: np.random.Generator) -> Mask:
    """The heart was drawn large already; only its place is marked."""
    return film.canvas.fill([film.heart.box()])


def draw_effusion(film: Film, finding: Finding, rng: np.random.Generator) -> Mask:
    """Fluid that fills the costophrenic angle and climbs the wall."""
    side = side_sign(finding)
    base = dome_height(film.anatomy, film.pose, side) + 0.13 + 0.07 * film.pose.inspiration
    level = base - 0.06 - 0.50 * finding.severity**1.8
    climb = rng.uniform(0.07, 0.16)
    reach = film.cage.reach
    surface = smooth(
        np.array(
            [
                [side * reach * 1.15, level - climb * 1.4],
                [side * reach * 0.93, level - climb * 0.75],
                [side * reach * 0.70, level + 0.02],
                [side * reach * 0.42, level + 0.055],
                [0.0, level + 0.06],
            ]
        ),
        4,
        closed=False,
    )
    pool = np.concatenate([surface, [[0.0, 1.2], [side * reach * 1.15, 1.2]]])
    board = film.canvas.fill([pool]) & film.lungs[side]
    film.opacify(film.canvas.field(board, blur=0.022), rng.uniform(0.40, 0.85))
    return board


def draw_pneumothorax(film: Film, finding: Finding, rng: np.random.Generator) -> Mask:
    """A rim of air without vessels outside a thin pleural line."""
    side = side_sign(finding)
    top, reach = film.cage.top, film.cage.reach
    gap = 0.05 + 0.22 * finding.severity
    end = rng.uniform(0.45, 0.75) + 0.5 * finding.severity
    along = np.linspace(0.0, 1.0, 7)
    heights = top + 0.02 + gap * 0.8 + along * end
    wall = film.cage.wall(side, heights)
    rim = wall - side * gap * (1 - along**2)
    rim[0] = side * 0.16
    rim[1] = side * max(abs(rim[1]) * 0.86, 0.2)
    pleura = smooth(np.stack([rim, heights], axis=1), 4, closed=False)
    rest = np.array(
        [
            [side * reach * 1.1, heights[-1] + 0.02],
            [side * reach * 1.1, 1.2],
            [-side * 0.1, 1.2],
            [-side * 0.1, heights[0]],
        ]
    )
    kept = film.canvas.fill([np.concatenate([pleura, rest])])
    board = film.lungs[side] & ~kept
    free = film.canvas.field(board, blur=0.006)
    film.vessels *= 1 - free
    film.air *= 1 + np.float32(rng.uniform(0.10, 0.20)) * free
    lung = film.canvas.field(film.lungs[side] & kept, blur=0.01)
    film.opacify(lung, 0.04 + 0.12 * finding.severity)
    line = film.canvas.field(film.canvas.stroke([pleura], 0.009) & film.lungs[side])
    film.dense += np.float32(rng.uniform(0.05, 0.11)) * line
    return board


def draw_consolidation(film: Film, finding: Finding, rng: np.random.Generator) -> Mask:
    """A patch with soft, uneven borders."""
    side = side_sign(finding)
    size = rng.uniform(0.11, 0.17) + 0.06 * finding.severity
    centre = _place(film, finding, rng, margin=0.5 * size)
    shape = blob(rng, centre, (size, size * rng.uniform(0.75, 1.1)), 0.28)
    board = film.canvas.fill([shape]) & film.lungs[side]
    patch = film.canvas.field(board, blur=0.040)
    patch *= np.clip(1 + 0.30 * texture(rng, film.canvas, 20), 0.2, 1.4)
    film.opacify(patch, rng.uniform(0.30, 0.42) + 0.34 * finding.severity)
    return board


def draw_nodule(film: Film, finding: Finding, rng: np.random.Generator) -> Mask:
    """A small round spot."""
    size = rng.uniform(0.034, 0.042) + 0.026 * finding.severity
    centre = _place(film, finding, rng, margin=size)
    board = film.canvas.fill([blob(rng, centre, (size, size), 0.08)])
    spot = film.canvas.field(board, blur=0.008)
    film.dense += np.float32(rng.uniform(0.18, 0.24) + 0.08 * finding.severity) * spot
    return board


def draw_mass(film: Film, finding: Finding, rng: np.random.Generator) -> Mask:
    """A lobulated, well-defined opacity."""
    size = rng.uniform(0.075, 0.095) + 0.055 * finding.severity
    centre = _place(film, finding, rng, margin=0.8 * size)
    board = film.canvas.fill([blob(rng, centre, (size, size * rng.uniform(0.8, 1.1)), 0.12)])
    board &= film.lungs[side_sign(finding)]
    film.opacify(film.canvas.field(board, blur=0.012), rng.uniform(0.42, 0.55) + 0.25 * finding.severity)
    return board


def draw_edema(film: Film, finding: Finding, rng: np.random.Generator) -> Mask:
    """Haze around both hila, thick vessels, a fine net and short septal lines."""
    canvas, severity = film.canvas, finding.severity
    reach = film.cage.reach
    wings = [blob(rng, (side * 0.45 * reach, 0.02), (0.36 * reach, 0.40), 0.2) for side in SIDES]
    board = film.lungs[LEFT] | film.lungs[RIGHT]
    haze = canvas.field(canvas.fill(wings) & board, blur=0.09)
    haze *= 1 + 0.25 * texture(rng, canvas, 14)
    film.opacify(haze, 0.06 + 0.34 * severity)
    net = np.abs(texture(rng, canvas, 44)) * canvas.field(board, blur=0.01)
    film.opacify(net, 0.02 + 0.11 * severity)
    film.vessels *= np.float32(1.1 + 0.5 * severity)
    heights = rng.uniform(0.12, 0.40, 14)
    side = np.where(np.arange(14) % 2 == 0, LEFT, RIGHT)
    wall = np.abs(film.cage.wall(1, heights))
    starts = np.stack([side * (wall - 0.01), heights], axis=1)
    ends = np.stack(
        [side * (wall - rng.uniform(0.05, 0.09, 14)), heights + rng.uniform(-0.01, 0.01, 14)], axis=1
    )
    lines = canvas.field(canvas.stroke(np.stack([starts, ends], axis=1), 0.006) & board)
    film.dense += np.float32(0.01 + 0.05 * severity) * lines
    return board


def draw_atelectasis(film: Film, finding: Finding, rng: np.random.Generator) -> Mask:
    """One to three plate-like bands above the diaphragm."""
    side = side_sign(finding)
    reach = film.cage.reach
    dome = dome_height(film.anatomy, film.pose, side) - raised_dome(finding)
    bands = []
    for number in range(1 + int(finding.severity * 2.99)):
        x0, length = rng.uniform(0.34, 0.48) * reach, rng.uniform(0.32, 0.50) * reach
        y0, slope = dome - 0.055 - 0.055 * number - rng.uniform(0.0, 0.04), rng.uniform(-0.25, 0.15)
        thick = rng.uniform(0.008, 0.013) + 0.008 * finding.severity
        middle = np.array(
            [
                [x0 + length * t, y0 + slope * length * t + 0.02 * np.sin(3 * t)]
                for t in (0, 0.25, 0.5, 0.75, 1)
            ]
        )
        half = np.stack([np.zeros(5), thick * _SPINDLE], axis=1)
        outline = np.concatenate(
            [smooth(middle - half, 3, closed=False), smooth(middle + half, 3, closed=False)[::-1]]
        )
        bands.append(outline * np.array([side, 1]))
    board = film.canvas.blank()
    for band in bands:  # one by one, because they may cross
        film.canvas.fill([band], onto=board)
    board &= film.lungs[side]
    film.opacify(film.canvas.field(board, blur=0.007), rng.uniform(0.32, 0.46) + 0.22 * finding.severity)
    return board


def draw_hernia(film: Film, finding: Finding, rng: np.random.Generator) -> Mask:
    """A rounded shadow behind the heart, often with a gas bubble over a fluid level."""
    size = rng.uniform(0.10, 0.125) + 0.06 * finding.severity
    x = film.cage.shift(-0.2) + rng.uniform(-0.03, 0.06)
    y = dome_height(film.anatomy, film.pose, LEFT) - 0.55 * size
    sac = np.array([x, y]) + size * np.stack([1.1 * np.cos(_ROUND), np.sin(_ROUND)], axis=1)
    board = film.canvas.fill([sac])
    film.dense += np.float32(rng.uniform(0.12, 0.19)) * film.canvas.field(board, blur=0.012)
    level = y - rng.uniform(-0.1, 0.25) * size
    gas = np.array([x, y]) + (sac - np.array([x, y])) * 0.86
    gas[:, 1] = np.minimum(gas[:, 1], level)
    film.dense -= np.float32(rng.uniform(0.20, 0.32)) * film.canvas.field(film.canvas.fill([gas]), blur=0.006)
    return board


def draw_pacemaker(film: Film, finding: Finding, rng: np.random.Generator) -> Mask:
    """A generator below the clavicle with leads to the right atrium and ventricle."""
    side = side_sign(finding)
    canvas, heart = film.canvas, film.heart
    reach = film.cage.reach
    centre = np.array([side * reach * rng.uniform(0.66, 0.86), film.cage.top + rng.uniform(0.34, 0.46)])
    size = rng.uniform(0.075, 0.095)
    can = 0.5 * (np.abs(np.cos(_ROUND)) ** 0.55 * np.sign(np.cos(_ROUND)) + np.cos(_ROUND))
    tall = 0.5 * (np.abs(np.sin(_ROUND)) ** 0.55 * np.sign(np.sin(_ROUND)) + np.sin(_ROUND))
    box = canvas.fill([centre + size * np.stack([can, 0.82 * tall], axis=1)])
    leads = [_lead(film, side, centre, target) for target in _lead_tips(heart, two=rng.random() < 0.6)]
    wires = canvas.stroke(leads, 0.009)
    for lead in leads:
        canvas.stroke([lead[-3:]], 0.018, 255, wires)
    film.dense += np.float32(rng.uniform(0.16, 0.42)) * canvas.field(box, blur=0.004)
    film.dense += np.float32(rng.uniform(0.10, 0.24)) * canvas.field(wires)
    return box


def _lead_tips(heart: Heart, two: bool) -> list[Points]:
    """Ways of the leads inside the heart: to the ventricle, and perhaps to the atrium."""
    m, r, w, low = heart.middle, heart.right, heart.left, heart.bottom
    ventricle = np.array([[m - 0.55 * r, low - 0.25], [m - 0.2 * r, low - 0.06], [m + 0.62 * w, low - 0.05]])
    atrium = np.array(
        [[m - 0.6 * r, low - 0.24], [m - 0.45 * r, low - 0.17], [m - 0.55 * r, heart.top + 0.22]]
    )
    return [ventricle, atrium] if two else [ventricle]


def _lead(film: Film, side: int, start: Points, tips: Points) -> Points:
    """From the generator through the subclavian vein and the superior vena cava."""
    vein = np.array(
        [
            [side * 0.16 + film.heart.middle, -0.50],
            [-0.055 + film.heart.middle, -0.36],
            [-0.075 + film.heart.middle, -0.15],
        ]
    )
    pocket = start + np.array([[-side * 0.05, -0.06], [-side * 0.14, -0.115]])
    return smooth(np.concatenate([pocket, vein, tips]), 5, closed=False)


def _place(film: Film, finding: Finding, rng: np.random.Generator, margin: float) -> tuple[float, float]:
    """A place inside the lung, in the zone of the finding, beside heart and hilum."""
    side = side_sign(finding)
    top = film.cage.top
    y = top + _ZONE_HEIGHTS[finding.zone or "mid"] + rng.uniform(-0.09, 0.09)
    y = min(y, dome_height(film.anatomy, film.pose, side) - margin - 0.01)
    outer = float(abs(film.cage.wall(side, np.array([y]))[0])) - margin - 0.02
    low_heart = film.heart.middle * side + (film.heart.left if side == LEFT else film.heart.right)
    inner = 0.20 if y < film.heart.top + 0.1 else min(0.90 * low_heart + 0.5 * margin, 0.55)
    inner = min(max(inner, 0.16) + 0.3 * margin, outer - 0.02)
    return side * (inner + (outer - inner) * rng.random()), y


LESIONS: dict[str, Lesion] = {
    "cardiomegaly": draw_cardiomegaly,
    "pleural effusion": draw_effusion,
    "pneumothorax": draw_pneumothorax,
    "consolidation": draw_consolidation,
    "nodule": draw_nodule,
    "mass": draw_mass,
    "edema": draw_edema,
    "atelectasis": draw_atelectasis,
    "hiatal hernia": draw_hernia,
    "pacemaker": draw_pacemaker,
}

"""What a film shows besides the patient: side markers, ECG leads, collimation."""

from __future__ import annotations

import numpy as np

from offclip.data.phantom.acquisition import Pose
from offclip.data.phantom.canvas import Canvas, Field, Points, smooth

_LETTERS: dict[str, list[Points]] = {
    "L": [np.array([[-0.5, -1.0], [-0.5, 1.0], [0.6, 1.0]])],
    "R": [
        np.array(
            [[-0.5, 1.0], [-0.5, -1.0], [0.25, -1.0], [0.55, -0.75], [0.55, -0.25], [0.25, 0.0], [-0.5, 0.0]]
        ),
        np.array([[0.1, 0.0], [0.6, 1.0]]),
    ],
}


def draw_extras(canvas: Canvas, pose: Pose, rng: np.random.Generator) -> tuple[Field | None, Field | None]:
    """Markers and leads as a field from 0 to 1, and the irradiated area; either may be missing."""
    film = canvas.film_frame()
    board = canvas.blank()
    drawn = False
    if rng.random() < 0.75:
        drawn = True
        _draw_marker(film, board, rng)
    bedside = pose.view == "AP"
    if rng.random() < (0.65 if bedside else 0.12):
        drawn = True
        _draw_leads(canvas, board, rng)
    opening = None
    if rng.random() < 0.40:
        inset = np.where(rng.random(4) < 0.5, rng.uniform(0.0, 0.07, 4), -0.2)
        skew = rng.normal(0.0, 0.012, 4)
        x0, y0, x1, y1 = -1 + inset[0], -1 + inset[1], 1 - inset[2], 1 - inset[3]
        corners = np.array(
            [
                [x0 + skew[0], y0 - skew[1]],
                [x1 + skew[2], y0 + skew[1]],
                [x1 - skew[2], y1 + skew[3]],
                [x0 - skew[0], y1 - skew[3]],
            ]
        )
        opening = canvas.field(film.fill([corners]), blur=0.006)
    return (canvas.field(board) if drawn else None), opening


def _draw_marker(film: Canvas, board: np.ndarray, rng: np.random.Generator) -> None:
    """The letter of a side, on that side of the film."""
    letter = "L" if rng.random() < 0.6 else "R"
    outward = 1 if letter == "L" else -1
    centre = np.array([outward * rng.uniform(0.80, 0.92), rng.uniform(-0.92, -0.62)])
    size, angle = rng.uniform(0.030, 0.045), rng.normal(0.0, 0.12)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * size
    film.stroke(
        [line @ turn + centre for line in _LETTERS[letter]], 0.016, int(rng.integers(170, 255)), board
    )


def _draw_leads(canvas: Canvas, board: np.ndarray, rng: np.random.Generator) -> None:
    """Round electrodes on the chest with thin cables."""
    for _ in range(int(rng.integers(2, 5))):
        x, y = rng.uniform(-0.72, 0.72), rng.uniform(-0.55, 0.55)
        start = np.array([x, y])
        away = np.array(
            [np.sign(x) * rng.uniform(0.2, 0.6), rng.uniform(0.1, 0.9) * np.sign(rng.random() - 0.4)]
        )
        cable = smooth(
            np.array([start, start + away * [0.3, 0.1], start + away * [0.7, 0.6], start + away * 1.4]),
            5,
            closed=False,
        )
        if rng.random() < 0.7:
            canvas.stroke([cable], 0.006, 80, board)
        angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        ring = start + rng.uniform(0.016, 0.024) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        canvas.fill([ring], int(rng.integers(110, 190)), board)

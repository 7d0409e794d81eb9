"""Heat maps over films: what each of two models looks at, with the ground-truth box."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from offclip.data.phantom import phantom_case
from offclip.errors import OffclipError
from offclip.evaluation.drawing.films import SHOWN, data_uri, shrink, under_heat
from offclip.evaluation.report.probe import Case, Close
from offclip.grounding.pointing import Box, point
from offclip.images.geometry import Letterbox
from offclip.images.reading import read


@dataclass(frozen=True, slots=True)
class Overlay:
    """One model's heat map over one film.

    Attributes:
        picture: Data URI.
        x, y: Centre of the largest cell, in original pixels.
        hit: Whether that lies in a box; None when several cells share the maximum and only some do.
    """

    picture: str
    x: float
    y: float
    hit: bool | None


@dataclass(frozen=True, slots=True)
class Card:
    """One case of the gallery.

    Attributes:
        image_id, finding: What is shown.
        width, height: Of the original image in pixels; boxes and maxima are in these.
        film: Data URI of the film itself.
        boxes: Ground truth.
        overlays: One a model.
        called: For a normal film, the findings that each model calls; None when that is not known.
    """

    image_id: str
    finding: str
    width: int
    height: int
    film: str
    boxes: tuple[Box, ...]
    overlays: tuple[Overlay, ...]
    called: tuple[tuple[str, ...] | None, ...]


def cards(cases: Sequence[Case], models: Sequence[Close], folder: Path) -> list[Card]:
    """The gallery; a film that cannot be read again is left out."""
    result = []
    for case in cases:
        image_id = case.image.image_id
        if not all(image_id in model.geometry for model in models):
            continue
        try:
            film = film_of(case, folder)
        except OffclipError:
            continue
        geometry = models[0].geometry[image_id]
        overlays = [
            overlay(film, model.maps[image_id], model.geometry[image_id], case.boxes)
            for model in models
            if image_id in model.maps
        ]
        called = tuple(model.called.get(image_id) for model in models)
        result.append(
            Card(
                image_id,
                case.finding.replace("_", " ").lower(),
                geometry.width,
                geometry.height,
                data_uri(film),
                case.boxes,
                tuple(overlays),
                called,
            )
        )
    return result


def film_of(case: Case, folder: Path) -> np.ndarray:
    """(H, W) uint8 to look at: a phantom is drawn again at 256 pixels, another image is shrunk to that.

    Raises:
        ImageError: The file cannot be read.
    """
    parameters = phantom_parameters(folder)
    number = re.match(r"S(\d{6})_", case.image.image_id)
    if parameters and number:
        drawn = phantom_case(parameters["seed"], int(number[1]), SHOWN, parameters["style"])
        if drawn.image_id == case.image.image_id:
            return drawn.image
    return shrink(read(case.image.path).pixels)


def phantom_parameters(folder: Path) -> dict[str, Any] | None:
    """phantom.json of a synthetic data folder; None for any other."""
    try:
        found = json.loads((folder / "phantom.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"seed", "style"} <= found.keys() else None


def overlay(film: np.ndarray, heat_map: np.ndarray, geometry: Letterbox, boxes: Sequence[Box]) -> Overlay:
    """A heat map over a film, coloured from its median to its maximum; the lower half is transparent."""
    height, width = film.shape
    # The film is shown smaller than it is; scales are per axis, so the same record serves.
    heat = replace(geometry, height=height, width=width).map_to_original(heat_map)
    x, y = maximum(heat_map, geometry)
    hit = point(heat_map, geometry, boxes).hit
    return Overlay(data_uri(under_heat(film, heat)), x, y, None if 0 < hit < 1 else hit == 1)


def maximum(heat_map: np.ndarray, geometry: Letterbox) -> tuple[float, float]:
    """The centre, in original pixels, of the largest cell whose centre lies over the image.

    Example:
        >>> heat = np.zeros((4, 4)); heat[0, 3] = 1
        >>> maximum(heat, Letterbox.of(height=64, width=64, size=64))
        (56.0, 8.0)
    """
    rows, columns = heat_map.shape
    for cell in np.argsort(-heat_map, axis=None, kind="stable"):
        row, column = divmod(int(cell), columns)
        x, y = geometry.to_original(
            x=(column + 0.5) * geometry.size / columns, y=(row + 0.5) * geometry.size / rows
        )
        if 0 <= x <= geometry.width and 0 <= y <= geometry.height:
            return x, y
    return geometry.width / 2, geometry.height / 2

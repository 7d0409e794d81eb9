"""Insertion and deletion: does the logit change when the cells that a map points at appear or vanish?

Boxes say whether a map agrees with radiologists. This says whether it agrees with the model: the cells are
put in, or taken out, from the largest value to the smallest, and the area under the curve of the logit is
compared with that of random orders of the same cells. Without that reference the area means nothing: it
depends on the scale of the logits and on how an image without its cells looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from offclip.errors import ConfigError, InputError
from offclip.images.geometry import Letterbox
from offclip.models.interface import ClipModel

Baseline = Literal["blur", "mean"]
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class FaithfulnessOptions:
    """How insertion and deletion are played.

    Attributes:
        steps: Points of a curve after the first; cells change in so many groups.
        random_orders: Random orders that a map is compared with.
        baseline: What stands where a cell is missing: the image blurred until no finding is left, or its
            mean grey.
        seed: Of the random orders, and of the order of tied cells.

    Raises:
        ConfigError: A number is below 1, or the baseline is unknown.
    """

    steps: int = 16
    random_orders: int = 10
    baseline: Baseline = "blur"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.random_orders < 1:
            raise ConfigError("Too few steps or random orders.", "Give at least 1 of each.")
        if self.baseline not in ("blur", "mean"):
            raise ConfigError(f"Unknown baseline {self.baseline!r}.", "Choose blur or mean.")


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Insertion and deletion of one map.

    Attributes:
        insertion, deletion: Area under the curve of the logit, over shares of the cells from 0 to 1. A
            faithful map has a large insertion and a small deletion.
        random_insertion, random_deletion: Mean of the random orders.
        insertion_rank, deletion_rank: Share of the random orders that the map beats, a tie counts half: 0.5
            for a map that knows nothing of the model.
    """

    insertion: float
    deletion: float
    random_insertion: float
    random_deletion: float
    insertion_rank: float
    deletion_rank: float


@torch.inference_mode()
def faithfulness(
    model: ClipModel,
    square: np.ndarray,
    geometry: Letterbox,
    prompt: str,
    heat_map: np.ndarray,
    options: FaithfulnessOptions = FaithfulnessOptions(),
) -> Faithfulness:
    """Plays insertion and deletion with one map.

    Cells whose centre lies in the padding stay as they are.

    Args:
        model: In evaluation mode.
        square: (S, S) uint8, the image in the model's square.
        geometry: How it got there.
        prompt: What the map is about.
        heat_map: (rows, columns) over the square; rows and columns divide S.
        options: Steps, baseline, reference.

    Raises:
        InputError: The map does not fit the square, or is not finite.

    Source:
        Petsiuk, Das, Saenko, RISE: Randomized input sampling for explanation of black-box models, BMVC 2018.
        They take the probability of a class; here it is the logit of the sentence, which has no other
        classes to share with.
    """
    size = len(square)
    rows, columns = heat_map.shape
    if size % rows or size % columns or not np.isfinite(heat_map).all():
        raise InputError(
            f"A map of {rows} x {columns} cells on a square of {size} pixels.",
            "Give finite values, on cells that divide the square.",
        )
    cells = np.flatnonzero(cells_over_image(geometry, rows, columns))
    rng = np.random.default_rng(options.seed)
    drawn = rng.permutation(cells)  # tied cells in random order: a constant map is a random order
    orders = [drawn[np.argsort(-heat_map.flat[drawn], kind="stable")]]
    orders += [rng.permutation(cells) for _ in range(options.random_orders)]
    score = model.scorer([prompt])
    empty = missing(square, options.baseline)

    def curve(start: np.ndarray, end: np.ndarray, order: np.ndarray) -> float:
        frames = _frames(start, end, order, (rows, columns), options.steps)
        logits = torch.cat([score(model.encode_image(_pixels(model, part))) for part in _batches(frames)])
        return area_under(logits[:, 0].double().cpu().numpy())

    insertions = [curve(empty, square, order) for order in orders]
    deletions = [curve(square, empty, order) for order in orders]
    return Faithfulness(
        insertions[0],
        deletions[0],
        float(np.mean(insertions[1:])),
        float(np.mean(deletions[1:])),
        _beaten(np.array(insertions)),
        _beaten(-np.array(deletions)),
    )


def area_under(values: np.ndarray) -> float:
    """Area under a curve of equally spaced values over [0, 1], by trapezoids.

    Example:
        >>> area_under(np.array([0.0, 1.0, 1.0]))
        0.75
    """
    return float((values[1:] + values[:-1]).mean() / 2)


def missing(square: np.ndarray, baseline: Baseline) -> np.ndarray:
    """The square without what there is to see: blurred by a sixteenth of its side, or its mean grey.

    Petsiuk et al. blur by 5 of 224 pixels, which leaves shapes as large as a heart as they were.
    """
    if baseline == "mean":
        return np.full_like(square, round(float(square.mean())))
    return cv2.GaussianBlur(square, (0, 0), len(square) / 16)


def cells_over_image(geometry: Letterbox, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) bool: cells whose centre does not lie in the padding."""
    size = geometry.size
    y = (np.arange(rows) + 0.5) * size / rows - geometry.pad_top
    x = (np.arange(columns) + 0.5) * size / columns - geometry.pad_left
    inside_rows = (y >= 0) & (y <= geometry.inner_height)
    return inside_rows[:, None] & ((x >= 0) & (x <= geometry.inner_width))


def _frames(
    start: np.ndarray, end: np.ndarray, order: np.ndarray, grid: tuple[int, int], steps: int
) -> np.ndarray:
    """(steps + 1, S, S): the first is `start`; in the last, all cells of the order are those of `end`."""
    when = np.full(grid[0] * grid[1], np.inf)  # at which step a cell changes
    bounds = np.round(np.linspace(0, len(order), steps + 1)).astype(int)
    for step in range(steps):
        when[order[bounds[step] : bounds[step + 1]]] = step + 1
    block = np.ones((len(start) // grid[0], len(start) // grid[1]))
    changes = np.kron(when.reshape(grid), block)
    return np.stack([np.where(changes <= step, end, start) for step in range(steps + 1)])


def _batches(frames: np.ndarray) -> list[Tensor]:
    return list(torch.from_numpy(frames).split(_AT_ONCE))


def _pixels(model: ClipModel, squares: Tensor) -> Tensor:
    return model.preprocess.normalise(squares.to(model.device))


def _beaten(areas: np.ndarray) -> float:
    own, others = areas[0], areas[1:]
    # Differences of the last bits of a float32 logit are ties.
    close = np.isclose(others, own, rtol=1e-6, atol=1e-7)
    return float(np.where(close, 0.5, own > others).mean())

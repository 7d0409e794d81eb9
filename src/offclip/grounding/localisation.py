"""How well a heat map covers a region: IoU, Dice, contrast-to-noise ratio and energy, in original pixels.

Everything here takes a map in original pixels, as `Letterbox.map_to_original` makes it with NaN where the
model did not look, and the region's pixels, as `regions.union` makes them. Pixels of NaN count nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offclip.errors import InputError


@dataclass(frozen=True, slots=True)
class Cut:
    """A rule that makes a region of a map: the pixels at or above a value.

    Attributes:
        kind: `"quantile"`: the value is a quantile of the map. `"range"`: it lies that share of the way from
            the map's minimum to its maximum; for a map whose minimum is zero, that share of the maximum.
        at: Quantile or share, in (0, 1).

    Example:
        >>> Cut("range", 0.5).of(np.array([[0.0, 1.0, 2.0, 4.0]]))
        array([[False, False,  True,  True]])
    """

    kind: str
    at: float

    def of(self, heat: np.ndarray) -> np.ndarray:
        """The pixels at or above the value; False where the map is NaN."""
        return heat >= self.value(heat[~np.isnan(heat)])

    def value(self, seen: np.ndarray) -> float:
        """The value at which a map with these values is cut."""
        return float(_values(seen, [self])[0])


# Fixed before any result was seen. Regions of chest films cover from half a percent to half of the image.
CUTS = tuple(Cut("quantile", q) for q in (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99)) + tuple(
    Cut("range", round(0.1 * tenth, 1)) for tenth in range(1, 10)
)


@dataclass(frozen=True, slots=True)
class Overlap:
    """How a region that was found agrees with the true one; NaN where there is nothing to compare.

    Attributes:
        iou: Pixels in both, by pixels in either (Jaccard).
        dice: Twice the pixels in both, by the sum of both.
    """

    iou: float
    dice: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """How a map differs inside and outside of a region, without any threshold.

    Attributes:
        cnr: Contrast-to-noise ratio with its sign: (mean inside - mean outside) / sqrt(variance inside +
            variance outside). Boecking et al. (MS-CXR) report its absolute value, which praises a map that
            avoids the region as much as one that finds it. 0 for a constant map; NaN where only the
            variances are 0, or one side is empty.
        energy: Share of the map's positive part that lies in the region; `area` where nothing is positive.
        area: Share of the pixels that lie in the region: the energy of a constant map.
    """

    cnr: float
    energy: float
    area: float


def overlap(found: np.ndarray, truth: np.ndarray) -> Overlap:
    """IoU and Dice of two bool arrays of one shape.

    Source:
        Jaccard 1901; Dice, Ecology 26 (1945).

    Example:
        >>> overlap(np.array([True, True, False]), np.array([False, True, True])).dice
        0.5
    """
    both, either = int((found & truth).sum()), int((found | truth).sum())
    if not either:
        return Overlap(math.nan, math.nan)
    return Overlap(both / either, 2 * both / (either + both))


def overlaps(heat: np.ndarray, truth: np.ndarray, cuts: Sequence[Cut] = CUTS) -> list[Overlap]:
    """IoU and Dice of a map at each of several cuts.

    Args:
        heat: (H, W), NaN where the model did not look.
        truth: (H, W) bool.
        cuts: The rules; which of them counts is chosen on other images, see `best_cut`.

    Returns:
        One for each cut; NaN everywhere when the model saw nothing of the region.

    Raises:
        InputError: The shapes differ.
    """
    values, inside = _seen(heat, truth)
    if not inside.any():
        return [Overlap(math.nan, math.nan)] * len(cuts)
    at = _values(values, cuts)
    order = np.argsort(at, kind="stable")
    # How many of the cuts a pixel passes: all cuts are counted in one walk over the pixels.
    passed = np.searchsorted(at[order], values, side="right")
    found, both = (
        np.bincount(which, minlength=len(at) + 1)[::-1].cumsum()[::-1][1:]
        for which in (passed, passed[inside])
    )
    total = int(inside.sum())
    result = [Overlap(math.nan, math.nan)] * len(at)
    for place, cut in enumerate(order.tolist()):
        f, shared = int(found[place]), int(both[place])
        result[cut] = Overlap(shared / (f + total - shared), 2 * shared / (f + total))
    return result


def contrast(heat: np.ndarray, truth: np.ndarray) -> Contrast:
    """Contrast-to-noise ratio and energy of a map.

    Args:
        heat: (H, W), NaN where the model did not look.
        truth: (H, W) bool.

    Raises:
        InputError: The shapes differ.

    Source:
        Boecking et al., Making the most of text semantics to improve biomedical vision-language processing,
        ECCV 2022 (contrast-to-noise ratio); Wang et al., Score-CAM, CVPR workshops 2020 (energy-based
        pointing game).

    Example:
        >>> heat = np.array([[3.0, 1.0], [1.0, 0.0]])
        >>> c = contrast(heat, np.array([[True, False], [False, False]]))
        >>> c.energy, c.area, round(c.cnr, 3)
        (0.6, 0.25, 4.95)
    """
    values, inside = _seen(heat, truth)
    if not inside.any():
        return Contrast(math.nan, math.nan, math.nan)
    area = float(inside.mean())
    within, without = values[inside], values[~inside]
    positive = [float(part.sum(where=part > 0, dtype=np.float64)) for part in (within, without)]
    energy = positive[0] / sum(positive) if sum(positive) > 0 else area
    return Contrast(_cnr(within, without), energy, area)


def best_cut(iou: np.ndarray, findings: Sequence[str]) -> int:
    """The cut with the largest mean IoU, each finding counting alike; the first of equals.

    Args:
        iou: (N, cuts) of N validation images, see `overlaps`; NaN does not count.
        findings: N names.

    Returns:
        Its position.

    Raises:
        InputError: There is nothing to choose on.

    Example:
        >>> best_cut(np.array([[0.1, 0.3], [0.5, 0.1], [0.5, 0.2]]), ["mass", "nodule", "nodule"])
        0
    """
    known = ~np.isnan(iou).all(axis=1)
    names = np.asarray(findings)[known]
    if not len(names):
        raise InputError("No region to choose a threshold on.", "Give other images with boxes or masks.")
    by_finding = [np.nanmean(iou[known][names == name], axis=0) for name in np.unique(names)]
    return int(np.argmax(np.mean(by_finding, axis=0)))


def _values(seen: np.ndarray, cuts: Sequence[Cut]) -> np.ndarray:
    """The value of each cut, in the type of the map, as comparing with a single number does it."""
    low, high = float(seen.min()), float(seen.max())
    quantiles = [cut.at for cut in cuts if cut.kind == "quantile"]
    found = iter(np.quantile(seen, quantiles).tolist())
    values = [next(found) if c.kind == "quantile" else low + c.at * (high - low) for c in cuts]
    return np.array(values, seen.dtype)


def _cnr(within: np.ndarray, without: np.ndarray) -> float:
    if not len(without):
        return math.nan
    if within.min() == within.max() == without.min() == without.max():  # the means differ in their last bits
        return 0.0
    noise = math.sqrt(float(within.var(dtype=np.float64)) + float(without.var(dtype=np.float64)))
    difference = float(within.mean(dtype=np.float64)) - float(without.mean(dtype=np.float64))
    return difference / noise if noise else math.nan


def _seen(heat: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if heat.shape != truth.shape:
        raise InputError(
            f"A map of {heat.shape} and a region of {truth.shape} pixels.", "Bring both to original pixels."
        )
    seen = ~np.isnan(heat)
    return heat[seen], truth[seen]

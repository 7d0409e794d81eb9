"""Weight randomisation: does a heat map depend on the model at all?

A map that stays the same when the weights are thrown away shows the image, and not what the model learnt; an
edge detector looks convincing and is such a map.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from offclip.errors import InputError
from offclip.models.interface import ClipModel

DEPENDS_BELOW, SAME_FROM = 0.5, 0.8
_TOWER, _PROJECTION = "image_tower", ".proj"
DEPENDS, PARTLY, INDEPENDENT = "depends on the model", "depends in part", "does not depend on the model"


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two maps of the same image and prompt are; 1 for the same.

    Attributes:
        spearman: Rank correlation over the cells.
        ssim: Structural similarity of the maps scaled to [0, 1].
    """

    spearman: float
    ssim: float


def stages(model: ClipModel) -> list[tuple[str, list[Tensor]]]:
    """The weights of a model in the order in which they are thrown away, from the logit to the pixels.

    First what stands outside of the image tower, then the parts of the tower from its end to its beginning,
    in the order in which the tower names them. A numbered block is one part, and so is what holds none.

    Example:
        >>> from offclip.models import DualEncoder, DualEncoderConfig, TextTokenizer
        >>> model = DualEncoder(DualEncoderConfig(), TextTokenizer.fit(["There is a nodule."] * 2))
        >>> [name for name, _ in stages(model)][:3]
        ['head', 'text_tower', 'image_tower.attend']
    """
    names = [name for name, _ in model.named_parameters() if name.startswith(f"{_TOWER}.")]
    holders = {prefix for name in names for prefix in _before_numbers(name)}
    grouped: dict[str, list[Tensor]] = {}
    for name, weights in model.named_parameters():
        key = _part(name, holders) if name.startswith(f"{_TOWER}.") else name.partition(".")[0]
        grouped.setdefault(key, []).append(weights)
    in_order = list(reversed(grouped.items()))
    # A stable sort: within the tower and outside of it the order stays. Only the projection of CLIP's towers,
    # a tensor of its own, is named before what it follows.
    return sorted(
        in_order, key=lambda stage: (stage[0].startswith(_TOWER), not stage[0].endswith(_PROJECTION))
    )


def _before_numbers(name: str) -> list[str]:
    """All beginnings of a dotted name that a number comes after."""
    parts = name.split(".")
    return [
        ".".join(parts[:end]) for end in range(1, len(parts)) if any(part.isdigit() for part in parts[end:])
    ]


def _part(name: str, holders: set[str]) -> str:
    """The shortest beginning of a name, below the tower, that holds no numbered blocks or is one."""
    parts = name.split(".")
    for end in range(2, len(parts)):
        if parts[end - 1].isdigit() or ".".join(parts[:end]) not in holders:
            return ".".join(parts[:end])
    return name


@torch.no_grad()
def randomise(model: ClipModel, seed: int, number: int | None = None) -> ClipModel:
    """A copy whose weights are shuffled: every tensor keeps its values, in random places.

    Scale and distribution of the weights stay what training made of them, so that the copy computes
    reasonable numbers; what was learnt is gone. Running means and variances of batch normalisation stay.

    Args:
        model: Stays as it is.
        seed: Another seed shuffles otherwise.
        number: How many of the `stages` are shuffled; None for all.

    Returns:
        In evaluation mode.
    """
    copied = copy.deepcopy(model).eval()
    generator = torch.Generator().manual_seed(seed)
    for _, tensors in stages(copied)[:number]:
        for weights in tensors:
            order = torch.randperm(weights.numel(), generator=generator).to(weights.device)
            weights.copy_(weights.flatten()[order].view_as(weights))
    return copied


def likeness(one: np.ndarray, other: np.ndarray) -> Likeness:
    """How alike two maps (rows, columns) are.

    Two constant maps are the same, a constant map and another one have nothing in common.

    Raises:
        InputError: The shapes differ.

    Example:
        >>> likeness(np.eye(3), 2 * np.eye(3) + 1)
        Likeness(spearman=1.0, ssim=1.0)
    """
    if one.shape != other.shape:
        raise InputError(f"Maps of {one.shape} and {other.shape} cells.", "Compare maps of the same model.")
    return Likeness(spearman(one, other), ssim(_scaled(one), _scaled(other)))


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation of all values, tied values sharing their mean rank."""
    a, b = rankdata(one), rankdata(other)
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    if spread == 0:
        return float(not a.any() and not b.any())
    return float((a * b).sum() / spread)


def ssim(one: np.ndarray, other: np.ndarray, window: int = 7) -> float:
    """Mean structural similarity of two maps with values in [0, 1].

    Args:
        one: (rows, columns).
        other: Of the same shape.
        window: Side of the square, at most that of the map, over which means and variances are taken.

    Source:
        Wang, Bovik, Sheikh, Simoncelli, Image quality assessment: from error visibility to structural
        similarity, IEEE TIP 13 (2004), equation 13 with K1 = 0.01 and K2 = 0.03, with equal weights in the
        window and unbiased variances.
    """
    side = (min(window, one.shape[0]), min(window, one.shape[1]))
    a, b = (
        np.lib.stride_tricks.sliding_window_view(np.asarray(m, np.float64), side).reshape(
            -1, side[0] * side[1]
        )
        for m in (one, other)
    )
    mean_a, mean_b = a.mean(axis=1), b.mean(axis=1)
    degrees = max(1, a.shape[1] - 1)
    apart_a, apart_b = a - mean_a[:, None], b - mean_b[:, None]
    var_a, var_b = (apart_a**2).sum(axis=1) / degrees, (apart_b**2).sum(axis=1) / degrees
    covariance = (apart_a * apart_b).sum(axis=1) / degrees
    c1, c2 = 0.01**2, 0.03**2
    values = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float((values / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean())


def verdict(correlations: Sequence[float]) -> str:
    """Whether maps depend on the model, from their rank correlations with the maps of shuffled weights.

    The rule: the mean of the absolute correlations; below 0.5 they depend on it, from 0.8 on they do not,
    between they do in part. Absolute, because a map of the image alone that the shuffled weights turn over
    is still one of the image alone. The rule was fixed before any result was seen. A map that passes is not
    thereby right.

    Args:
        correlations: Spearman's, one for each image, prompt and shuffling.

    Raises:
        InputError: There is none.

    Source:
        Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018, who compare without a rule.

    Example:
        >>> verdict([0.1, -0.2, 0.3]), verdict([1.0, -0.9])
        ('depends on the model', 'does not depend on the model')
    """
    if not len(correlations):
        raise InputError("No map to compare.", "Give at least one.")
    mean = float(np.mean(np.abs(correlations)))
    return DEPENDS if mean < DEPENDS_BELOW else INDEPENDENT if mean >= SAME_FROM else PARTLY


def _scaled(heat_map: np.ndarray) -> np.ndarray:
    values = heat_map.astype(np.float64)
    low, high = values.min(), values.max()
    return np.zeros_like(values) if low == high else (values - low) / (high - low)

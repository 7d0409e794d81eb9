"""Image embeddings flattened to two dimensions."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from offclip.evaluation.drawing.svg import ABNORMAL, NORMAL, Plot
from offclip.evaluation.report.probe import Close
from offclip.evaluation.truth import Labels


def principal_plane(vectors: np.ndarray, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two directions of largest variance.

    Args:
        vectors: (N, D).
        normal: (N,) bool; the sign of each direction is chosen so that normals lie to the upper right.

    Returns:
        (N, 2) coordinates and the (2,) shares of the variance.

    Example:
        >>> points, share = principal_plane(np.diag([3.0, 2.0, 1.0]), np.array([True, False, False]))
        >>> points.shape, bool(share[0] > share[1])
        ((3, 2), True)
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    points = left[:, :2] * singular[:2]
    if normal.any() and not normal.all():
        side = np.sign(points[normal].mean(axis=0) - points[~normal].mean(axis=0))
        points = points * np.where(side == 0, 1, side)
    total = max(float((singular**2).sum()), 1e-12)
    return points, singular[:2] ** 2 / total


def projection(close: Close, labels: Labels, name: str) -> Markup | None:
    """Test images of one model, normal against abnormal; None without both."""
    truth = labels.select(close.image_ids)
    known = ~np.isnan(truth.normal)
    normal = truth.normal[known] == 1
    if known.sum() < 3 or not normal.any() or normal.all() or close.embeddings.shape[1] < 2:
        return None
    points, share = principal_plane(close.embeddings[known], normal)
    plot = Plot(430, 390)
    axes = plot.axes
    kinds = ((~normal, ABNORMAL, "^", 15), (normal, NORMAL, "o", 15))
    for chosen, colour, marker, size in kinds:
        axes.scatter(*points[chosen].T, s=size, c=colour, marker=marker, alpha=0.6, lw=0)
    axes.set(xticks=[], yticks=[])
    axes.set(
        xlabel=f"First component ({share[0]:.0%} of variance)", ylabel=f"Second component ({share[1]:.0%})"
    )
    alt = f"Image embeddings in two dimensions: {int(normal.sum())} normal, {int((~normal).sum())} abnormal."
    return plot.svg(name, alt)

"""Small drawings, written as SVG by hand: interval bars of table rows, and curves in a unit square.

A page has hundreds of them; matplotlib needs a tenth of a second for each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from offclip.evaluation.result_page.curves import Curve
from offclip.evaluation.result_page.words import has_bounds
from offclip.evaluation.statistics.estimate import Estimate

BAR = (200, 18)
_SIDE = 100


@dataclass(frozen=True, slots=True)
class Axis:
    """The common scale of the bars of one table.

    Attributes:
        low, high: Its ends.
        mark: Where the dotted line stands, such as chance; None for no line.
    """

    low: float
    high: float
    mark: float | None = None

    def at(self, value: float) -> float:
        """Place along a bar, in its pixels.

        Example:
            >>> Axis(0, 1).at(0.5)
            100.0
        """
        share = (value - self.low) / (self.high - self.low)
        return round(8 + (BAR[0] - 16) * min(1.0, max(0.0, share)), 1)


def axis_of(estimates: Iterable[Estimate | None], mark: float = 0.5) -> Axis:
    """The scale for AUCs and shares: from a tenth below the lowest value, and from the mark at least, to 1.

    Example:
        >>> axis_of([Estimate(0.8, 0.7, 0.9)]), axis_of([Estimate(0.45, 0.33, 0.6)]).low
        (Axis(low=0.4, high=1.0, mark=0.5), 0.3)
    """
    lows = [min(e.value, e.low) if has_bounds(e) else e.value for e in estimates if e]
    low = min([mark - 0.1, *lows])
    return Axis(max(0.0, math.floor(low * 10 + 1e-9) / 10), 1.0, mark)


def axis_around_zero(estimates: Iterable[Estimate | None]) -> Axis:
    """The scale of differences: as far to the left as to the right.

    Example:
        >>> axis_around_zero([Estimate(0.02, -0.01, 0.05)])
        Axis(low=-0.05, high=0.05, mark=0.0)
    """
    ends = [abs(v) for e in estimates if e for v in (e.value, e.low, e.high) if np.isfinite(v)]
    far = max([0.01, *ends])
    return Axis(-far, far, 0.0)


def interval_bar(estimate: Estimate | None, axis: Axis, *, open_mark: bool = False) -> Markup:
    """One row of a forest plot; what it shows stands as text beside it, so it is hidden from readers.

    Args:
        estimate: The number; without one only the scale's mark is drawn.
        axis: The table's scale.
        open_mark: Draw the point as a ring: the difference may be chance.
    """
    width, height = BAR
    middle = height / 2
    parts = []
    if axis.mark is not None:
        parts.append(f'<path class="chance" d="M{axis.at(axis.mark)} 0V{height}"/>')
    if estimate is not None:
        if has_bounds(estimate):
            low, high = axis.at(estimate.low), axis.at(estimate.high)
            parts.append(f'<path class="span" d="M{low} {middle}H{high}M{low} 5V13M{high} 5V13"/>')
        ring = " open" if open_mark else ""
        parts.append(f'<circle class="dot{ring}" cx="{axis.at(estimate.value)}" cy="{middle}" r="4"/>')
    inside = "".join(parts)
    return Markup(f'<svg class="bar" viewBox="0 0 {width} {height}" aria-hidden="true">{inside}</svg>')


def axis_head(axis: Axis, digits: int = 1) -> Markup:
    """The scale itself, for the head of the column."""
    width, height = BAR
    marks = [axis.low, axis.high] + ([] if axis.mark is None else [axis.mark])
    parts = []
    for value in sorted(set(marks)):
        x = axis.at(value)
        anchor = "start" if value == axis.low else "end" if value == axis.high else "middle"
        x = 2 if anchor == "start" else width - 2 if anchor == "end" else x
        shown = f"{value:.{digits}f}".replace("-", "−")
        parts.append(f'<text x="{x}" y="12" text-anchor="{anchor}">{shown}</text>')
    return Markup(
        f'<svg class="bar head" viewBox="0 0 {width} {height}" aria-hidden="true">{"".join(parts)}</svg>'
    )


@dataclass(frozen=True, slots=True)
class Point:
    """A mark on a small curve, in the curve's own units."""

    x: float
    y: float


def unit_square(
    curve: Curve,
    alt: str,
    labels: tuple[str, str],
    *,
    diagonal: bool = False,
    level: float | None = None,
    points: Sequence[Point] = (),
    counts: Sequence[int] = (),
    spans: Sequence[tuple[float, float]] = (),
    end: float = 1.0,
) -> Markup:
    """A curve between 0 and 1, or another end, on both axes.

    Args:
        curve: Its points.
        alt: What it shows.
        labels: Of the axes.
        diagonal: Draw the diagonal, dashed.
        level: Draw a horizontal line there, dashed.
        points: Marks, drawn as rings, such as an operating point.
        counts: Cases behind each point of the curve; the points become dots whose areas go with them.
        spans: Interval of each point of the curve; NaN for none.
        end: Where both axes end.
    """
    s = _SIDE

    def across(value: float) -> str:
        return f"{min(max(value / end, 0.0), 1.0) * s:.1f}"

    def down(value: float) -> str:
        return f"{(1 - min(max(value / end, 0.0), 1.0)) * s:.1f}"

    places = [(across(a), down(b)) for a, b in zip(curve.x, curve.y, strict=True)]
    parts = [f'<path class="grid" d="M0 50H{s}M50 0V{s}M0 0H{s}V{s}"/><path class="axes" d="M0 0V{s}H{s}"/>']
    if diagonal:
        parts.append(f'<path class="chance" d="M0 {s}L{s} 0"/>')
    if level is not None:
        parts.append(f'<path class="chance" d="M0 {down(level)}H{s}"/>')
    parts.append(f'<path class="line" d="M{"L".join(f"{a} {b}" for a, b in places)}"/>')
    for (a, _), (low, high) in zip(places, spans, strict=True) if spans else ():
        if np.isfinite(low) and np.isfinite(high):
            parts.append(f'<path class="span" d="M{a} {down(low)}V{down(high)}"/>')
    for (a, b), n in zip(places, counts, strict=True) if counts else ():
        parts.append(
            f'<circle class="dot" cx="{a}" cy="{b}" r="{0.9 + 1.9 * (n / max(counts)) ** 0.5:.1f}"/>'
        )
    parts += [f'<circle class="ring" cx="{across(p.x)}" cy="{down(p.y)}" r="3"/>' for p in points]
    parts += [
        f'<text x="0" y="{s + 9}">0</text><text x="{s}" y="{s + 9}" text-anchor="end">{end:g}</text>',
        f'<text x="50" y="{s + 9}" text-anchor="middle">{escape(labels[0])}</text>',
        f'<text x="-4" y="4" text-anchor="end">{end:g}</text><text x="-4" y="{s}" text-anchor="end">0</text>',
        f'<text transform="translate(-4 50) rotate(-90)" text-anchor="middle">{escape(labels[1])}</text>',
    ]
    head = f'<svg class="mini" viewBox="-13 -3 {s + 16} {s + 15}" role="img" aria-label="{escape(alt)}">'
    return Markup(head + "".join(parts) + "</svg>")

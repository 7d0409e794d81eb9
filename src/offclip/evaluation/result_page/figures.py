"""The large figures of the page: curves of the normal score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from offclip.evaluation.drawing.svg import INK, MUTED, PALETTE, Plot
from offclip.evaluation.result_page.curves import Curve
from offclip.evaluation.result_page.measured_normal import DecisionCurve, RuleOut
from offclip.evaluation.result_page.words import has_bounds, percent, target
from offclip.evaluation.statistics.estimate import Estimate

MAIN, OTHER = PALETTE[3], PALETTE[0]
_DASHES = (0, (4, 3))
_MARKS = {"supported": "o", "not supported": "o", "refused": "x", "": "D"}


def normal_roc(reported: Curve, worst: Curve | None, auc: str) -> Markup:
    """ROC curve of the reported normal score, and of the worst prompt."""
    plot = Plot(430, 400)
    axes = plot.axes
    axes.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=_DASHES)
    if worst is not None:
        axes.plot(worst.x, worst.y, color=OTHER, lw=1.6, ls=(0, (5, 1.5)))
    axes.plot(reported.x, reported.y, color=MAIN, lw=2.2)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set(xlabel="Share of abnormal called normal", ylabel="Share of normal called normal")
    return plot.svg("normal-roc", f"ROC curve, normal against abnormal; AUC {auc}.")


def normal_precision_recall(reported: Curve, worst: Curve | None, share: float) -> Markup:
    """Precision over recall of the reported normal score; `share` of the cases is normal."""
    plot = Plot(430, 400)
    axes = plot.axes
    axes.axhline(share, color=MUTED, lw=1, ls=_DASHES)
    if worst is not None:
        axes.plot(worst.x, worst.y, color=OTHER, lw=1.6, ls=(0, (5, 1.5)))
    axes.plot(reported.x, reported.y, color=MAIN, lw=2.2)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set(
        xlabel="Recall: share of normal called normal", ylabel="Precision: share right when called normal"
    )
    return plot.svg(
        "normal-pr", f"Precision-recall curve of normal; {percent(share)} of the cases are normal."
    )


def rule_out(curve: Curve, validation: Curve | None, points: tuple[RuleOut, ...]) -> Markup:
    """Normal cases cleared over abnormal cases kept, with the operating points and their intervals."""
    shown = [p for p in points if p.reached and p.cleared]
    left = min([0.9, *(_low(p.reached) - 0.02 for p in shown)])
    plot = Plot(430, 380)
    axes = plot.axes
    if validation is not None:
        axes.plot(validation.x, validation.y, color=MUTED, lw=1.4, ls=_DASHES)
    axes.plot(curve.x, curve.y, color=MAIN, lw=2.2)
    seen = curve.y[curve.x >= left]
    top = max([0.05, *seen.tolist(), *(_high(p.cleared) for p in shown)])
    for p in shown:
        x, y = p.reached, p.cleared
        if x is None or y is None:
            continue
        if has_bounds(x):
            axes.plot([x.low, x.high], [y.value, y.value], color=INK, lw=1)
        if has_bounds(y):
            axes.plot([x.value, x.value], [y.low, y.high], color=INK, lw=1)
        fill = "none" if p.claim == "not supported" else INK
        mark = _MARKS[p.claim]
        axes.plot(x.value, y.value, marker=mark, ms=6.5, mec=INK, mfc=fill, mew=1.5, ls="none", zorder=4)
    axes.set(xlim=(left, 1.0 + (1 - left) * 0.03), ylim=(-0.02 * top, min(1.02, top * 1.08)))
    axes.set(xlabel="Sensitivity: share of abnormal kept", ylabel="Share of normal cleared")
    names = [
        (target(p.sensitivity), p.reached.value, p.cleared.value) for p in shown if p.reached and p.cleared
    ]
    _name_points(axes, names)
    said = "; ".join(f"at {target(p.sensitivity)}: {percent(p.cleared.value)}" for p in shown if p.cleared)
    return plot.svg("rule-out", f"Rule-out curve: normal cases cleared over abnormal cases kept. {said}")


def decision(curve: DecisionCurve) -> Markup:
    """Net benefit of the model, of treating all as abnormal, and of treating none."""
    x = np.array(curve.thresholds)
    plot = Plot(430, 380)
    axes = plot.axes
    axes.axhline(0, color=MUTED, lw=1, ls=_DASHES)
    axes.plot(x, curve.treat_all, color=OTHER, lw=1.6, ls=(0, (5, 1.5)))
    axes.plot(x, curve.model, color=MAIN, lw=2.2)
    finite = [v for v in (*curve.model, *curve.treat_all) if np.isfinite(v)]
    top = max([0.05, *finite])
    # Treating all falls without bound towards a threshold of 1; below zero only the sign matters.
    axes.set(xlim=(float(x.min()), float(x.max())), ylim=(-0.25 * top, 1.06 * top))
    axes.set(xlabel="Threshold probability of abnormal", ylabel="Net benefit")
    return plot.svg(
        "decision", "Decision curve: net benefit of the model, of calling all abnormal, of calling none."
    )


def _name_points(axes: Axes, names: Sequence[tuple[str, float, float]]) -> None:
    """Writes the names of points beside them, each on the first side where it covers no name before it."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    taken: list[tuple[float, float]] = []
    for text, x, y in names:
        # About where the point lies in the drawing, in points.
        across, up = 370 * (x - left) / (right - left), 310 * (y - bottom) / (top - bottom)
        sides = [(dx, dy) for dy in (7, -15, 21, -29) for dx in (8, -44) if across + dx < 372]
        free = [s for s in sides if all(_apart(across + s[0], up + s[1], *other) for other in taken)]
        dx, dy = free[0] if free else sides[0]
        taken.append((across + dx, up + dy))
        axes.annotate(text, (x, y), xytext=(dx, dy), textcoords="offset points", fontsize=9.5, color=INK)


def _apart(x: float, y: float, other_x: float, other_y: float) -> bool:
    return abs(x - other_x) > 42 or abs(y - other_y) > 12


def _low(estimate: Estimate | None) -> float:
    if estimate is None:
        return 1.0
    return estimate.low if has_bounds(estimate) else estimate.value


def _high(estimate: Estimate | None) -> float:
    if estimate is None:
        return 0.0
    return estimate.high if has_bounds(estimate) else estimate.value

"""The curves of the page: those of the normal score, and small ones of the findings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from offclip.evaluation.cases import Cases
from offclip.evaluation.result_page import figures
from offclip.evaluation.result_page.curves import (
    Curve,
    NormalScored,
    known,
    normal_scored,
    precision_recall,
    roc,
    rule_out_curve,
)
from offclip.evaluation.result_page.measured import ClassResult, Results
from offclip.evaluation.result_page.measured_normal import Normal
from offclip.evaluation.result_page.reliability import Calibration
from offclip.evaluation.result_page.small import Point, unit_square
from offclip.evaluation.result_page.words import decimal, percent, plain, with_bounds

MOST_PANELS = 12


@dataclass(frozen=True, slots=True)
class Panel:
    """A small drawing with its heading and a line below."""

    title: str
    drawing: Markup
    below: str


@dataclass(frozen=True, slots=True)
class NormalFigures:
    """The large figures; None where they cannot be drawn."""

    roc: Markup | None = None
    precision_recall: Markup | None = None
    worst: bool = False
    rule_out: Markup | None = None
    with_validation: bool = False
    decision: Markup | None = None


def most_positives(classes: tuple[ClassResult, ...], most: int = MOST_PANELS) -> list[ClassResult]:
    """The classes with the most positives, in the order in which they stand."""
    order = sorted(range(len(classes)), key=lambda i: (-(classes[i].positives or 0), i))[:most]
    return [classes[i] for i in sorted(order)]


def normal_figures(
    normal: Normal | None, scored: NormalScored | None, cases: Cases, validation: Cases | None
) -> NormalFigures:
    """Curves of the reported normal score, beside the worst prompt and the validation cases."""
    if normal is None:
        return NormalFigures()
    decision = figures.decision(normal.decision_curve) if normal.decision_curve else None
    if scored is None:
        return NormalFigures(decision=decision)
    worst = normal_scored(cases, normal.worst.name) if normal.worst else None
    if normal.worst and normal.worst.name == normal.score:
        worst = None
    tuned = normal_scored(validation, normal.score) if validation is not None else None
    return NormalFigures(
        figures.normal_roc(
            _roc(scored), _roc(worst) if worst else None, decimal(normal.auc.value if normal.auc else None)
        ),
        figures.normal_precision_recall(
            _pr(scored), _pr(worst) if worst else None, float(scored.normal.mean())
        ),
        worst is not None,
        figures.rule_out(rule_out_curve(scored), rule_out_curve(tuned) if tuned else None, normal.rule_out),
        tuned is not None,
        decision,
    )


def roc_panels(results: Results, cases: Cases) -> list[Panel]:
    """ROC curves of the findings with the most positives, with their operating points."""
    panels = []
    for c in most_positives(results.classes):
        usable = known(cases, c.name)
        if usable is None:
            continue
        point = c.operating_point
        marks = []
        if point and point.sensitivity and point.specificity:
            marks = [Point(1 - point.specificity.value, point.sensitivity.value)]
        alt = f"ROC curve of {plain(c.name)}."
        drawing = unit_square(
            roc(*usable), alt, ("1 − specificity", "sensitivity"), diagonal=True, points=marks
        )
        panels.append(Panel(plain(c.name), drawing, f"AUC {with_bounds(c.auc)}"))
    return panels


def pr_panels(results: Results, cases: Cases) -> list[Panel]:
    """Precision-recall curves of the findings with the most positives."""
    panels = []
    for c in most_positives(results.classes):
        usable = known(cases, c.name)
        if usable is None:
            continue
        share = float(usable[1].mean())
        alt = f"Precision-recall curve of {plain(c.name)}; {percent(share)} are positive."
        drawing = unit_square(precision_recall(*usable), alt, ("recall", "precision"), level=share)
        below = f"AUPRC {with_bounds(c.auprc)}" if c.auprc else f"{percent(share)} positive"
        panels.append(Panel(plain(c.name), drawing, below))
    return panels


def reliability_panels(results: Results) -> list[Panel]:
    """Observed over predicted probability: of the normal score first, then of the findings."""
    found: list[tuple[str, Calibration]] = []
    if results.normal and results.normal.calibration:
        found.append(("Normal score", results.normal.calibration))
    found += [(plain(c.name), c.calibration) for c in most_positives(results.classes) if c.calibration]
    return [_reliability(title, calibration) for title, calibration in found if calibration.bins]


def _reliability(title: str, calibration: Calibration) -> Panel:
    bins = calibration.bins
    curve = Curve(np.array([b.predicted for b in bins]), np.array([b.observed for b in bins]))
    said = "; ".join(
        f"predicted {decimal(b.predicted, 2)}, observed {decimal(b.observed, 2)}, {b.count} cases"
        for b in bins
    )
    highest = max(max(b.predicted, b.observed) for b in bins)
    drawing = unit_square(
        curve,
        f"Reliability of {title}: {said}.",
        ("predicted", "observed"),
        diagonal=True,
        counts=[b.count for b in bins],
        spans=[(b.low, b.high) for b in bins],
        # A rare finding has small probabilities only: its axes end earlier.
        end=next((end for end in (0.1, 0.2, 0.5) if highest <= end), 1.0),
    )
    below = f"ECE {with_bounds(calibration.ece)}"
    if calibration.ece_before:
        below += f"; before: {decimal(calibration.ece_before.value)}"
    if calibration.ece_expected is not None:
        below += f"; by chance: {decimal(calibration.ece_expected)}"
    return Panel(title, drawing, below)


def _roc(scored: NormalScored) -> Curve:
    return roc(scored.score, scored.normal)


def _pr(scored: NormalScored) -> Curve:
    return precision_recall(scored.score, scored.normal)

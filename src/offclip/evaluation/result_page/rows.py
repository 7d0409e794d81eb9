"""Tables of the page: rows of text with an interval bar each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from offclip.evaluation.result_page.measured import ClassResult, Group, Results
from offclip.evaluation.result_page.measured_normal import Normal
from offclip.evaluation.result_page.small import axis_head, axis_of, interval_bar
from offclip.evaluation.result_page.words import (
    bounds,
    count,
    decimal,
    percent,
    percent_bounds,
    plain,
    setting,
    target,
)
from offclip.evaluation.statistics.estimate import Estimate

LONG = 30


@dataclass(frozen=True, slots=True)
class Cell:
    """A value and the smaller text below it, such as its interval."""

    value: str
    small: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its name, its bar, its cells, and a sentence where something is missing."""

    name: str
    bar: Markup
    cells: tuple[Cell, ...]
    note: str = ""
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Forest:
    """A table whose rows carry an interval bar on one scale.

    Attributes:
        first: Heading of the names.
        measure: What the bars show.
        head: The scale, for the head of the column.
        columns: Headings of the cells.
        rows: The rows.
    """

    first: str
    measure: str
    head: Markup
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def long(self) -> bool:
        """Whether the table scrolls in a window of its own."""
        return len(self.rows) > LONG

    @property
    def noted(self) -> bool:
        """Whether a row has a sentence."""
        return any(row.note for row in self.rows)


def measure_cell(estimate: Estimate | None) -> Cell:
    """A measure with its interval."""
    return Cell(decimal(estimate.value), bounds(estimate)) if estimate else Cell("n/a")


def share_cell(estimate: Estimate | None) -> Cell:
    """A share with its interval."""
    return Cell(percent(estimate.value), percent_bounds(estimate)) if estimate else Cell("n/a")


def common(values: Iterable[str]) -> str | None:
    """The one value that all have; None where they differ or there is none.

    Example:
        >>> common(["a", "a"]), common(["a", "b"]), common([])
        ('a', None, None)
    """
    found = set(values)
    return found.pop() if len(found) == 1 else None


def class_table(results: Results) -> Forest | None:
    """One row a finding; a column that no finding fills is left out."""
    classes = results.classes
    if not classes:
        return None
    axis = axis_of(c.auc for c in classes)
    points = [c.operating_point for c in classes]
    origins = {p.origin for p in points if p}
    false = (
        results.normal.false_findings.by_finding if results.normal and results.normal.false_findings else {}
    )
    columns = ["Positives", "AUC"]
    columns += ["DeLong interval"] if any(c.delong for c in classes) else []
    columns += ["AUPRC"] if any(c.auprc for c in classes) else []
    columns += ["Sensitivity", "Specificity"] if any(points) else []
    columns += ["Called on normals"] if false else []
    columns += ["Threshold"] if any(points) else []
    rows = []
    for c in classes:
        cells = _class_cells(c, false, tell_origin=len(origins) > 1)
        notes = [] if c.counts else ["not in the means"]
        notes += [c.no_operating_point] if c.no_operating_point else []
        bar = interval_bar(c.auc, axis)
        rows.append(Row(plain(c.name), bar, tuple(cells[name] for name in columns), "; ".join(notes)))
    return Forest("Finding", "AUC", axis_head(axis), tuple(columns), tuple(rows))


def _class_cells(c: ClassResult, false: Mapping[str, float], *, tell_origin: bool) -> dict[str, Cell]:
    point = c.operating_point
    known = c.positives is not None and c.negatives is not None
    total = (c.positives or 0) + (c.negatives or 0)
    return {
        "Positives": Cell(count(c.positives), f"of {count(total)}" if known else ""),
        "AUC": measure_cell(c.auc),
        # Its value is the AUC itself; DeLong adds an interval.
        "DeLong interval": Cell(bounds(c.delong) or "n/a"),
        "AUPRC": measure_cell(c.auprc),
        "Sensitivity": share_cell(point.sensitivity if point else None),
        "Specificity": share_cell(point.specificity if point else None),
        "Called on normals": Cell(percent(false.get(c.name))),
        "Threshold": Cell(
            setting(point.threshold if point else None), point.origin if point and tell_origin else ""
        ),
    }


def mean_rows(results: Results) -> list[tuple[str, Estimate, str]]:
    """The means over classes: heading, number, and which classes count."""
    names = {
        "macro_auc": "Macro AUC",
        "micro_auc": "Micro AUC",
        "weighted_auc": "AUC weighted by positives",
        "macro_auprc": "Macro AUPRC",
        "micro_auprc": "Micro AUPRC",
    }
    found = [(names[key], mean, _counted(results.counted)) for key, mean in results.means.items()]
    return found + [(_group(g), g.auc, _counted(len(g.classes))) for g in results.groups if g.auc]


def score_table(normal: Normal) -> Forest | None:
    """One row a normal score; the reported one is marked."""
    scores = [s for s in normal.scores.values() if s.auc]
    if not scores:
        return None
    axis = axis_of(s.auc for s in scores)
    columns = ("AUC", "DeLong interval") if any(s.delong for s in scores) else ("AUC",)
    rows = tuple(
        Row(
            s.name,
            interval_bar(s.auc, axis),
            (measure_cell(s.auc), Cell(bounds(s.delong) or "n/a"))[: len(columns)],
            marked=s.name == normal.score,
        )
        for s in scores
    )
    return Forest("Normal score", "Normal AUC", axis_head(axis), columns, rows)


def subgroup_table(normal: Normal) -> Forest | None:
    """One row a value of an attribute."""
    groups = normal.subgroups
    if not groups:
        return None
    axis = axis_of(g.auc for g in groups)
    at = target(normal.rule_out[0].sensitivity) if normal.rule_out else ""
    columns = ["Cases", "Normal", "Abnormal", "AUC"]
    ruled = bool(at) and any(g.reached or g.cleared for g in groups)
    columns += [f"Abnormal kept at {at}", f"Normal cleared at {at}"] if ruled else []
    rows = []
    for g in groups:
        cells = [Cell(count(g.cases)), Cell(count(g.normals)), Cell(count(g.abnormals)), measure_cell(g.auc)]
        cells += [share_cell(g.reached), share_cell(g.cleared)] if ruled else []
        name = f"{g.attribute}: {g.value}" if g.attribute else g.value
        rows.append(Row(name, interval_bar(g.auc, axis), tuple(cells), g.reason))
    return Forest("Subgroup", "Normal AUC", axis_head(axis), tuple(columns), tuple(rows))


def _counted(classes: int | None) -> str:
    return "" if classes is None else f"{count(classes)} class{'' if classes == 1 else 'es'}"


def _group(group: Group) -> str:
    return f"Macro AUC, {plain(group.name)}"

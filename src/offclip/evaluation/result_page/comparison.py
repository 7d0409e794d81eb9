"""The page of several runs side by side, with paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offclip.errors import InputError
from offclip.evaluation.drawing.page import style, write_html
from offclip.evaluation.result_page import words
from offclip.evaluation.result_page.build import PACKAGE, SHEETS
from offclip.evaluation.result_page.measured import Results, read_results
from offclip.evaluation.result_page.reading import Node
from offclip.evaluation.result_page.rows import Cell, Forest, Row, measure_cell, share_cell
from offclip.evaluation.result_page.small import Axis, axis_around_zero, axis_head, axis_of, interval_bar
from offclip.evaluation.result_page.words import bounds, decimal, p_value, plain, signed, target
from offclip.evaluation.statistics.estimate import Estimate

SIGNIFICANT = 0.05
_HEADLINE = (("normal_auc", "Normal AUC"), ("macro_auc", "Macro AUC"))


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference, a less b.

    Attributes:
        name: Of what.
        difference: With its interval.
        p: Of the paired test.
        adjusted: After Holm over the classes; None where there is one test only.
    """

    name: str
    difference: Estimate | None
    p: float | None
    adjusted: float | None = None

    @property
    def significant(self) -> bool:
        """Whether it is unlikely to be chance: below 0.05, by the adjusted p-value where there is one."""
        p = self.p if self.adjusted is None else self.adjusted
        return p is not None and p < SIGNIFICANT


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs compared.

    Attributes:
        a, b: Their names.
        headline: Differences of the headline numbers.
        classes: Differences of the classes.
        cases, patients: That both runs have; None where they are not known.
        notes: What the two do not share.
    """

    a: str
    b: str
    headline: tuple[Difference, ...]
    classes: tuple[Difference, ...]
    cases: int | None
    patients: int | None
    notes: tuple[str, ...]


def write_comparison_page(
    path: str | Path, runs: Sequence[Mapping[str, Any]], comparisons: Sequence[Mapping[str, Any]]
) -> Path:
    """Writes one HTML page with any number of runs side by side; it opens offline and runs no script.

    Args:
        path: The page to write.
        runs: Contents of their `results.json`.
        comparisons: One a pair: `a` and `b` (names of runs), `normal_auc` and `macro_auc` (each
            `difference`, an estimate, and `p`), `per_class` (by class `difference`, `p`, `p_holm`),
            `cases`, `patients`, `notes`. Parts may be absent.

    Returns:
        The path.

    Raises:
        InputError: There is no run.
        DataError: Something has a wrong type, or the disk is full.
    """
    if not runs:
        raise InputError("There is no run to compare.", "Give the results of at least one run.")
    found = [read_results(run, f"runs[{number}]") for number, run in enumerate(runs)]
    pairs = [read_pair(Node(values, f"comparisons[{number}]")) for number, values in enumerate(comparisons)]
    names = run_names(found)
    context = {
        "style": style(SHEETS),
        "w": words,
        "names": names,
        "level": found[0].interval.percent,
        "synthetic": any(run.run.synthetic for run in found),
        "warnings": warnings(found),
        "table": headline_table(found, names),
        "runs": list(zip(names, found, strict=True)),
        "pairs": [(pair, pair_table(pair.headline, "Measure"), class_forest(pair)) for pair in pairs],
        "significant": SIGNIFICANT,
    }
    return write_html(path, PACKAGE, "comparison.html.j2", context)


def read_pair(node: Node) -> Pair:
    """One comparison; see `write_comparison_page`.

    Raises:
        DataError: A value has a wrong type.
    """
    headline = []
    for key, title in _HEADLINE:
        if part := node.node(key):
            headline.append(Difference(title, part.estimate("difference"), part.number("p")))
    classes = [
        Difference(plain(name), c.estimate("difference"), c.number("p"), c.number("p_holm"))
        for name, c in node.children("per_class")
    ]
    return Pair(
        node.text("a") or "a",
        node.text("b") or "b",
        tuple(headline),
        tuple(classes),
        node.count("cases"),
        node.count("patients"),
        node.texts("notes"),
    )


def run_names(runs: Sequence[Results]) -> list[str]:
    """Names of the runs, numbered where two are the same."""
    given = [run.run.name or f"run {number}" for number, run in enumerate(runs, start=1)]
    return [
        name if given.count(name) == 1 else f"{name} ({given[: i + 1].count(name)})"
        for i, name in enumerate(given)
    ]


def warnings(runs: Sequence[Results]) -> list[str]:
    """Why the runs may not be comparable."""
    found = []
    for values, several, unknown in (
        (
            {run.protocol.hash for run in runs},
            "The protocols differ: the numbers do not measure the same thing.",
            "No protocol hash is known: whether the numbers measure the same thing is open.",
        ),
        (
            {run.run.fingerprint for run in runs},
            "The data fingerprints differ: the runs were not made on the same data.",
            "No data fingerprint is known: whether the data are the same is open.",
        ),
    ):
        if len(values) > 1:
            found.append(several)
        elif values == {""}:
            found.append(unknown)
    if len({run.run.cases for run in runs}) > 1:
        found.append("The numbers of cases differ.")
    return found


def headline_table(runs: Sequence[Results], names: Sequence[str]) -> Forest:
    """One row a run: the headline numbers with intervals; bars show the normal AUC, or else the macro AUC."""
    normals = [run.normal for run in runs]
    drawn = [n.auc if n else None for n in normals]
    measure = "Normal AUC"
    if not any(drawn):
        drawn, measure = [run.means.get("macro_auc") for run in runs], "Macro AUC"
    axis = axis_of(drawn)
    rows = []
    for run, name, bar in zip(runs, names, drawn, strict=True):
        normal = run.normal
        false = normal.false_findings if normal else None
        cells = [
            measure_cell(normal.auc if normal else None),
            measure_cell(normal.worst.auc if normal and normal.worst else None),
            _cleared(run, 0.95),
            _cleared(run, 0.99),
            Cell(decimal(false.per_normal.value, 2), bounds(false.per_normal, 2))
            if false and false.per_normal
            else Cell("n/a"),
            measure_cell(run.means.get("macro_auc")),
        ]
        rows.append(Row(name, interval_bar(bar, axis), tuple(cells)))
    heads = (
        "Normal AUC",
        "Worst prompt",
        "Cleared at 95\u00a0%",
        "Cleared at 99\u00a0%",
        "False findings per normal",
        "Macro AUC",
    )
    return Forest("Run", measure, axis_head(axis), heads, tuple(rows))


def pair_table(differences: Sequence[Difference], first: str, axis: Axis | None = None) -> Forest | None:
    """One row a difference, with its p-values."""
    if not differences:
        return None
    scale = axis or axis_around_zero(d.difference for d in differences)
    adjusted = any(d.adjusted is not None for d in differences)
    rows = tuple(
        Row(
            d.name,
            interval_bar(d.difference, scale, open_mark=not d.significant),
            (
                Cell(signed(d.difference.value), _signed_bounds(d.difference))
                if d.difference
                else Cell("n/a"),
                Cell(p_value(d.p)),
                *((Cell(p_value(d.adjusted)),) if adjusted else ()),
                Cell("yes" if d.significant else "no"),
            ),
        )
        for d in differences
    )
    columns = ("Difference", "p", *(("p, Holm",) if adjusted else ()), "Significant")
    return Forest(first, "Difference", axis_head(scale, digits=2), columns, rows)


def class_forest(pair: Pair) -> Forest | None:
    """Differences of the classes, the largest first, so that gains and losses lie at the two ends."""
    ordered = sorted(
        pair.classes,
        key=lambda d: (d.difference is None, -(d.difference.value if d.difference else 0), d.name),
    )
    return pair_table(ordered, "Finding")


def _cleared(run: Results, sensitivity: float) -> Cell:
    rules = run.normal.rules_at(sensitivity) if run.normal else []
    if not rules:
        return Cell("n/a")
    if rules[0].claim == "refused":
        return Cell("no claim", f"refused at {target(sensitivity)}")
    return share_cell(rules[0].cleared)


def _signed_bounds(estimate: Estimate) -> str:
    return f"{signed(estimate.low)} to {signed(estimate.high)}" if words.has_bounds(estimate) else ""

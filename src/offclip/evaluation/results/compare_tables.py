"""The tables of a comparison: runs side by side, and the differences from the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from offclip.evaluation.results.compare_document import pair_documents
from offclip.evaluation.results.compared import ComparedRuns
from offclip.evaluation.results.reading import at, block
from offclip.evaluation.results.summary import MEASURES, summary_estimates
from offclip.evaluation.results.table import ResultTable, estimates

_MEANS = ("macro_auc", "normal_auc")


def comparison_tables(compared: ComparedRuns) -> list[ResultTable]:
    """The tables of a comparison.

    Returns:
        `measures` (long), `side_by_side` and `auc_per_class` (one column a run), `differences` and
        `differences_per_class`; those without a row are left out.
    """
    pairs = pair_documents(compared)
    measured = {run.name: summary_estimates(run.results) for run in compared.runs}
    areas = {
        run.name: {name: at(row, "auc") for name, row in block(run.results, "per_class").items()}
        for run in compared.runs
    }
    tables = [
        _long(measured),
        _wide("side_by_side", "Runs side by side.", "measure", measured),
        _wide("auc_per_class", "AUC per class.", "finding", areas),
        _differences(pairs),
        _differences_per_class(pairs),
    ]
    return [table for table in tables if not table.frame.is_empty()]


def _long(measured: Mapping[str, Mapping[str, Any]]) -> ResultTable:
    rows = [(run, name, value) for run, found in measured.items() for name, value in found.items()]
    frame = pl.DataFrame(
        {
            "run": pl.Series([run for run, _, _ in rows], dtype=pl.String),
            "measure": pl.Series([name for _, name, _ in rows], dtype=pl.String),
            **estimates("value", [value for _, _, value in rows]),
        }
    )
    return ResultTable("measures", "Measures of every run.", frame)


def _wide(name: str, title: str, first: str, measured: Mapping[str, Mapping[str, Any]]) -> ResultTable:
    """One row a measure or finding, three columns a run."""
    rows = list(dict.fromkeys(row for found in measured.values() for row in found))
    columns: dict[str, Any] = {
        first: pl.Series(rows, dtype=pl.String),
        "title": pl.Series([MEASURES.get(row, row.replace("_", " ")) for row in rows], dtype=pl.String),
    }
    headings = {"title": first}
    for place, (run, found) in enumerate(measured.items(), start=1):
        # A run may be named like another column; its heading says its name all the same.
        taken = {run, f"{run}_low", f"{run}_high"} & {*columns, "title"}
        column = f"run {place}" if taken else run
        columns |= estimates(column, [found.get(row) for row in rows])
        headings[column] = run
    shown = first if first == "finding" else "title"
    if shown == first:
        del columns["title"]
    return ResultTable(
        name, title, pl.DataFrame(columns), (shown, *(c for c in headings if c != "title")), headings
    )


def _differences(pairs: Sequence[Mapping[str, Any]]) -> ResultTable:
    rows = [(pair, name, pair[name]) for pair in pairs for name in _MEANS if pair[name]]
    frame = pl.DataFrame(
        {
            "run": pl.Series([pair["a"] for pair, _, _ in rows], dtype=pl.String),
            "baseline": pl.Series([pair["b"] for pair, _, _ in rows], dtype=pl.String),
            "measure": pl.Series([name for _, name, _ in rows], dtype=pl.String),
            "title": pl.Series([MEASURES[name] for _, name, _ in rows], dtype=pl.String),
            **_sides([found for _, _, found in rows]),
            "p": pl.Series([found["p"] for _, _, found in rows], dtype=pl.Float64),
            "p_delong": pl.Series([found["p_delong"] for _, _, found in rows], dtype=pl.Float64),
            "cases": pl.Series([pair["cases"] for pair, _, _ in rows], dtype=pl.Int64),
            "patients": pl.Series([pair["patients"] for pair, _, _ in rows], dtype=pl.Int64),
        }
    )
    printed = ["run", "title", "first", "second", "difference", "p"]
    if frame["p_delong"].count():
        printed.append("p_delong")
    notes = tuple(note for pair in pairs for note in pair["notes"])
    return ResultTable(
        "differences",
        "Differences from the baseline: paired bootstrap over patients.",
        frame,
        tuple(printed),
        {"title": "measure", "first": "of the run", "second": "of the baseline"},
        notes,
    )


def _differences_per_class(pairs: Sequence[Mapping[str, Any]]) -> ResultTable:
    rows = [(pair, name, found) for pair in pairs for name, found in pair["per_class"].items()]
    frame = pl.DataFrame(
        {
            "run": pl.Series([pair["a"] for pair, _, _ in rows], dtype=pl.String),
            "baseline": pl.Series([pair["b"] for pair, _, _ in rows], dtype=pl.String),
            "finding": pl.Series([name for _, name, _ in rows], dtype=pl.String),
            **{
                name: pl.Series([found[name] for _, _, found in rows], dtype=pl.Int64)
                for name in ("positives", "negatives")
            },
            **_sides([found for _, _, found in rows]),
            **{
                name: pl.Series([found[name] for _, _, found in rows], dtype=pl.Float64)
                for name in ("z", "p", "p_holm")
            },
        }
    )
    left_out = [
        f"{pair['a']}: not compared: {name} ({reason})."
        for pair in pairs
        for name, reason in pair["left_out"].items()
    ]
    return ResultTable(
        "differences_per_class",
        "Differences in AUC from the baseline: paired DeLong test, Holm over the classes of a run.",
        frame,
        ("run", "finding", "positives", "first", "second", "difference", "p", "p_holm"),
        {"first": "of the run", "second": "of the baseline"},
        tuple(left_out),
    )


def _sides(rows: Sequence[Mapping[str, Any]]) -> dict[str, pl.Series]:
    return {
        column: values
        for side in ("first", "second", "difference")
        for column, values in estimates(side, [found[side] for found in rows]).items()
    }

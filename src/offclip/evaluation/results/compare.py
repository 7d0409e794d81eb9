"""Runs side by side, and each against a baseline with paired tests."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from offclip.data.files import atomic_path
from offclip.errors import ConfigError
from offclip.evaluation.findings import compare_cases
from offclip.evaluation.progress import OnProgress
from offclip.evaluation.results.compare_document import comparison_document, pair_documents
from offclip.evaluation.results.compare_tables import comparison_tables
from offclip.evaluation.results.compared import ComparedRuns, Pair
from offclip.evaluation.results.reading import at, block, number
from offclip.evaluation.results.runs import (
    EvaluatedRun,
    check_comparable,
    common_ground,
    read_runs,
    with_normal_class,
)
from offclip.evaluation.results.tables import caption, write_table
from offclip.evaluation.statistics.bootstrap import Resampling


def compare_runs(
    folders: Sequence[str | Path],
    *,
    baseline: str | None = None,
    allow_different_protocol: bool = False,
    resampling: Resampling | None = None,
    on_progress: OnProgress | None = None,
) -> ComparedRuns:
    """Compares evaluation folders with paired tests, case by case, joined by id.

    Args:
        folders: Two or more, each with `results.json` and `cases.parquet`.
        baseline: Name of the run that the others are compared with; the first one by default.
        allow_different_protocol: Compare what is left equal of runs with another protocol or other data: the
            cases in both, and the findings whose labels agree on them.
        resampling: Of the patients; as in the results of the baseline by default.
        on_progress: Called with (what, done, all).

    Raises:
        ConfigError: There are fewer than two folders, one is given twice, or the baseline is none of them.
        DataError: A folder holds no evaluation; protocol, data, unit, ids or labels differ.
    """
    runs = read_runs(folders)
    names = [run.name for run in runs]
    chosen = names[0] if baseline is None else baseline
    if chosen not in names:
        raise ConfigError(f"No run is named '{chosen}'.", f"Name one of: {', '.join(names)}.")
    notes = check_comparable(runs, allow_different_protocol=allow_different_protocol)
    base = runs[names.index(chosen)]
    resampling = resampling or _resampling_of(base.results)
    pairs = []
    others = [run for run in runs if run is not base]
    for done, run in enumerate(others):
        if on_progress:
            on_progress(f"{run.name} against {base.name}", done, len(others))
        pairs.append(_compare(run, base, resampling, relaxed=bool(notes)))
    if on_progress:
        on_progress("compared", len(others), len(others))
    return ComparedRuns(tuple(runs), chosen, tuple(pairs), tuple(notes))


def write_comparison(compared: ComparedRuns, out: str | Path) -> list[Path]:
    """Writes `compare.json`, `tables/*` and `report.html`.

    Args:
        compared: What `compare_runs` gave.
        out: The folder; made if missing.

    Returns:
        The files.

    Raises:
        DataError: The disk is full, or a file cannot be written.
    """
    # Here: the page draws, and drawing takes a second to import.
    from offclip.evaluation.result_page import write_comparison_page

    out = Path(out)
    document = comparison_document(compared)
    with atomic_path(out / "compare.json") as temporary:
        temporary.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    written = [out / "compare.json"]
    told = " ".join([caption(_baseline(compared).results), *compared.notes])
    for table in comparison_tables(compared):
        written += write_table(table, out / "tables", told)
    named = [{**run.results, "run": {**block(run.results, "run"), "name": run.name}} for run in compared.runs]
    write_comparison_page(out / "report.html", named, pair_documents(compared))
    return [*written, out / "report.html"]


def _compare(run: EvaluatedRun, base: EvaluatedRun, resampling: Resampling, *, relaxed: bool) -> Pair:
    notes: list[str] = []
    run, base = with_normal_class(run), with_normal_class(base)
    if relaxed:
        run, base, notes = common_ground(run, base)
    comparison = compare_cases(
        run.cases,
        base.cases,
        names=(run.name, base.name),
        resampling=resampling,
        counts=_counted(run.results, base.results),
    )
    return Pair(run.name, base.name, comparison, tuple(notes))


def _counted(*results: Mapping[str, Any]) -> Collection[str] | None:
    """The findings that are in the mean of every run; None when the results do not say."""
    rows = [block(found, "per_class") for found in results]
    if any("counts" not in row for found in rows for row in found.values()):
        return None
    return set.intersection(*({name for name, row in found.items() if row["counts"]} for found in rows))


def _resampling_of(results: Mapping[str, Any]) -> Resampling:
    default = Resampling()
    resamples, seed, level = (number(at(results, "interval", n)) for n in ("resamples", "seed", "level"))
    return Resampling(
        default.resamples if resamples is None else int(resamples),
        default.seed if seed is None else int(seed),
        default.level if level is None else level,
    )


def _baseline(compared: ComparedRuns) -> EvaluatedRun:
    return next(run for run in compared.runs if run.name == compared.baseline)

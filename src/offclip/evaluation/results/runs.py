"""Evaluation folders that stand beside each other: their names, and whether they can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from offclip.errors import ConfigError, DataError
from offclip.evaluation.cases import Cases
from offclip.evaluation.results.reading import at, block, read_results

CASES = "cases.parquet"
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class EvaluatedRun:
    """One evaluation folder.

    Attributes:
        name: By which it is called in tables.
        folder: Where it was read.
        results: `results.json`.
        cases: `cases.parquet`.
    """

    name: str
    folder: Path
    results: Mapping[str, Any]
    cases: Cases


def read_runs(folders: Sequence[str | Path]) -> list[EvaluatedRun]:
    """Reads evaluation folders, in the given order.

    Args:
        folders: At least two, each written by `offclip evaluate`.

    Raises:
        ConfigError: There are fewer than two, or one is given twice.
        DataError: A folder holds no evaluation.
    """
    paths = [Path(folder) for folder in folders]
    if len(paths) < 2:
        raise ConfigError(f"{len(paths)} evaluation folder(s).", "Give two or more to compare.")
    names = run_names(paths)
    return [
        EvaluatedRun(name, path, read_results(path), Cases.read(path / CASES))
        for name, path in zip(names, paths, strict=True)
    ]


def run_names(folders: Sequence[Path]) -> list[str]:
    """The name of each folder; where two folders have one name, as much of the path as tells them apart.

    Raises:
        ConfigError: A folder is given twice.

    Example:
        >>> run_names([Path("a/results"), Path("b/results"), Path("other")])
        ['a/results', 'b/results', 'other']
    """
    resolved = [folder.resolve() for folder in folders]
    twice = [str(folder) for folder, n in Counter(resolved).items() if n > 1]
    if twice:
        raise ConfigError(f"{twice[0]} is given twice.", "Give every evaluation folder once.")
    parts = [folder.parts for folder in resolved]
    depths = [1] * len(parts)
    while True:
        names = ["/".join(part[-depth:]) for part, depth in zip(parts, depths, strict=True)]
        doubled = {name for name, n in Counter(names).items() if n > 1}
        if not doubled:
            return names
        depths = [
            depth + 1 if name in doubled and depth < len(part) else depth
            for name, depth, part in zip(names, depths, parts, strict=True)
        ]


def check_comparable(runs: Sequence[EvaluatedRun], *, allow_different_protocol: bool = False) -> list[str]:
    """Refuses runs whose difference would not be a difference of the models.

    Args:
        runs: Two or more.
        allow_different_protocol: Let protocols and data fingerprints differ; what is compared is then what
            `common_ground` finds equal, case by case.

    Returns:
        What differs and was let pass, in sentences.

    Raises:
        DataError: Protocol, data or unit differ; the message says which run has what.
    """
    notes = []
    for what, path, may_differ in (
        ("unit", ("run", "unit"), False),
        ("protocol hash", ("protocol", "hash"), True),
        ("data fingerprint", ("run", "data_fingerprint"), True),
    ):
        found = {run.name: at(run.results, *path) for run in runs}
        if len(set(map(str, found.values()))) == 1:
            continue
        told = ", ".join(f"{name}: {value or 'none'}" for name, value in found.items())
        if may_differ and allow_different_protocol:
            notes.append(f"The runs differ in their {what} ({told}).")
            continue
        remedy = "Evaluate all runs with the same protocol on the same data"
        if may_differ:
            remedy += ", or give --allow-different-protocol to compare the cases and labels that agree"
        ids = different_ids(runs) if what == "data fingerprint" else ""
        raise DataError(f"The runs differ in their {what} ({told}).{ids}", f"{remedy}.")
    return notes


def different_ids(runs: Sequence[EvaluatedRun]) -> str:
    """Which ids only one of the first two runs that differ has, both lists; empty where all have the same."""
    first, of_first = runs[0], set(runs[0].cases.ids)
    for run in runs[1:]:
        ids = set(run.cases.ids)
        if ids != of_first:
            return (
                f" Only in {first.name}: {_listed(sorted(of_first - ids))}; "
                f"only in {run.name}: {_listed(sorted(ids - of_first))}."
            )
    return ""


def with_normal_class(run: EvaluatedRun) -> EvaluatedRun:
    """The run with the normal class as one more finding, where its protocol measured it among its classes.

    Cases hold the normal class apart; results that list it per class name one class more than the cases.
    """
    more = [name for name in block(run.results, "per_class") if name not in run.cases.findings]
    if len(more) != 1 or not run.cases.normal_scores:
        return run
    scores = next(iter(run.cases.normal_scores.values()))
    cases = replace(
        run.cases,
        findings=(*run.cases.findings, more[0]),
        scores=np.column_stack([run.cases.scores, scores]),
        truth=np.column_stack([run.cases.truth, run.cases.normal]),
    )
    return replace(run, cases=cases)


def common_ground(a: EvaluatedRun, b: EvaluatedRun) -> tuple[EvaluatedRun, EvaluatedRun, list[str]]:
    """The cases, and the findings with equal labels, that two runs share.

    Returns:
        Both runs with the same ids in the same order and the same findings, and what was left out, in
        sentences.

    Raises:
        DataError: They share no case or no finding.
    """
    ids = [i for i in a.cases.ids if i in set(b.cases.ids)]
    if not ids:
        raise DataError(f"{a.name} and {b.name} share no case.", "Compare runs on the same data.")
    cases = [_rows(run.cases, ids) for run in (a, b)]
    notes = [
        f"{len(run.cases) - len(ids):,} cases of {run.name} are not in {other.name}."
        for run, other in ((a, b), (b, a))
        if len(run.cases) > len(ids)
    ]
    places = [{name: i for i, name in enumerate(run.cases.findings)} for run in (a, b)]
    shared = [name for name in a.cases.findings if name in places[1]]
    equal = [
        name
        for name in shared
        if np.array_equal(
            cases[0].truth[:, places[0][name]], cases[1].truth[:, places[1][name]], equal_nan=True
        )
    ]
    if not equal:
        raise DataError(
            f"{a.name} and {b.name} share no finding with the same labels.", "Compare runs of one protocol."
        )
    for told, names in (
        ("not asked by both", [n for run in (a, b) for n in run.cases.findings if n not in shared]),
        ("labelled differently", [n for n in shared if n not in equal]),
    ):
        if names:
            notes.append(f"Findings {told}, so not compared: {', '.join(dict.fromkeys(names))}.")
    normal = cases[0].normal
    if not np.array_equal(normal, cases[1].normal, equal_nan=True):
        notes.append("Normal cases are labelled differently; normal scores are not compared.")
        normal = np.full(len(ids), np.nan)
    made = [
        EvaluatedRun(run.name, run.folder, run.results, _with(found, equal, normal))
        for run, found in zip((a, b), cases, strict=True)
    ]
    return made[0], made[1], notes


def _rows(cases: Cases, ids: Sequence[str]) -> Cases:
    place = {name: i for i, name in enumerate(cases.ids)}
    return cases.select([place[name] for name in ids])


def _with(cases: Cases, findings: Sequence[str], normal: np.ndarray) -> Cases:
    columns = [cases.findings.index(name) for name in findings]
    return replace(
        cases,
        findings=tuple(findings),
        scores=cases.scores[:, columns],
        truth=cases.truth[:, columns],
        normal=normal,
    )


def _listed(ids: Sequence[str]) -> str:
    if not ids:
        return "none"
    more = f", ... ({len(ids):,} in all)" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more

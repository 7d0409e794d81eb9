"""Evaluated runs compared with a baseline: what the tables and documents of a comparison are made of."""

from __future__ import annotations

from dataclasses import dataclass

from offclip.evaluation.findings import Comparison
from offclip.evaluation.results.runs import EvaluatedRun


@dataclass(frozen=True, slots=True)
class Pair:
    """One run against the baseline.

    Attributes:
        run: Name of the run.
        baseline: Name of the baseline.
        comparison: Differences are run - baseline.
        notes: What the two do not share and is left out.
    """

    run: str
    baseline: str
    comparison: Comparison
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ComparedRuns:
    """Any number of runs on the same cases.

    Attributes:
        runs: In the given order.
        baseline: Name of the run that the others are compared with.
        pairs: One for every other run.
        notes: What differs between the runs and was let pass.
    """

    runs: tuple[EvaluatedRun, ...]
    baseline: str
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...] = ()

"""How often 95 % intervals hold the truth, over simulated test sets whose true AUC is known.

    python benchmarks/interval_coverage.py [--sets 1000] [--resamples 1000] [--seed 0]

Prints a table of Markdown, one row a scenario, then one line of JSON. Exits with 1 if an interval that is
meant to hold in a scenario covers less than 93 % or more than 97 %. See docs/statistics.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from offclip.evaluation.statistics.bootstrap import Bootstrap, Resampling
from offclip.evaluation.statistics.delong import delong_interval, delong_test
from offclip.evaluation.statistics.draws import difference_of, mean_of
from offclip.evaluation.statistics.estimate import Estimate

REQUIRED = (0.93, 0.97)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of test set.

    Attributes:
        name: For the table.
        positives: Positive patients.
        negatives: Negative patients.
        auc: True AUC of each score.
        classes: The scores are of so many classes with positives of their own, and not of one.
        images: Of each patient.
        correlation: Of the scores of two images of one patient that have the same truth.
        expected: Which intervals must hold their level here; the others are shown as they are.
    """

    name: str
    positives: int
    negatives: int
    auc: tuple[float, ...] = (0.85,)
    classes: bool = False
    images: int = 1
    correlation: float = 0.0
    expected: tuple[str, ...] = ("bootstrap", "delong logit", "delong plain")


SCENARIOS = (
    Scenario("200 positive, 200 negative", 200, 200),
    Scenario("50 positive, 450 negative", 50, 450),
    Scenario("50 positive, 450 negative, AUC .70", 50, 450, (0.70,)),
    Scenario("20 positive, 200 negative", 20, 200, expected=("delong logit",)),
    Scenario("10 positive, 200 negative", 10, 200, expected=("delong logit",)),
    Scenario("50 positive, 450 negative, AUC .97", 50, 450, (0.97,), expected=()),
    Scenario(
        "60 + 140 patients, 2 images each, correlation .8",
        60,
        140,
        images=2,
        correlation=0.8,
        expected=("bootstrap", "delong logit", "delong plain"),
    ),
    Scenario(
        "macro of 5 classes, 50 positive each of 500",
        50,
        450,
        (0.7, 0.75, 0.8, 0.85, 0.9),
        True,
        expected=("macro",),
    ),
    Scenario(
        "difference of two scores, 50 positive, 450 negative",
        50,
        450,
        (0.85, 0.80),
        expected=("difference bootstrap", "difference delong"),
    ),
)


@dataclass(frozen=True, slots=True)
class SimulatedSet:
    """Scores (N, K), truth (N,) or (N, K) and the patient of each case."""

    scores: np.ndarray
    positive: np.ndarray
    patients: np.ndarray


def simulate(scenario: Scenario, rng: np.random.Generator) -> SimulatedSet:
    """Normal scores of variance 1 whose means differ so that the AUC is the scenario's.

    The K scores of a case share half of their variance, as those of two models or classes do. With several
    classes each has its own positives.
    """
    count = scenario.positives + scenario.negatives
    width = len(scenario.auc)
    truth = np.zeros((count, width if scenario.classes else 1), bool)
    for column in truth.T:
        column[rng.choice(count, scenario.positives, replace=False)] = True
    truth = np.repeat(truth, scenario.images, axis=0)
    patients = np.repeat(np.arange(count), scenario.images)
    shift = np.array([np.sqrt(2) * NormalDist().inv_cdf(auc) for auc in scenario.auc])

    def noise(shape: tuple[int, ...]) -> np.ndarray:
        return np.sqrt(0.5) * (rng.normal(size=(shape[0], 1)) + rng.normal(size=shape))

    of_patient = np.repeat(noise((count, width)), scenario.images, axis=0)
    of_image = noise((len(truth), width))
    share = scenario.correlation
    scores = np.sqrt(share) * of_patient + np.sqrt(1 - share) * of_image + shift * truth
    return SimulatedSet(scores, truth, patients)


def intervals(data: SimulatedSet, scenario: Scenario, resampling: Resampling) -> dict[str, Estimate]:
    """Every interval that the scenario is about, by name."""
    positive = data.positive[:, 0]
    drawn = Bootstrap.of(data.patients, data.positive.max(axis=1), resampling)
    if scenario.classes:
        areas = drawn.areas(data.scores, data.positive)
        return {"macro": mean_of([area.auc for area in areas]).estimate}
    if len(scenario.auc) == 2:
        first, second = (drawn.auc(data.scores[:, k], positive) for k in range(2))
        test = delong_test(data.scores[:, 0], data.scores[:, 1], positive, clusters=data.patients)
        return {
            "difference bootstrap": difference_of(first, second).estimate,
            "difference delong": test.difference,
        }
    scores = data.scores[:, 0]
    found = {"bootstrap": drawn.auc(scores, positive).estimate}
    for scale in ("logit", "plain"):
        found[f"delong {scale}"] = delong_interval(scores, positive, clusters=data.patients, scale=scale)
    if scenario.images > 1:
        alone = Bootstrap.of(np.arange(len(scores)), positive, resampling)
        found["bootstrap of images"] = alone.auc(scores, positive).estimate
        found["delong of images"] = delong_interval(scores, positive)
    return found


def true_value(scenario: Scenario, name: str) -> float:
    """What an interval of that name should hold."""
    if name.startswith("difference"):
        return scenario.auc[0] - scenario.auc[1]
    return float(np.mean(scenario.auc))


def coverage(
    scenario: Scenario,
    sets: int,
    resamples: int,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Share of simulated sets whose interval holds the truth, by name of the interval."""
    held: dict[str, int] = {}
    for number in range(sets):
        data = simulate(scenario, np.random.default_rng([seed, number]))
        for name, found in intervals(data, scenario, Resampling(resamples, seed=number)).items():
            held[name] = held.get(name, 0) + (found.low <= true_value(scenario, name) <= found.high)
        if progress:
            progress(number)
    return {name: count / sets for name, count in held.items()}


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sets", type=int, default=1000, help="simulated sets per scenario")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    measured, failed = {}, []
    print("| test set | interval | covers |\n|---|---|---|", flush=True)
    for scenario in SCENARIOS:
        covers = coverage(scenario, options.sets, options.resamples, options.seed)
        measured[scenario.name] = covers
        for name, share in covers.items():
            wrong = name in scenario.expected and not REQUIRED[0] <= share <= REQUIRED[1]
            failed += [f"{scenario.name}, {name}: {share:.1%}"] if wrong else []
            print(f"| {scenario.name} | {name} | {share:.1%} |", flush=True)
    for line in failed:
        print(f"outside {REQUIRED[0]:.0%} to {REQUIRED[1]:.0%}: {line}", file=sys.stderr)
    print(json.dumps({"benchmark": "interval_coverage", "sets": options.sets, "coverage": measured}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

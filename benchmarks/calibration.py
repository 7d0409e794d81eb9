"""The numbers of docs/calibration.md.

    python benchmarks/calibration.py noise
    python benchmarks/calibration.py coverage
    python benchmarks/calibration.py table ../shared/data/carzero_logits/chestxray14_test.csv.gz
    python benchmarks/calibration.py time [--cases 39000] [--classes 193]

`noise`: sensitivity + specificity - 1 of scores that say nothing, with the peers' thresholds and with nested
cross-validation. `coverage`: how often the interval of the calibration error holds that of the population.
`table`: thresholds and calibration of a table with the columns image_id, patient_id, logit_* and label_*.
`time`: thresholds and Platt's calibration of simulated scores at the size of PadChest.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Literal

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import polars as pl
from scipy.special import expit, logit

from offclip.evaluation.cases import Cases
from offclip.evaluation.operating import (
    Column,
    calibrate,
    calibrate_score,
    finding_column,
    normal_column,
    operate,
    operating_point,
)
from offclip.evaluation.statistics.bootstrap import Bootstrap, Resampling
from offclip.evaluation.statistics.calibration import CALIBRATORS
from offclip.evaluation.statistics.reliability import (
    ece_expected_if_calibrated,
    ece_interval,
    probability_bins,
)

RULES: tuple[Literal["in-sample-youden", "validation"], ...] = ("in-sample-youden", "validation")


def noise() -> None:
    """Youden's index on noise."""
    for n in (150, 500, 5000):
        for share in (0.3, 0.05):
            gains: dict[str, list[float]] = {rule: [] for rule in RULES}
            for seed in range(200 if n < 5000 else 60):
                rng = np.random.default_rng(seed)
                truth = (rng.random(n) < share).astype(np.float64)
                truth[:4] = [1, 0, 1, 0]
                column = Column("noise", rng.normal(size=n), truth, [str(i) for i in range(n)])
                for rule in RULES:
                    point = operating_point(column, thresholds=rule)
                    assert point.sensitivity is not None
                    assert point.specificity is not None
                    gains[rule].append(point.sensitivity.value + point.specificity.value - 1)
            found = [
                f"{rule} {np.mean(g):.3f} ± {np.std(g) / np.sqrt(len(g)):.3f}" for rule, g in gains.items()
            ]
            print(f"{n} cases, {share:.0%} positive: {', '.join(found)}")


def coverage() -> None:
    """Coverage of the interval of the calibration error."""

    def drawn(n: int, seed: int, shift: float, slope: float) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        logits = rng.normal(-2.0, 1.5, n)
        return expit(slope * logits + shift), rng.random(n) < expit(logits)

    for n in (300, 1000, 5000):
        bootstrap = Bootstrap.of([str(i) for i in range(n)], resampling=Resampling(400))
        for shift, slope in ((0.0, 1.0), (0.2, 1.0), (0.5, 1.5), (2.0, 1.0)):
            p, _ = drawn(1_000_000, 9999, shift, slope)
            error = p - expit((logit(p) - shift) / slope)
            population = float(np.abs(np.bincount(probability_bins(p), error)).sum() / len(p))
            held, percentile, sets = 0, 0, 500 if n < 5000 else 200
            for seed in range(sets):
                p, y = drawn(n, seed, shift, slope)
                found = ece_interval(p, y.astype(np.float64), bootstrap)
                held += found.low <= population <= found.high
                percentile += _percentile_holds(p, y, bootstrap, population)
            print(
                f"{n} cases, ECE {population:.3f}: held {held / sets:.1%}, "
                f"by a plain percentile interval {percentile / sets:.1%}"
            )


def _percentile_holds(p: np.ndarray, y: np.ndarray, bootstrap: Bootstrap, population: float) -> bool:
    in_bin = np.eye(10)[probability_bins(p)] * (p - y)[:, None]
    drawn = np.abs(bootstrap.weights.T.astype(np.float64) @ in_bin).sum(axis=1) / len(p)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return bool(low <= population <= high)


def table(path: str) -> None:
    """Thresholds and calibration of real scores."""
    frame = pl.read_csv(path)
    names = [name.removeprefix("logit_") for name in frame.columns if name.startswith("logit_")]
    cases = Cases.of(
        frame["image_id"].to_list(),
        names,
        frame.select(f"logit_{name}" for name in names).to_numpy(),
        frame.select(f"label_{name}" for name in names).to_numpy(),
        patient_ids=frame["patient_id"].cast(pl.String).to_list(),
    )
    bootstrap = Bootstrap.of(cases.patient_ids)
    for rule, seed in zip((RULES[0], *RULES[1:] * 4), (0, 0, 1, 2, 3), strict=True):
        result = operate(cases, thresholds=rule, seed=seed)
        found = result.decisions[cases.normal == 1] == 1
        points = {n: p for n, p in result.points.items() if p.sensitivity and p.specificity}
        gains = [p.sensitivity.value + p.specificity.value - 1 for p in points.values()]  # type: ignore[union-attr]
        print(
            f"{rule}, seed {seed}: {found.any(axis=1).mean():.1%} of normal images with a false finding, "
            f"{found.sum(axis=1).mean():.2f} a normal image; mean Youden index {np.mean(gains):.3f}; "
            "sensitivity",
            {name: round(p.sensitivity.value, 3) for name, p in points.items() if p.sensitivity},
        )
    exact, clustered = operate(cases).points, operate(cases, bootstrap=bootstrap).points
    for what in ("sensitivity", "specificity"):
        pairs = [(getattr(clustered[n], what), getattr(exact[n], what)) for n in exact]
        ratio = np.mean([(a.high - a.low) / (b.high - b.low) for a, b in pairs])
        print(f"{what}: the bootstrap's intervals are {ratio:.2f} times as long as Clopper and Pearson's")
    for method in CALIBRATORS:
        found = calibrate(cases, method=method, bootstrap=bootstrap).findings.values()  # type: ignore[arg-type]
        means = {w: np.mean([getattr(c, w).value for c in found]) for w in ("ece_before", "ece", "brier")}
        expected = np.mean([c.ece_expected for c in found])
        print(method, {w: round(float(v), 4) for w, v in means.items()}, f"by chance {expected:.4f}")
    for method in ("platt", "isotonic"):
        normal = normal_column(cases, -cases.scores.mean(axis=1))
        one = calibrate_score(normal, method=method, bootstrap=bootstrap)
        print("normal,", method, one.ece, f"by chance {one.ece_expected:.4f}")
    column = finding_column(cases, names[2])
    probabilities = calibrate_score(column, bootstrap=bootstrap).probabilities
    shuffled = np.random.default_rng(0).permutation(probabilities)
    sizes = (300, 1000, 3000, 10_000, len(cases))
    print(names[2], "by chance", {n: round(ece_expected_if_calibrated(shuffled[:n]), 4) for n in sizes})


def measure_time(cases: int, classes: int) -> None:
    """Seconds of thresholds and calibration."""
    rng = np.random.default_rng(0)
    prevalence = np.clip(np.exp(rng.normal(-5.5, 1.6, classes)), 1 / 3000, 0.3)
    truth = (rng.random((cases, classes)) < prevalence).astype(np.float64)
    scored = Cases.of(
        [f"i{i}" for i in range(cases)],
        [f"class {i}" for i in range(classes)],
        rng.normal(size=truth.shape) + truth,
        truth,
        patient_ids=[f"p{i}" for i in rng.integers(0, int(cases / 1.6), cases)],
    )
    for what, measured in (("thresholds", operate), ("calibration", calibrate)):
        wall, cpu = time.perf_counter(), time.process_time()
        result = measured(scored)
        print(
            f"{what}: {time.perf_counter() - wall:.0f} s, {time.process_time() - cpu:.0f} s of CPU, "
            f"{len(result.left_out)} classes left out"
        )


def main() -> None:
    """One of the four."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("noise")
    commands.add_parser("coverage")
    commands.add_parser("table").add_argument("path")
    timing = commands.add_parser("time")
    timing.add_argument("--cases", type=int, default=39_000)
    timing.add_argument("--classes", type=int, default=193)
    given = parser.parse_args()
    if given.command == "noise":
        noise()
    elif given.command == "coverage":
        coverage()
    elif given.command == "table":
        table(given.path)
    else:
        measure_time(given.cases, given.classes)


if __name__ == "__main__":
    main()

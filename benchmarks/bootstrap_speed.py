"""Time and memory of the patient-cluster bootstrap at the size of PadChest, beside a scikit-learn loop.

    python benchmarks/bootstrap_speed.py [--cases 39000] [--classes 193] [--resamples 1000]

Every class gets AUC and average precision in every resample, then their means and the micro-average; it is
`measure_findings`, with DeLong's intervals, from arrays to results. scikit-learn's `roc_auc_score` and
`average_precision_score` with sample weights are timed on a few classes and resamples and extrapolated;
their micro-average is not in it. The scores and labels are simulated: most classes are rare, as they are
there. Prints the times and one line of JSON. Exits with 1 above 60 s of wall time or 4 GiB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from offclip.cores import available_cores
from offclip.evaluation.cases import Cases
from offclip.evaluation.findings import bootstrap_of, measure_findings
from offclip.evaluation.statistics import Resampling

MOST_SECONDS = 60.0
MOST_GIB = 4.0


def simulated(cases: int, classes: int, seed: int = 0) -> Cases:
    """Cases with 1.6 images a patient and prevalences from 1 in 3,000 to 3 in 10."""
    rng = np.random.default_rng(seed)
    prevalence = np.clip(np.exp(rng.normal(-5.5, 1.6, classes)), 1 / 3000, 0.3)
    truth = (rng.random((cases, classes)) < prevalence).astype(np.float64)
    return Cases.of(
        [f"i{n}" for n in range(cases)],
        [f"class {n}" for n in range(classes)],
        rng.normal(size=(cases, classes)) + truth,
        truth,
        patient_ids=[f"p{n}" for n in rng.integers(0, int(cases / 1.6), cases)],
    )


def loop_seconds(cases: Cases, weights: np.ndarray, columns: list[int]) -> float:
    """CPU seconds of scikit-learn for one class in one resample."""
    start = time.process_time()
    for column in columns:
        for weight in weights.T:
            roc_auc_score(cases.truth[:, column], cases.scores[:, column], sample_weight=weight)
            average_precision_score(cases.truth[:, column], cases.scores[:, column], sample_weight=weight)
    return (time.process_time() - start) / (len(columns) * weights.shape[1])


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", type=int, default=39_000)
    parser.add_argument("--classes", type=int, default=193)
    parser.add_argument("--resamples", type=int, default=1000)
    options = parser.parse_args()
    cases = simulated(options.cases, options.classes)
    wall, cpu = time.perf_counter(), time.process_time()
    found = measure_findings(cases, resampling=Resampling(options.resamples))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    assert found.macro_auc is not None
    few = bootstrap_of(cases, Resampling(5)).weights
    measured = [cases.findings.index(name) for name in found.classes]
    columns = measured[:: max(1, len(measured) // 4)]
    each = loop_seconds(cases, few, columns)
    loop = each * len(measured) * options.resamples
    cells = int((cases.truth == 1).sum())
    print(f"{options.resamples} resamples x {len(measured)} classes x {options.cases} images")
    print(f"{found.patients} patients, {cells} positive cells")
    print(f"macro AUC {found.macro_auc.value:.4f} ({found.macro_auc.low:.4f} to {found.macro_auc.high:.4f})")
    print(
        f"offclip       {wall:8.1f} s wall on {available_cores()} cores, {cpu:.1f} s CPU, peak {peak:.2f} GiB"
    )
    print(f"scikit-learn  {loop:8.0f} s CPU, from {len(columns)} classes x 5 resamples, no micro-average")
    print(f"ratio         {loop / cpu:8.0f} in CPU seconds")
    passed = wall <= MOST_SECONDS and peak <= MOST_GIB
    result = {"benchmark": "bootstrap_speed", "wall_s": round(wall, 1), "cpu_s": round(cpu, 1)}
    result |= {"peak_gib": round(peak, 2), "loop_cpu_s": round(loop), "ratio": round(loop / cpu)}
    print(json.dumps(result | {"passed": passed}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

"""Calibration of the cases: probabilities that no case helped to fit, and how well they hold."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.special import expit

from offclip.cores import available_cores
from offclip.errors import DataError
from offclip.evaluation.cases import Cases
from offclip.evaluation.operating.column import Column
from offclip.evaluation.operating.parts import Origin, Source, finding_sources, source_of
from offclip.evaluation.statistics.bootstrap import Bootstrap
from offclip.evaluation.statistics.calibration import Method, calibrator
from offclip.evaluation.statistics.estimate import Estimate
from offclip.evaluation.statistics.reliability import (
    BINS,
    ReliabilityBin,
    Scheme,
    brier_interval,
    ece_expected_if_calibrated,
    ece_interval,
    reliability_curve,
)

AT_LEAST = 10  # positives, and negatives; with fewer a calibration is a guess
Scale = Literal["logit", "probability", "other"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """One calibrated score.

    Attributes:
        method: How scores become probabilities.
        origin: Where that was fitted; never on the case itself.
        scale: What the raw scores look like: "logit", "probability" or "other".
        ece: Expected calibration error of the probabilities; the interval is by the bootstrap over patients.
        ece_before: Of the raw scores, logits through the sigmoid; None where they are neither logits nor
            probabilities.
        ece_expected: What chance alone gives perfectly calibrated probabilities of so many cases.
        brier: Mean squared error of the probabilities.
        curve, curve_before: Reliability, bin by bin; `curve_before` is empty where `ece_before` is None.
        bins: Number of bins that was asked for.
        scheme: How the bins are cut.
        parameters: Of the fit, or of each fold's; `statistics.calibration.restore` takes them back.
        probabilities: (N,) of all cases, those of unknown truth too.
    """

    method: Method
    origin: Origin
    scale: Scale
    ece: Estimate
    ece_before: Estimate | None
    ece_expected: float
    brier: Estimate
    curve: tuple[ReliabilityBin, ...]
    curve_before: tuple[ReliabilityBin, ...]
    bins: int
    scheme: Scheme
    parameters: tuple[Mapping[str, Any], ...]
    probabilities: np.ndarray = field(repr=False, compare=False)

    def document(self) -> dict[str, Any]:
        """For results.json."""
        one = len(self.parameters) == 1
        return {
            "method": self.method,
            "from": self.origin,
            "ece": asdict(self.ece),
            "ece_before": None if self.ece_before is None else asdict(self.ece_before),
            "ece_expected_if_calibrated": self.ece_expected,
            "brier": asdict(self.brier),
            "parameters": dict(self.parameters[0]) if one else {"folds": [dict(p) for p in self.parameters]},
            "bins": [asdict(b) for b in self.curve],
            "bins_before": [asdict(b) for b in self.curve_before],
            "binning": f"{self.bins} bins, {self.scheme}",
        }


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """Calibrations of all findings.

    Attributes:
        findings: From finding to calibration, in the order of the cases' findings.
        left_out: From finding to the reason why it has none.
        probabilities: (N, C) float64; NaN for a finding that is left out.
    """

    findings: Mapping[str, Calibration]
    left_out: Mapping[str, str]
    probabilities: np.ndarray


def calibrate(
    cases: Cases,
    validation: Cases | None = None,
    *,
    method: Method = "platt",
    bins: int = BINS,
    scheme: Scheme = "equal-mass",
    folds: int = 5,
    seed: int = 0,
    bootstrap: Bootstrap | None = None,
) -> CalibrationResult:
    """Calibrates every finding.

    Args:
        cases: N cases that are reported.
        validation: Cases of other patients, with the same findings in any order. None: every case gets the
            probability of the fit on the other folds of patients.
        method: "platt" unless there is a reason: "temperature" cannot mend a wrong prevalence, "isotonic"
            needs many cases.
        bins: Of the calibration error and the reliability curve.
        scheme: "equal-mass" or "equal-width".
        folds: Of the cross-validation.
        seed: Of the folds and of `ece_expected`.
        bootstrap: Resamples of the patients of `cases`; None draws them.

    Raises:
        InputError: A finding is missing in the validation cases, a score is not finite, or there is no such
            method or scheme.
        DataError: A patient is on both sides.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> logits = rng.normal(size=(400, 1))
        >>> present = rng.random((400, 1)) < expit(3 * logits)
        >>> result = calibrate(Cases.of([str(i) for i in range(400)], ["edema"], logits, present))
        >>> found = result.findings["edema"]
        >>> found.ece.low, found.ece_before.low > 0, found.origin
        (0.0, True, 'nested cross-validation')
    """
    sources = finding_sources(cases, validation, folds=folds, seed=seed)
    drawn = bootstrap or Bootstrap.of(cases.patient_ids)

    def one(item: tuple[Column, Source]) -> Calibration | str:
        try:
            return _calibrated(*item, method, bins, scheme, seed, drawn)
        except DataError as error:
            return error.message

    with ThreadPoolExecutor(available_cores()) as pool:
        results = dict(zip(cases.findings, pool.map(one, sources), strict=True))
    findings = {name: found for name, found in results.items() if isinstance(found, Calibration)}
    left_out = {name: reason for name, reason in results.items() if isinstance(reason, str)}
    probabilities = np.full(cases.scores.shape, np.nan)
    for i, name in enumerate(cases.findings):
        if name in findings:
            probabilities[:, i] = findings[name].probabilities
    return CalibrationResult(findings, left_out, probabilities)


def calibrate_score(
    test: Column,
    validation: Column | None = None,
    *,
    method: Method = "platt",
    bins: int = BINS,
    scheme: Scheme = "equal-mass",
    folds: int = 5,
    seed: int = 0,
    bootstrap: Bootstrap | None = None,
) -> Calibration:
    """Calibrates one score, such as a normal score; see `calibrate`.

    Raises:
        InputError: A score is not finite, or there is no such method or scheme.
        DataError: There are fewer than `AT_LEAST` positives or negatives to fit on, the scores are useless,
            a patient is on both sides, or there are fewer patients than folds.
    """
    source = source_of(test, validation, folds=folds, seed=seed)
    bootstrap = bootstrap or Bootstrap.of(test.patient_ids)
    return _calibrated(test, source, method, bins, scheme, seed, bootstrap)


def scale_of(scores: np.ndarray) -> Scale:
    """What scores look like.

    "probability" where all lie in [0, 1]; "logit" where some lie below 0 and some outside [-1, 1], because
    those could be cosines; "other" else.

    Example:
        >>> [scale_of(np.array(s)) for s in ([0.1, 0.9], [-3.0, 0.5], [-0.2, 0.4], [10.0, 90.0])]
        ['probability', 'logit', 'other', 'other']
    """
    low, high = float(np.min(scores)), float(np.max(scores))
    if low >= 0 and high <= 1:
        return "probability"
    return "logit" if low < 0 and max(-low, high) > 1 else "other"


def _calibrated(
    test: Column, source: Source, method: Method, bins: int, scheme: Scheme, seed: int, bootstrap: Bootstrap
) -> Calibration:
    calibrator(method)  # an unknown method is the caller's mistake, not the finding's
    known = ~np.isnan(test.truth)
    if not known.any():
        raise DataError("no case whose truth is known", "Give labels, or leave the class out.")
    fitted = []
    probabilities = np.empty(len(test.scores))
    for part in source.parts(test, AT_LEAST):
        one = calibrator(method).fit(part.scores, part.positive)
        probabilities[part.rows] = one.predict(test.scores[part.rows])
        fitted.append(one.parameters)
    positive = test.truth[known] == 1
    scale = scale_of(test.scores)
    before = {"logit": expit(test.scores), "probability": test.scores, "other": None}[scale]
    return Calibration(
        method,
        source.origin,
        scale,
        ece_interval(probabilities, test.truth, bootstrap, bins, scheme),
        None if before is None else ece_interval(before, test.truth, bootstrap, bins, scheme),
        ece_expected_if_calibrated(probabilities[known], bins, scheme, seed=seed),
        brier_interval(probabilities, test.truth, bootstrap),
        reliability_curve(probabilities[known], positive, bins, scheme),
        () if before is None else reliability_curve(before[known], positive, bins, scheme),
        bins,
        scheme,
        tuple(fitted),
        probabilities,
    )

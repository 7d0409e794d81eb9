"""Cases in, everything that is measured of them out: one way for a model, a public set, and any scores."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from offclip.errors import DataError
from offclip.evaluation.as_json import as_json
from offclip.evaluation.cases import Cases
from offclip.evaluation.findings import FindingResults, bootstrap_of, measure_findings
from offclip.evaluation.fusion import fuse_studies
from offclip.evaluation.normal import NormalResult, measure_normal
from offclip.evaluation.operating import CalibrationResult, OperatingResult, calibrate, operate
from offclip.evaluation.progress import OnProgress
from offclip.evaluation.protocols.apply import restrict, with_normal_class
from offclip.evaluation.protocols.extras import protocol_extras
from offclip.evaluation.protocols.protocol import ClassRule, Protocol
from offclip.evaluation.results_format import FORMAT, MEANS
from offclip.evaluation.settings import Settings
from offclip.version import __version__

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation measured.

    Attributes:
        cases: That were reported: after exclusions, and studies where the unit is the study.
        validation: That set thresholds and calibration; None where there was none.
        document: The content of results.json.
        misses: Abnormal cases that would be cleared, a row each and operating point; see `normal.misses`.
        notes: What the user should know, in words.
        films: From case id to a film, where there are films.
    """

    cases: Cases
    validation: Cases | None
    document: dict[str, Any]
    misses: pl.DataFrame | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    films: Mapping[str, Path] = field(default_factory=dict, repr=False)


def evaluate_cases(
    cases: Cases,
    validation: Cases | None = None,
    settings: Settings | None = None,
    *,
    studies_known: bool | None = None,
    films: Mapping[str, Path] | None = None,
    notes: Sequence[str] = (),
    on_progress: OnProgress | None = None,
) -> Evaluated:
    """Measures cases as the settings say.

    Args:
        cases: What is reported: images, whatever the unit of the protocol.
        validation: Images of other patients, which set thresholds and calibration; without them both come
            from nested cross-validation over patients.
        settings: How scores are measured.
        studies_known: Whether the studies of the images are known; None looks at the ids.
        films: From case id to a film, for the table of misses and the gallery.
        notes: What the user should know already.
        on_progress: Called with (what, done, all).

    Raises:
        DataError: Nothing can be measured, or scores and labels are unusable.
        ConfigError: The protocol needs classes that the cases do not have.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> truth = rng.random((200, 1)) < 0.4
        >>> scores = truth + rng.normal(size=(200, 1))
        >>> found = evaluate_cases(Cases.of([f"i{i}" for i in range(200)], ["edema"], scores, truth)).document
        >>> round(found["macro_auc"]["value"], 2), found["normal"]["score"]
        (0.8, '-mean(findings)')
    """
    settings = settings or Settings()
    tell = on_progress or (lambda what, done, total: None)
    told = list(notes)
    protocol, cases, validation = _prepare(cases, validation, settings, studies_known, told)
    counted = with_normal_class(protocol, cases)
    counted_validation = with_normal_class(protocol, validation) if validation is not None else None
    seed, bootstrap = settings.resampling.seed, bootstrap_of(cases, settings.resampling)
    tell("measuring findings", 0, 4)
    means = [rule.name for rule in protocol.classes if rule.counts and rule.name in counted.findings]
    found = measure_findings(
        counted,
        auprc=protocol.auprc,
        groups=protocol.groups,
        counts=means,
        bootstrap=bootstrap,
    )
    tell("choosing thresholds", 1, 4)
    thresholds = protocol.thresholds
    # Clopper and Pearson take cases for independent; several of one patient are not.
    clustered = bootstrap if len(bootstrap.counts) < len(cases) else None
    operating = operate(counted, counted_validation, thresholds=thresholds, seed=seed, bootstrap=clustered)
    tell("calibrating", 2, 4)
    calibration = calibrate(
        counted, counted_validation, method=settings.calibration, seed=seed, bootstrap=bootstrap
    )
    tell("measuring normal detection", 3, 4)
    normal, reason = None, ""
    try:
        normal = measure_normal(
            cases,
            validation,
            thresholds=thresholds,
            prevalence=settings.prevalence,
            operating=operating,
            bootstrap=bootstrap,
            calibration=settings.calibration,
            paths={case_id: str(path) for case_id, path in films.items()} if films else None,
        )
    except DataError as error:
        reason = error.message
        told.append(f"Normal detection was not measured: {reason}")
        if not found.per_class:
            lacking = "; ".join(f"{name}: {why}" for name, why in list(found.left_out.items())[:_SHOWN])
            raise DataError(f"Nothing can be measured. {lacking}. {reason}", error.remedy) from error
    tell("measuring normal detection", 4, 4)
    document = _document(protocol, settings, cases, validation, found, operating, calibration, normal)
    document["normal_reason"] = reason or None
    document["notes"] = told
    misses = normal.misses if normal else None
    return Evaluated(cases, validation, document, misses, tuple(told), films or {})


def _prepare(
    cases: Cases, validation: Cases | None, settings: Settings, studies_known: bool | None, notes: list[str]
) -> tuple[Protocol, Cases, Cases | None]:
    """Exclusions, then fusion."""
    protocol = settings.protocol
    if not protocol.classes:  # the classes are those of the data, and belong to what the hash fixes
        protocol = replace(protocol, classes=tuple(ClassRule(name, ()) for name in cases.findings))
    before = len(cases)
    cases = restrict(protocol, cases)
    if len(cases) < before:
        notes.append(f"{before - len(cases)} of {before} cases are left out by the protocol.")
    if not len(cases):
        raise DataError(f"{protocol.name} leaves out all {before} cases.", "Check the labels.")
    if validation is not None:
        validation = restrict(protocol, validation)
        validation = validation if len(validation) else None
    if protocol.unit == "study":
        fused = fuse_studies(
            cases,
            protocol.fuse,
            validation=validation,
            seed=settings.resampling.seed,
            studies_known=studies_known,
        )
        cases = fused.cases
        if fused.fell_back:
            names = ", ".join(fused.fell_back)
            notes.append(f"Too few studies to learn a fusion, so the mean is taken: {names}.")
        if validation is not None:  # "learned" is cross-fitted here: no study is fused by what it taught
            validation = fuse_studies(
                validation, protocol.fuse, seed=settings.resampling.seed, studies_known=studies_known
            ).cases
    return protocol, cases, validation


def _document(
    protocol: Protocol,
    settings: Settings,
    cases: Cases,
    validation: Cases | None,
    found: FindingResults,
    operating: OperatingResult,
    calibration: CalibrationResult,
    normal: NormalResult | None,
) -> dict[str, Any]:
    stamp = {"protocol_hash": protocol.hash}
    means = {"classes": len(found.classes)} | stamp
    per_class = {
        name: as_json(result)
        | {
            "operating_point": as_json(operating.points.get(name)),
            "no_operating_point": operating.left_out.get(name),
            "calibration": as_json(calibration.findings.get(name)),
            "no_calibration": calibration.left_out.get(name),
            "counts": name in found.classes,
        }
        | stamp
        for name, result in found.per_class.items()
    }
    means_of = {
        name: (as_json(getattr(found, name)) or {"value": None, "low": None, "high": None}) | means
        for name in MEANS
    }
    scored = [rule for rule in protocol.classes if rule.name in cases.findings]
    columns = [cases.findings.index(rule.name) for rule in scored]
    return {
        "format": FORMAT,
        "offclip": __version__,
        "protocol": {
            "name": protocol.name,
            "title": protocol.title,
            "variant": protocol.variant,
            "hash": protocol.hash,
            "quirks": list(protocol.quirks),
            "source": protocol.source,
            "auprc": protocol.auprc,
            "thresholds": protocol.thresholds,
        },
        "run": _run(protocol, settings, cases, validation),
        "interval": {
            "method": "patient-cluster bootstrap, percentile",
            "level": settings.resampling.level,
            "resamples": settings.resampling.resamples,
            "seed": settings.resampling.seed,
        },
        **means_of,
        "groups": as_json(found.groups),
        "per_class": per_class,
        "left_out": dict(found.left_out),
        "normal": as_json(normal) | stamp if normal is not None else None,
        "extras": protocol_extras(
            protocol, [rule.name for rule in scored], cases.scores[:, columns], cases.truth[:, columns]
        ),
        "negation": None,
        "prompts": [],
        "grounding": None,
    }


def _run(protocol: Protocol, settings: Settings, cases: Cases, validation: Cases | None) -> dict[str, Any]:
    return {
        "name": None,
        "model": None,
        "weights": None,
        "scores": None,
        "labels": None,
        "data": None,
        "split": None,
        "synthetic": False,
        "command": settings.command or None,
        "calibration": settings.calibration,
        "prevalence": settings.prevalence,
        "unit": protocol.unit,
        "fuse": protocol.fuse if protocol.unit == "study" else None,
        "cases": len(cases),
        "images": len(cases) if protocol.unit == "image" else None,
        "studies": len(set(cases.study_ids)),
        "patients": len(set(cases.patient_ids)),
        "validation_cases": len(validation) if validation is not None else 0,
        "data_fingerprint": fingerprint(cases),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "offclip": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
    }


def fingerprint(cases: Cases) -> str:
    """32 hex digits over ids, patients and truth, whatever the order of the cases; scores do not count.

    Example:
        >>> cases = Cases.of(["a", "b"], ["edema"], [[0.9], [0.1]], [[1], [0]])
        >>> fingerprint(cases) == fingerprint(cases.select([1, 0]))
        True
    """
    columns = sorted(range(len(cases.findings)), key=cases.findings.__getitem__)
    values = np.column_stack((cases.normal, cases.truth[:, columns]))
    digest = hashlib.sha256("\n".join(cases.findings[i] for i in columns).encode())
    for row in sorted(range(len(cases)), key=cases.ids.__getitem__):
        known = (cases.ids[row], cases.study_ids[row], cases.patient_ids[row], values[row].tolist())
        digest.update(repr(known).encode())
    return digest.hexdigest()[:32]

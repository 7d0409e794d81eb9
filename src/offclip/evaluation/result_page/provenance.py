"""Where the numbers come from, and the command that makes them again."""

from __future__ import annotations

import shlex

from offclip.evaluation.result_page.measured import IntervalMethod, Results
from offclip.evaluation.result_page.words import count, plural

_UNITS = {"image": "images", "study": "studies"}


def facts(results: Results) -> dict[str, str]:
    """What was measured and on what, for the top of the page; what is not known is left out."""
    run, protocol = results.run, results.protocol
    found = {
        "Protocol": protocol.name,
        "Protocol hash": protocol.hash,
        "Variant": protocol.variant,
        "Unit": run.unit,
        "Views fused by": run.fuse if run.unit == "study" else "",
        "Split": run.split,
        "Cases": _known(run.cases),
        "Images": _known(run.images),
        "Studies": _known(run.studies),
        "Patients": _known(run.patients),
        "Validation cases": _known(run.validation_cases),
        "Findings measured": _known(len(results.classes) or None),
    }
    return {name: value for name, value in found.items() if value}


def provenance(results: Results) -> dict[str, str]:
    """Everything that tells this run from another."""
    run = results.run
    found = {
        "protocol": results.protocol.name,
        "protocol hash": results.protocol.hash,
        "protocol source": results.protocol.source,
        "data fingerprint": run.fingerprint,
        **run.inputs,
        "intervals": intervals(results.interval),
        "created": run.created,
        "offclip that measured": results.offclip,
    }
    found |= {f"version {name}": version for name, version in run.versions.items()}
    return {name: value for name, value in found.items() if value}


def intervals(interval: IntervalMethod) -> str:
    """How the intervals were made.

    Example:
        >>> intervals(IntervalMethod("patient-cluster bootstrap, percentile", 0.95, 1000, 0))
        '95 %, patient-cluster bootstrap, percentile, 1,000 resamples, seed 0'
    """
    if not interval.method:
        return ""
    parts = [f"{100 * interval.level:.4g} %", interval.method]
    parts += [plural(interval.resamples, "resample")] if interval.resamples else []
    parts += [f"seed {interval.seed}"] if interval.seed is not None else []
    return ", ".join(parts)


def lede(results: Results) -> str:
    """What was scored, in a sentence or two."""
    run = results.run
    what = count(run.cases) + " " + (_UNITS.get(run.unit, "cases") if run.cases != 1 else run.unit or "case")
    if run.cases is None:
        what = "Cases"
    of = f" of {plural(run.patients, 'patient')}" if run.patients else ""
    asked = [plural(len(results.classes), "finding")] if results.classes else []
    asked += ["being normal"] if results.normal else []
    scored = f", scored for {' and for '.join(asked)}," if asked else ""
    where = "were" if run.cases != 1 else "was"
    return f"{what}{of}{scored} {where} compared with their labels."


def command(results: Results) -> str:
    """The command of the run as it was written down, or as its inputs tell; empty if they are unknown."""
    run, protocol = results.run, results.protocol.name
    if run.command:
        return run.command
    inputs = run.inputs
    words = ["offclip", "evaluate"]
    if "scores" in inputs and "labels" in inputs:
        words += ["--scores", inputs["scores"], "--labels", inputs["labels"]]
        words += ["--protocol", protocol] if protocol not in ("", "open") else []
        words += ["--unit", run.unit] if run.unit == "study" else []
        words += ["--fuse", run.fuse] if run.fuse and run.unit == "study" else []
    elif "model" in inputs and "data" in inputs:
        words += [inputs["model"]]
        words += (
            ["--data", inputs["data"]]
            if protocol in ("", "open")
            else ["--protocol", protocol, "--root", inputs["data"]]
        )
    else:
        return ""
    words += ["--split", run.split] if run.split else []
    words += ["--resamples", str(results.interval.resamples)] if results.interval.resamples else []
    words += ["--seed", str(results.interval.seed)] if results.interval.seed is not None else []
    return shlex.join([*words, "--out", "results"])


def _known(number: int | None) -> str:
    return "" if number is None else count(number)

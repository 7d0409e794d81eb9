"""What `offclip evaluate` prints: the headline with its intervals, and where the rest is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from offclip.cli.console import console

if TYPE_CHECKING:
    from offclip.evaluation.evaluated import Evaluated

_NOTES_SHOWN = 5


def print_summary(evaluated: Evaluated, out: Path) -> None:
    """Prints a table of the headline, what was left out, and where the files are."""
    document = evaluated.document
    run, protocol = document["run"], document["protocol"]
    table = Table(
        title=f"{run['cases']:,} {_plural(run['unit'])} of {run['patients']:,} patients, split "
        f"{run['split'] or 'all'}; protocol {protocol['name']} {protocol['hash']}"
    )
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, value, interval in _rows(document):
        table.add_row(name, value, interval)
    console().print(table)
    for name, reason in document["left_out"].items():
        print(f"Not in the means: {name}: {reason}")
    for note in evaluated.notes[:_NOTES_SHOWN]:
        print(f"Note: {note}")
    if len(evaluated.notes) > _NOTES_SHOWN:
        print(f"... and {len(evaluated.notes) - _NOTES_SHOWN} more notes in {out}/results.json")
    for entry in document["prompts"][:_NOTES_SHOWN]:
        print(f"Prompt {entry['prompt']!r}: {'; '.join(entry['warnings'])}")
    for quirk in protocol["quirks"]:
        print(f"As published: {quirk}")
    print(f"Wrote {out}/results.json and report.html")


def _rows(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    yield ("macro AUC", *_estimate(document["macro_auc"]))
    yield ("macro AUPRC", *_estimate(document["macro_auprc"]))
    normal = document["normal"]
    if normal is None:
        yield "normal AUC", "not measurable", ""
    else:
        yield (f"normal AUC by {normal['score']!r}", *_estimate(normal["auc"]))
        if normal["worst_prompt"]:
            yield (
                f"... worst prompt: {normal['worst_prompt']['prompt']!r}",
                *_estimate(normal["worst_prompt"]["auc"]),
            )
        for row in normal["rule_out"]:
            name = f"normals cleared at {100 * row['sensitivity']:g} % sensitivity"
            if row["claim"] == "refused":
                yield name, "refused", row["reason"]
                continue
            reached = f"{100 * row['reached']['value']:.1f} % reached, {row['claim']}"
            yield (f"{name} ({reached})", *_estimate(row["cleared"]))
        if normal["false_findings"]:
            yield ("false findings per normal", *_estimate(normal["false_findings"]["per_normal"]))
    if document.get("negation"):
        yield ("negation, balanced accuracy", *_estimate(document["negation"]["macro"]))
    metrics = document.get("metrics") or {}
    for name in ("abnormal_auc_among_abnormals", "pointing_accuracy", "pointing_chance"):
        if metrics.get(name) is not None:
            yield name.replace("_", " "), f"{metrics[name]:.3f}", ""
    for name, value in (document.get("extras") or {}).items():
        yield name.replace("_", " "), f"{value:.3f}", ""


def _estimate(estimate: Mapping[str, Any] | None) -> tuple[str, str]:
    if estimate is None or estimate["value"] is None:
        return "not measurable", ""
    low, high = estimate["low"], estimate["high"]
    interval = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    return f"{estimate['value']:.3f}", interval


def _plural(unit: str) -> str:
    return "studies" if unit == "study" else "images"

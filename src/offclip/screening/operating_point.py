"""The operating point that `offclip evaluate` chose on validation patients, and what it may be used for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offclip.data.csv_table import read_table
from offclip.errors import ConfigError, DataError
from offclip.evaluation.cases import Cases
from offclip.evaluation.negation import negation_prompts
from offclip.evaluation.outputs import VALIDATION
from offclip.evaluation.results.reading import at, block, number, read_results
from offclip.zeroshot.ensemble import PromptSet

_FITTED = "validation"


@dataclass(frozen=True, slots=True)
class TriagePoint:
    """A threshold of a normal score, with everything that it depends on.

    Attributes:
        folder: The evaluation that chose it.
        score: Name of the normal score, see `evaluation.normal.scores`.
        sensitivity: Share of the abnormal cases that it was fitted to keep.
        threshold: A case is cleared when its normal score is above it.
        reached: Sensitivity on the reported cases of the evaluation, a number with its interval.
        supports: The sensitivity that those cases do support: the lower limit, by case and by patient.
        claim: What they say of the sensitivity that was aimed at, in words.
        findings: Columns of findings, in order.
        normal: Columns of normal scores, in order.
        thresholds: From finding to t of `score >= t`, where that was fitted on validation patients.
        unit: `"image"` or `"study"`.
        fuse: How images become a study.
        weights: The model, see `models.identity.about_model`; None for a table of scores.
        precision: Of CARZero's scoring; None for exact.
        synthetic: Whether the evaluation's films are drawn.
    """

    folder: Path
    score: str
    sensitivity: float
    threshold: float
    reached: Mapping[str, Any]
    supports: float
    claim: str
    findings: tuple[str, ...]
    normal: tuple[str, ...]
    thresholds: Mapping[str, float]
    unit: str
    fuse: str | None
    weights: Mapping[str, Any] | None
    precision: str | None
    synthetic: bool

    def document(self) -> dict[str, Any]:
        """For screening.json."""
        names = (
            "score",
            "sensitivity",
            "threshold",
            "reached",
            "supports",
            "claim",
            "unit",
            "fuse",
            "synthetic",
        )
        return {"evaluation": str(self.folder)} | {name: getattr(self, name) for name in names}

    def check_model(self, weights: Mapping[str, Any], asked: PromptSet) -> None:
        """Refuses a model, pixels or prompts other than those that the threshold was chosen with.

        Raises:
            ConfigError: They are others, or the evaluation does not say.
        """
        if self.weights is None:
            raise ConfigError(
                f"{self.folder}: chosen on a table of scores, or by an older version; of which model it "
                "does not say.",
                "Evaluate the model itself on validation data, and give that folder.",
            )
        for what in ("sha256", "preprocess"):
            ours, theirs = (json.dumps(w.get(what), sort_keys=True) for w in (weights, self.weights))
            if ours != theirs:
                raise ConfigError(
                    f"{self.folder}: chosen for {self.weights.get('name')} with {what} {theirs}; "
                    f"{weights.get('name')} has {ours}.",
                    "A threshold holds for one model: evaluate this one, under this name.",
                )
        known = read_table(self.folder / "scores.csv", ("image_id",)).columns[1:]
        more = set(known) - set(asked.texts) - set(negation_prompts(self.findings))
        missing = [text for text in asked.texts if text not in known]
        if missing or more or asked.normal != self.normal:
            example = next(iter([*sorted(more), *missing, *self.normal]), "")
            raise ConfigError(
                f"{self.folder}: chosen with other prompts, such as {example!r}.",
                "Give the file with --prompts that was given to 'offclip evaluate'.",
            )


def read_triage_point(folder: str | Path, sensitivity: float | None = None) -> TriagePoint:
    """Reads an operating point of an evaluation.

    Args:
        folder: What `offclip evaluate` wrote.
        sensitivity: One of those that were evaluated; None takes the largest that the evaluation had
            enough abnormal cases to speak of.

    Raises:
        DataError: The folder holds no evaluation, or normal detection was not measured there.
        ConfigError: The thresholds were not chosen on validation patients, there is no such sensitivity, or
            the abnormal cases are too few for all of them.
    """
    folder = Path(folder)
    results = read_results(folder)
    rules = at(results, "normal", "rule_out") or []
    if not rules:
        reason = at(results, "normal_reason") or "normal detection is missing"
        raise DataError(
            f"{folder}: no operating point ({reason}).", "Evaluate on a set with normal and abnormal cases."
        )
    origin = rules[0]["from"]
    if origin != _FITTED or not (folder / VALIDATION).is_file():
        raise ConfigError(
            f"{folder}: its thresholds come from {origin}: from the cases that it reports on.",
            "Evaluate with a split 'validate' of other patients; thresholds are chosen there.",
        )
    rule = _chosen(rules, sensitivity, folder)
    cases = Cases.read(folder / VALIDATION)
    points = {name: at(results, "per_class", name, "operating_point") for name in cases.findings}
    return TriagePoint(
        folder,
        results["normal"]["score"],
        rule["sensitivity"],
        float(rule["threshold"]),
        rule["reached"],
        rule["supports"],
        f"{rule['claim']}: {rule['reason']}",
        cases.findings,
        tuple(cases.normal_scores),
        {
            name: float(point["threshold"])
            for name, point in points.items()
            if point and point["from"] == _FITTED and number(point["threshold"]) is not None
        },
        at(results, "run", "unit"),
        at(results, "run", "fuse"),
        block(results, "run", "weights") or None,
        at(results, "run", "precision"),
        bool(at(results, "run", "synthetic")),
    )


def _chosen(rules: Sequence[Mapping[str, Any]], sensitivity: float | None, folder: Path) -> Mapping[str, Any]:
    there = ", ".join(f"{rule['sensitivity']:g} ({rule['claim']})" for rule in rules)
    if sensitivity is not None:
        for rule in rules:
            if math.isclose(rule["sensitivity"], sensitivity, abs_tol=1e-9):
                return rule
        raise ConfigError(f"{folder}: no operating point at {sensitivity:g}.", f"There are: {there}.")
    told = [rule for rule in rules if rule["claim"] != "refused"]
    if not told:
        raise ConfigError(
            f"{folder}: too few abnormal cases to say that a sensitivity is reached: {there}.",
            "Evaluate on more of them; or name one with --sensitivity, to try it out.",
        )
    return max(told, key=lambda rule: rule["sensitivity"])

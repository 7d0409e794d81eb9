"""Measures of one kind of map: per class and their mean, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from offclip.evaluation.as_json import as_json
from offclip.evaluation.grounding.cuts import ChosenCuts
from offclip.evaluation.grounding.measure import Measured
from offclip.evaluation.statistics.bootstrap import Bootstrap, Resampling
from offclip.evaluation.statistics.draws import Draws, mean_of
from offclip.evaluation.statistics.estimate import Estimate

IOU_LEVELS = (0.1, 0.3, 0.5)


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one class, or the mean over classes; None where no image gives a value.

    Attributes:
        hit: Pointing game.
        chance: What a random cell scores in it.
        miou, dice: At the chosen cut.
        iou_at: Share of the maps whose IoU reaches a level.
        cnr: Contrast-to-noise ratio with its sign.
        cnr_absolute: Mean of its absolute value, as in MS-CXR.
        energy: Share of the map's positive part inside the region.
        energy_chance: Share of the image inside the region.
        maps: Number of pairs of image and finding.
        patients: That they stem from.
    """

    hit: Estimate
    chance: float
    miou: Estimate | None
    dice: Estimate | None
    iou_at: Mapping[str, Estimate | None]
    cnr: Estimate | None
    cnr_absolute: Estimate | None
    energy: Estimate | None
    energy_chance: float | None
    maps: int
    patients: int


@dataclass(frozen=True, slots=True)
class MethodGrounding:
    """One kind of map.

    Attributes:
        overall: Means over the classes, each counting alike; `maps` and `patients` are those of all.
        per_class: From finding to its measures.
        cut: How the map was made a region, in words.
        cut_from: Where that was chosen.
    """

    overall: Measures
    per_class: Mapping[str, Measures]
    cut: str
    cut_from: str

    def block(self) -> dict[str, Any]:
        """For JSON."""
        classes = {name: measures_block(m) for name, m in self.per_class.items()}
        threshold = {"cut": self.cut, "from": self.cut_from}
        return measures_block(self.overall) | {"threshold": threshold, "per_class": classes}


def summarise_method(
    measured: Sequence[Measured], cuts: ChosenCuts, resampling: Resampling
) -> MethodGrounding:
    """Means with patient-cluster bootstrap intervals.

    Args:
        measured: N maps of one method, at least one.
        cuts: Of each.
        resampling: How the intervals are drawn.
    """
    patients = np.array([m.patient_id for m in measured])
    findings = np.array([m.finding for m in measured])
    names = sorted(set(findings.tolist()))
    bootstrap = Bootstrap.of(patients, None, resampling)
    values = values_of(measured, cuts)
    drawn = {
        measure: {name: bootstrap.mean(np.where(findings == name, column, np.nan)) for name in names}
        for measure, column in values.items()
    }
    per_class = {
        name: _measures(
            {measure: by_class[name] for measure, by_class in drawn.items()},
            findings == name,
            patients,
        )
        for name in names
    }
    overall = {measure: _macro(list(by_class.values())) for measure, by_class in drawn.items()}
    everything = np.ones(len(measured), bool)
    return MethodGrounding(_measures(overall, everything, patients), per_class, cuts.name, cuts.source)


def values_of(measured: Sequence[Measured], cuts: ChosenCuts) -> dict[str, np.ndarray]:
    """(N,) values of every measure; NaN where there is none."""
    at_cut = [m.overlaps[i] if i >= 0 else None for m, i in zip(measured, cuts.index.tolist(), strict=True)]
    iou = np.array([math.nan if o is None else o.iou for o in at_cut])
    reached = {f"iou_at_{level:g}": np.where(np.isnan(iou), np.nan, iou >= level) for level in IOU_LEVELS}
    cnr = np.array([m.contrast.cnr for m in measured])
    return {
        "hit": np.array([m.pointing.hit for m in measured]),
        "chance": np.array([m.pointing.chance for m in measured]),
        "miou": iou,
        "dice": np.array([math.nan if o is None else o.dice for o in at_cut]),
        "cnr": cnr,
        "cnr_absolute": np.abs(cnr),
        "energy": np.array([m.contrast.energy for m in measured]),
        "energy_chance": np.array([m.contrast.area for m in measured]),
    } | reached


def measures_block(measures: Measures) -> dict[str, Any]:
    """For JSON: estimates as objects, numbers as they are, None for what there is not."""
    return as_json(measures)


def known(draws: Draws) -> Estimate | None:
    """The estimate, None where there is no value."""
    return None if math.isnan(draws.value) else draws.estimate


def _measures(drawn: Mapping[str, Draws], chosen: np.ndarray, patients: np.ndarray) -> Measures:
    area = drawn["energy_chance"].value
    return Measures(
        hit=drawn["hit"].estimate,
        chance=drawn["chance"].value,
        miou=known(drawn["miou"]),
        dice=known(drawn["dice"]),
        iou_at={f"{level:g}": known(drawn[f"iou_at_{level:g}"]) for level in IOU_LEVELS},
        cnr=known(drawn["cnr"]),
        cnr_absolute=known(drawn["cnr_absolute"]),
        energy=known(drawn["energy"]),
        energy_chance=None if math.isnan(area) else area,
        maps=int(chosen.sum()),
        patients=len(set(patients[chosen].tolist())),
    )


def _macro(of_classes: Sequence[Draws]) -> Draws:
    """The mean over the classes that have a value."""
    with_value = [draws for draws in of_classes if not math.isnan(draws.value)]
    return mean_of(with_value) if with_value else of_classes[0]

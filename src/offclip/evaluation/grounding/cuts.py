"""Where a map is cut into a region: chosen on other images than those that are reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offclip.evaluation.grounding.measure import Measured
from offclip.grounding.localisation import CUTS, best_cut

FOLDS = 5
FROM_VALIDATION, FROM_FOLDS, NOWHERE = "validation", "cross-validation over patients", "no other image"


@dataclass(frozen=True, slots=True)
class ChosenCuts:
    """The cut of each of N maps.

    Attributes:
        index: (N,) position in `CUTS`; -1 where there was nothing to choose on.
        source: `"validation"`, `"cross-validation over patients"` or `"no other image"`.
    """

    index: np.ndarray
    source: str

    @property
    def name(self) -> str:
        """Such as `"quantile 0.9"`; of several cuts, each, with the number of its maps."""
        counts = {int(i): int((self.index == i).sum()) for i in np.unique(self.index) if i >= 0}
        names = {i: f"{CUTS[i].kind} {CUTS[i].at:g}" for i in counts}
        if len(names) == 1:
            return next(iter(names.values()))
        return ", ".join(f"{names[i]} ({n} maps)" for i, n in counts.items())


def choose_cuts(reported: Sequence[Measured], validation: Sequence[Measured], seed: int = 0) -> ChosenCuts:
    """Chooses the cut of each map by the mean IoU of other images.

    On the validation images if one of them has a region; else by cross-validation: the patients are dealt
    into folds, and the maps of a fold are cut as is best for all other folds.

    Args:
        reported: Maps of one method.
        validation: Maps of the same method, of other patients; may be empty.
        seed: Of the folds.
    """
    found = _best(validation)
    if found is not None:
        return ChosenCuts(np.full(len(reported), found), FROM_VALIDATION)
    patients = sorted({m.patient_id for m in reported})
    order = np.random.default_rng(seed).permutation(len(patients))
    fold = {patients[p]: place % FOLDS for place, p in enumerate(order)}
    own = np.array([fold[m.patient_id] for m in reported], int)
    index = np.full(len(reported), -1)
    for number in np.unique(own):
        found = _best([m for m, f in zip(reported, own, strict=True) if f != number])
        if found is not None:
            index[own == number] = found
    return ChosenCuts(index, FROM_FOLDS if (index >= 0).any() else NOWHERE)


def _best(measured: Sequence[Measured]) -> int | None:
    usable = [m for m in measured if not np.isnan([o.iou for o in m.overlaps]).all()]
    if not usable:
        return None
    return best_cut(np.array([[o.iou for o in m.overlaps] for m in usable]), [m.finding for m in usable])

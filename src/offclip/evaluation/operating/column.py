"""One score with its truth: what a threshold or a calibration is fitted on and used for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offclip.errors import DataError, InputError
from offclip.evaluation.cases import Cases


@dataclass(frozen=True, slots=True)
class Column:
    """One score of N cases.

    Attributes:
        name: Of the finding or of the normal score.
        scores: (N,) float64, finite, higher where the class is likelier.
        truth: (N,) float64: 1 present, 0 absent, NaN unknown.
        patient_ids: N.

    Raises:
        InputError: Lengths differ, or a score is not finite.
    """

    name: str
    scores: np.ndarray
    truth: np.ndarray
    patient_ids: Sequence[str]

    def __post_init__(self) -> None:
        n = len(self.patient_ids)
        if self.scores.shape != (n,) or self.truth.shape != (n,):
            raise InputError(
                f"{self.name}: scores {self.scores.shape} and truth {self.truth.shape} do not fit {n} cases.",
                "Give one of each a case.",
            )
        wrong = int((~np.isfinite(self.scores)).sum())
        if wrong:
            raise InputError(f"{self.name}: {wrong} of {n} scores are not finite.", "Find their images.")


def finding_column(cases: Cases, finding: str) -> Column:
    """The scores of one finding.

    Raises:
        InputError: The cases have no such finding, or a score is not finite.

    Example:
        >>> cases = Cases.of(["a", "b"], ["edema"], [[0.9], [0.1]], [[1], [0]])
        >>> finding_column(cases, "edema").scores.tolist()
        [0.9, 0.1]
    """
    if finding not in cases.findings:
        raise InputError(
            f"The cases have no finding '{finding}'; they have {', '.join(cases.findings)}.",
            "Score the same findings.",
        )
    column = cases.findings.index(finding)
    return Column(finding, cases.scores[:, column], cases.truth[:, column], cases.patient_ids)


def normal_column(cases: Cases, scores: np.ndarray | None = None, name: str = "normal") -> Column:
    """A normal score, whose positive class is "normal".

    Args:
        cases: N cases.
        scores: (N,) higher where normal is likelier; None takes the first normal score of the cases.
        name: For messages.

    Raises:
        InputError: The cases have no normal score and none is given, or a score is not finite.
    """
    if scores is None:
        if not cases.normal_scores:
            raise InputError(
                "The cases have no normal score.", "Give one, such as minus the largest finding."
            )
        name, scores = next(iter(cases.normal_scores.items()))
    return Column(name, np.asarray(scores, np.float64), cases.normal, cases.patient_ids)


def refuse_shared_patients(test: Sequence[str], validation: Sequence[str]) -> None:
    """Refuses a patient on both sides; ids are not shown.

    Raises:
        DataError: A patient of the test set is in the validation set too.
    """
    shared = len(set(test) & set(validation))
    if shared:
        raise DataError(
            f"{shared} patients are in the test set and in the validation set.",
            "Split by patient, or leave the validation set out: thresholds then come from cross-validation.",
        )

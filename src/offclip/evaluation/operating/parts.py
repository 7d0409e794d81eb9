"""What is fitted on which cases, and which cases it may then be used for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from offclip.errors import DataError
from offclip.evaluation.cases import Cases
from offclip.evaluation.operating.column import Column, finding_column, refuse_shared_patients
from offclip.evaluation.statistics.folds import patient_folds

Origin = Literal["validation", "nested cross-validation", "the test set itself (optimistic)"]


@dataclass(frozen=True, slots=True)
class Part:
    """One fit.

    Attributes:
        scores: (M,) to fit on.
        positive: (M,) bool, their truth; both classes are there.
        rows: (N,) bool, the test cases that the fit is used for.
    """

    scores: np.ndarray
    positive: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True, slots=True)
class Source:
    """Where the fits of one score come from.

    Attributes:
        validation: Cases of other patients; None where there are none.
        fold_of: (N,) fold of each test case; None where nothing is cross-validated. With neither, the fit is
            on the test cases themselves.
        refusal: Why there can be no fit; empty where there can.
    """

    validation: Column | None = None
    fold_of: np.ndarray | None = None
    refusal: str = ""

    @property
    def origin(self) -> Origin:
        """In words, for results."""
        if self.validation is not None:
            return "validation"
        in_sample = self.fold_of is None and not self.refusal
        return "the test set itself (optimistic)" if in_sample else "nested cross-validation"

    def parts(self, test: Column, at_least: int = 1) -> tuple[Part, ...]:
        """The fits; together they are used for every test case once.

        Args:
            test: N cases.
            at_least: Positives and negatives that are needed, of all folds together.

        Raises:
            DataError: There are too few, the scores are constant, all of one class are in one fold, or there
                are fewer patients than folds.
        """
        if self.refusal:
            raise DataError(self.refusal, "Take a larger set, or fewer folds.")
        everything = np.ones(len(test.truth), bool)
        if self.validation is not None:
            known = ~np.isnan(self.validation.truth)
            return (_part(self.validation, known, everything, at_least, "validation cases"),)
        known = ~np.isnan(test.truth)
        whole = _part(test, known, everything, at_least, "cases")
        if self.fold_of is None:
            return (whole,)
        return tuple(
            _part(test, known & (self.fold_of != fold), self.fold_of == fold, 1, "cases outside a fold")
            for fold in np.unique(self.fold_of).tolist()
        )


def source_of(
    test: Column, validation: Column | None, *, in_sample: bool = False, folds: int = 5, seed: int = 0
) -> Source:
    """Validation cases where there are some, folds of patients otherwise.

    Raises:
        InputError: There are fewer than two folds.
        DataError: A patient is on both sides.
    """
    if in_sample:
        return Source()
    if validation is not None:
        refuse_shared_patients(test.patient_ids, validation.patient_ids)
        return Source(validation)
    return _cross_validated(test.patient_ids, test.truth[:, None], folds, seed)[0]


def finding_sources(
    cases: Cases, validation: Cases | None, *, in_sample: bool = False, folds: int = 5, seed: int = 0
) -> list[tuple[Column, Source]]:
    """Every finding with its source; each has folds of its own, with its positive patients spread over them.

    Raises:
        InputError: A finding is missing in the validation cases, or a score is not finite.
        DataError: A patient is on both sides.
    """
    tests = [finding_column(cases, finding) for finding in cases.findings]
    if in_sample:
        return [(test, Source()) for test in tests]
    if validation is not None:
        refuse_shared_patients(cases.patient_ids, validation.patient_ids)
        return [(test, Source(finding_column(validation, test.name))) for test in tests]
    return list(zip(tests, _cross_validated(cases.patient_ids, cases.truth, folds, seed), strict=True))


def _cross_validated(patient_ids: Sequence[str], truth: np.ndarray, folds: int, seed: int) -> list[Source]:
    """A source for each column of the truth."""
    patients = len(set(patient_ids))
    if patients < folds:
        refusal = f"{patients} patients are too few for {folds} folds, and there is no validation split"
        return [Source(refusal=refusal) for _ in truth.T]
    return [Source(None, fold_of) for fold_of in patient_folds(patient_ids, truth, folds, seed).T]


def _part(column: Column, fitted: np.ndarray, rows: np.ndarray, at_least: int, which: str) -> Part:
    scores, positive = column.scores[fitted], column.truth[fitted] == 1
    n, n_positive = len(positive), int(positive.sum())
    remedy = "Take a larger set, or leave the class out."
    for what, count in (("positive", n_positive), ("negative", n - n_positive)):
        if not count:
            raise DataError(f"no {what} among {n} {which}", remedy)
        if count < at_least:
            raise DataError(f"{count} {what}s among {n} {which}, and {at_least} are needed", remedy)
    if scores.min() == scores.max():
        raise DataError(f"the scores of all {n} {which} are {scores[0]:g}", remedy)
    return Part(scores, positive, rows)

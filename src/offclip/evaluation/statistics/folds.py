"""Folds for nested cross-validation: of patients, stratified, the same for the same patients and seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from offclip.errors import DataError, InputError


def patient_folds(
    patient_ids: Sequence[str], strata: np.ndarray, folds: int = 5, seed: int = 0
) -> np.ndarray:
    """The fold of every case. All cases of a patient are in one fold.

    A patient belongs to the largest stratum of its cases, so that a patient with one positive case is a
    positive patient. The patients of a stratum are dealt out one by one, those with the most cases of it
    first: the folds hold the same number of them within one, and about as many cases. The order of the rows
    does not matter.

    Args:
        patient_ids: N patients.
        strata: (N,) or (N, C) numbers, such as the truth of C findings; NaN (unknown) is below all of them.
            Each column is dealt out by itself.
        folds: Number of folds.
        seed: Another seed gives other folds.

    Returns:
        (N,) or (N, C) whole numbers from 0 to folds - 1.

    Raises:
        InputError: There are fewer than two folds, or patients and strata differ in length.
        DataError: There are fewer patients than folds.

    Example:
        >>> patients = ["a", "a", "b", "c", "d"]
        >>> fold = patient_folds(patients, np.array([0, 1, 1, 0, 0]), folds=2)
        >>> fold[0] == fold[1], fold[1] != fold[2], fold[3] != fold[4]  # two positive patients, two others
        (np.True_, np.True_, np.True_)
    """
    strata = np.asarray(strata, np.float64)
    if folds < 2 or strata.ndim not in (1, 2) or len(strata) != len(patient_ids):
        raise InputError(
            f"{folds} folds, {len(patient_ids)} patients and strata {strata.shape}.",
            "Give at least 2 folds and one patient and stratum a case.",
        )
    names, codes = np.unique(np.asarray(patient_ids, str), return_inverse=True)
    if len(names) < folds:
        raise DataError(
            f"{len(names)} patients are too few for {folds} folds.", "Take a larger set, or fewer folds."
        )
    # A hash, because numpy promises no shuffle that stays the same over its versions.
    keys = [hashlib.sha256(f"{seed}:{name}".encode()).digest() for name in names.tolist()]
    place = np.empty(len(names), int)
    place[sorted(range(len(names)), key=keys.__getitem__)] = np.arange(len(names))
    columns = strata[:, None] if strata.ndim == 1 else strata
    dealt = [_deal(codes.reshape(-1), column, place, folds) for column in columns.T]
    return dealt[0] if strata.ndim == 1 else np.stack(dealt, axis=1) if dealt else np.empty(strata.shape, int)


def _deal(codes: np.ndarray, strata: np.ndarray, place: np.ndarray, folds: int) -> np.ndarray:
    levels, level = np.unique(np.where(np.isnan(strata), -np.inf, strata), return_inverse=True)
    of_patient = np.zeros(len(place), int)
    np.maximum.at(of_patient, codes, level)
    size = np.bincount(codes, level == of_patient[codes], minlength=len(place))
    fold = np.empty(len(place), int)
    start = 0
    for stratum in range(len(levels)):
        members = np.flatnonzero(of_patient == stratum)
        members = members[np.lexsort((place[members], -size[members]))]
        # Forwards, then backwards: else the first fold would always get the patient with the most cases. Each
        # stratum goes on where the last one stopped.
        turn, position = np.divmod(np.arange(len(members)), folds)
        fold[members] = (np.where(turn % 2, folds - 1 - position, position) + start) % folds
        start += len(members)
    return fold[codes]

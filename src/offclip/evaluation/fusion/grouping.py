"""Which images belong to one study, and what is true of the study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offclip.errors import DataError
from offclip.evaluation.cases import Cases


@dataclass(frozen=True, slots=True)
class Grouping:
    """N images sorted by study.

    Attributes:
        study_ids: S studies in the order of their first image.
        patient_ids: S.
        order: (N,) rows, so that the images of a study stand together.
        starts: (S,) where each study begins in `order`.
        counts: (S,) images a study.
    """

    study_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    order: np.ndarray
    starts: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.study_ids)

    def smallest(self, values: np.ndarray) -> np.ndarray:
        """(S, ...) minimum over the images of each study."""
        return np.minimum.reduceat(values[self.order], self.starts, axis=0)

    def largest(self, values: np.ndarray) -> np.ndarray:
        """(S, ...) maximum over the images of each study."""
        return np.maximum.reduceat(values[self.order], self.starts, axis=0)

    def total(self, values: np.ndarray) -> np.ndarray:
        """(S, ...) sum over the images of each study."""
        return np.add.reduceat(values[self.order], self.starts, axis=0)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """(S, ...) mean over the images of each study."""
        return self.total(values) / self.counts.reshape(-1, *[1] * (values.ndim - 1))

    def any_or_all(self, truth: np.ndarray) -> np.ndarray:
        """(S, ...) 1 where an image has 1, 0 where every image has 0, NaN elsewhere."""
        present = self.largest((truth == 1).astype(np.float64))
        absent = self.smallest((truth == 0).astype(np.float64))
        return np.where(present == 1, 1.0, np.where(absent == 1, 0.0, np.nan))


def group_by_study(cases: Cases, *, studies_known: bool | None = None) -> Grouping:
    """Puts the images of each study together.

    Args:
        cases: Images.
        studies_known: Whether the table named the studies; None takes them as unknown when every study id is
            the image id.

    Raises:
        DataError: There is no case, the studies are not known, or a study lies in two patients.

    Example:
        >>> cases = Cases.of(["i1", "i2", "i3"], ["mass"], [[0.1], [0.2], [0.3]], [[0], [0], [1]],
        ...                  study_ids=["s1", "s2", "s1"])
        >>> grouping = group_by_study(cases)
        >>> grouping.study_ids, grouping.mean(cases.scores[:, 0]).round(6).tolist()
        (('s1', 's2'), [0.2, 0.2])
    """
    if not len(cases):
        raise DataError("There is no case to fuse.", "Give at least one image.")
    known = cases.study_ids != cases.ids if studies_known is None else studies_known
    if not known:
        raise DataError(
            "Studies are asked for, and the column study_id is missing: it is not known which images belong "
            "together.",
            "Add study_id to scores.csv or labels.csv, or evaluate images (--unit image).",
        )
    position: dict[str, int] = {}
    patients: list[str] = []
    for image, study, patient in zip(cases.ids, cases.study_ids, cases.patient_ids, strict=True):
        if study not in position:
            position[study] = len(position)
            patients.append(patient)
        elif patients[position[study]] != patient:
            raise DataError(
                f"Study {study} has images of two patients, {patients[position[study]]} and {patient} "
                f"(image {image}).",
                "Mend study_id or patient_id.",
            )
    index = np.array([position[study] for study in cases.study_ids])
    counts = np.bincount(index)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return Grouping(tuple(position), tuple(patients), np.argsort(index, kind="stable"), starts, counts)


def common_attribute(
    grouping: Grouping, values: tuple[str | None, ...], *, mixed: str | None = None
) -> tuple[str | None, ...]:
    """S values: what all images of the study agree on; `mixed` where known ones differ; else None."""
    ordered = [values[row] for row in grouping.order]
    result: list[str | None] = []
    for start, count in zip(grouping.starts, grouping.counts, strict=True):
        seen = set(ordered[start : start + count])
        result.append(seen.pop() if len(seen) == 1 else mixed if len(seen - {None}) > 1 else None)
    return tuple(result)

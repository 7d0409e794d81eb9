"""Studies out of images: several views become one score a class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offclip.errors import InputError
from offclip.evaluation.cases import Cases
from offclip.evaluation.fusion.grouping import Grouping, common_attribute, group_by_study
from offclip.evaluation.fusion.learned import learned_scores
from offclip.evaluation.protocols.protocol import Fuse

MIXED_VIEWS = "mixed"


@dataclass(frozen=True, slots=True)
class FusedStudies:
    """Studies, and what could not be learned.

    Attributes:
        cases: One row a study, in the order of the studies' first images.
        fell_back: Classes and normal scores that have too few studies to learn from; their scores are means.
    """

    cases: Cases
    fell_back: tuple[str, ...] = ()


def fuse(
    cases: Cases,
    how: Fuse = "mean",
    *,
    validation: Cases | None = None,
    seed: int = 0,
    studies_known: bool | None = None,
) -> Cases:
    """Makes studies of images; `fuse_studies` says in addition what fell back to the mean.

    Example:
        >>> images = Cases.of(["i1", "i2", "i3"], ["mass"], [[0.25], [0.75], [0.5]], [[0], [1], [0]],
        ...                   study_ids=["s1", "s1", "s2"])
        >>> studies = fuse(images, "max")
        >>> studies.ids, studies.scores[:, 0].tolist(), studies.truth[:, 0].tolist(), studies.normal.tolist()
        (('s1', 's2'), [0.75, 0.5], [1.0, 0.0], [0.0, 1.0])
    """
    return fuse_studies(cases, how, validation=validation, seed=seed, studies_known=studies_known).cases


def fuse_studies(
    cases: Cases,
    how: Fuse = "mean",
    *,
    validation: Cases | None = None,
    seed: int = 0,
    studies_known: bool | None = None,
) -> FusedStudies:
    """Makes studies of images.

    A finding is present in a study when an image shows it, absent when it is known to be absent from every
    image, unknown otherwise; a study is abnormal when an image is, normal when every image is known to be
    normal. An attribute is kept where all images agree; a view on which they differ becomes "mixed".

    Args:
        cases: Images with their studies.
        how: `"mean"` of the images' scores; `"max"`: the largest score of a finding, and the smallest of a
            normal score, for a study is normal only where every view looks normal; `"learned"`: a logistic
            regression a score, see `learned_scores`.
        validation: Images of other patients that `"learned"` is fitted on; without them it is cross-fitted
            over the patients of `cases`. The other ways learn nothing.
        seed: Of the folds of the cross-fit.
        studies_known: Whether the table named the studies; None takes them as unknown when every study id is
            the image id.

    Raises:
        InputError: `how` is something else.
        DataError: The studies are not known, or a study lies in two patients.
    """
    grouping = group_by_study(cases, studies_known=studies_known)
    fell_back: tuple[str, ...] = ()
    if how == "mean":
        scores = grouping.mean(cases.scores)
        normal_scores = {name: grouping.mean(score) for name, score in cases.normal_scores.items()}
    elif how == "max":
        scores = grouping.largest(cases.scores)
        normal_scores = {name: grouping.smallest(score) for name, score in cases.normal_scores.items()}
    elif how == "learned":
        learned = learned_scores(cases, grouping, validation, seed=seed, studies_known=studies_known)
        scores, normal_scores, fell_back = learned.scores, learned.normal_scores, learned.fell_back
    else:
        raise InputError(f"Unknown fusion {how!r}.", "Take 'mean', 'max' or 'learned'.")
    return FusedStudies(_studies(cases, grouping, scores, normal_scores), fell_back)


def _studies(
    cases: Cases, grouping: Grouping, scores: np.ndarray, normal_scores: dict[str, np.ndarray]
) -> Cases:
    return Cases(
        grouping.study_ids,
        grouping.study_ids,
        grouping.patient_ids,
        cases.findings,
        scores,
        grouping.any_or_all(cases.truth),
        1 - grouping.any_or_all(1 - cases.normal),
        normal_scores,
        {
            name: common_attribute(grouping, values, mixed=MIXED_VIEWS if name == "view" else None)
            for name, values in cases.attributes.items()
        },
    )

"""Learned fusion: a logistic regression a score, on what the views of a study say together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offclip.errors import InputError
from offclip.evaluation.cases import Cases
from offclip.evaluation.fusion.grouping import Grouping, group_by_study
from offclip.evaluation.operating.column import refuse_shared_patients
from offclip.evaluation.statistics.folds import patient_folds

FOLDS = 5
# With fewer studies of a class than this in any part that is fitted on, the mean is taken instead.
MIN_STUDIES = 10
FRONTAL = frozenset({"frontal", "pa", "ap"})
LATERAL = frozenset({"lateral", "lat", "l", "ll", "rl"})


@dataclass(frozen=True, slots=True)
class LearnedScores:
    """Scores of S studies.

    Attributes:
        scores: (S, C) log odds of each finding; the mean of the images' scores for those that fell back.
        normal_scores: From name to (S,), likewise the log odds of being normal.
        fell_back: Names with too few studies to learn from.
    """

    scores: np.ndarray
    normal_scores: dict[str, np.ndarray]
    fell_back: tuple[str, ...]


def learned_scores(
    cases: Cases,
    grouping: Grouping,
    validation: Cases | None = None,
    *,
    seed: int = 0,
    studies_known: bool | None = None,
) -> LearnedScores:
    """Fuses by a logistic regression for each finding and for each normal score.

    Its inputs are the mean, the largest and the smallest score of the study's images, the logarithm of their
    number, and, where the attribute "view" is known, the mean over the frontal and over the lateral images
    (over all where a study has none of them) and whether there is a lateral one; all standardised, with
    scikit-learn's default penalty. Its output is the log odds.

    Args:
        cases: Images.
        grouping: Their studies.
        validation: Images of other patients to fit on; None fits on four fifths of the patients and fuses the
            studies of the fifth, in turn, so that no study is fused by a model that has seen its patient.
        seed: Of the folds.
        studies_known: As in `group_by_study`, for `validation`.

    Raises:
        InputError: `validation` has other findings or normal scores.
        DataError: A patient is in both.
    """
    sets = [(cases, grouping)]
    if validation is None:
        parts = _fold_parts(grouping, grouping.any_or_all(1 - cases.normal), seed)
    else:
        _check(cases, validation)
        sets.append((validation, group_by_study(validation, studies_known=studies_known)))
        reported = np.repeat([True, False], [len(g) for _, g in sets])
        parts = [(~reported, reported)]
    with_views = all("view" in c.attributes for c, _ in sets)
    fell_back: list[str] = []

    def fused(name: str, scores: list[np.ndarray], truth: list[np.ndarray], sign: int = 1) -> np.ndarray:
        x = np.concatenate([_inputs(c, g, s, with_views) for (c, g), s in zip(sets, scores, strict=True)])
        y = np.concatenate([g.any_or_all(t) for (_, g), t in zip(sets, truth, strict=True)])
        learned = _log_odds(x, y, parts)
        if learned is None:
            fell_back.append(name)
            return grouping.mean(scores[0])
        return sign * learned[: len(grouping)]

    columns = [
        fused(finding, [c.scores[:, i] for c, _ in sets], [c.truth[:, i] for c, _ in sets])
        for i, finding in enumerate(cases.findings)
    ]
    # A study is normal when every image is: the log odds of "an image is abnormal", with the sign turned.
    normal_scores = {
        name: fused(name, [c.normal_scores[name] for c, _ in sets], [1 - c.normal for c, _ in sets], sign=-1)
        for name in cases.normal_scores
    }
    shape = (len(grouping), len(columns))
    scores = np.stack(columns, axis=1) if columns else np.empty(shape)
    return LearnedScores(scores, normal_scores, tuple(fell_back))


def _fold_parts(grouping: Grouping, abnormal: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    if len(set(grouping.patient_ids)) < FOLDS:
        return []
    fold = patient_folds(grouping.patient_ids, abnormal, FOLDS, seed)
    return [(fold != k, fold == k) for k in np.unique(fold)]


def _log_odds(x: np.ndarray, y: np.ndarray, parts: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray | None:
    """Log odds of y = 1 for the rows that a part applies to; None without parts, or when one is too small."""
    if not parts:
        return None
    # Here, because they take a second to import.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    result = np.full(len(x), np.nan)
    for fit_on, apply_to in parts:
        usable = fit_on & ~np.isnan(y)
        positives = int((y[usable] == 1).sum())
        if min(positives, int(usable.sum()) - positives) < MIN_STUDIES:
            return None
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(x[usable], y[usable])
        result[apply_to] = model.decision_function(x[apply_to])
    return result


def _inputs(cases: Cases, grouping: Grouping, scores: np.ndarray, with_views: bool) -> np.ndarray:
    mean = grouping.mean(scores)
    inputs = [mean, grouping.largest(scores), grouping.smallest(scores), np.log(grouping.counts)]
    if with_views:
        views = [(view or "").lower() for view in cases.attributes["view"]]
        for group in (FRONTAL, LATERAL):
            member = np.array([view in group for view in views], np.float64)
            count = grouping.total(member)
            total = grouping.total(scores * member)
            inputs.append(np.where(count > 0, total / np.maximum(count, 1), mean))
        inputs.append((count > 0).astype(np.float64))
    return np.stack(inputs, axis=1)


def _check(cases: Cases, validation: Cases) -> None:
    if validation.findings != cases.findings or set(validation.normal_scores) != set(cases.normal_scores):
        raise InputError(
            "The validation cases have other findings or normal scores.", "Score both with the same classes."
        )
    refuse_shared_patients(cases.patient_ids, validation.patient_ids)

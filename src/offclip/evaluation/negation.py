"""The negation test: does a model know that "There is no X." is not "There is X."?

A model that reads a sentence as a bag of words scores both alike; one that learnt from reports in which the
sick are said not to have things scores the denial above the assertion on the sick. Neither shows in the AUC
of a finding. Here an image takes the side of the higher of the two sentences, and must take the right one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offclip.errors import InputError
from offclip.evaluation.statistics.bootstrap import Bootstrap, Resampling
from offclip.evaluation.statistics.draws import Draws, mean_of
from offclip.evaluation.statistics.estimate import Estimate
from offclip.evaluation.truth import Labels
from offclip.zeroshot.prompts import NEGATION_TEMPLATES, fill_template, finding_prompt
from offclip.zeroshot.score import Scores

_PAIRS_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True)
class FindingNegation:
    """The test of one finding, by "There is X." against "There is no X."; a tie is half right.

    Attributes:
        present: Share of the images with the finding that score the assertion higher.
        absent: Share of the images without it that score the denial higher.
        balanced: Mean of the two; 0.5 by chance, and for a model that always takes one side.
        auc_of_difference: AUC of assertion minus denial, present against absent; without a threshold, so a
            constant lead of one sentence does no harm.
        pairwise: Share of pairs of an image with and one without in which the assertion scores higher on the
            first and the denial higher on the second: each sentence finds its image. 0.25 by chance, 0 for a
            model to which both sentences are one.
        absent_in_normals: `absent` among normal images; None if there is none.
        absent_in_abnormals: `absent` among images that show something else; None if there is none.
        balanced_in_abnormals: Mean of `present` and `absent_in_abnormals`; None if there is none.
        n_present: Images with the finding.
        n_absent: Images without it.
    """

    present: float
    absent: float
    balanced: Estimate
    auc_of_difference: Estimate
    pairwise: float
    absent_in_normals: float | None
    absent_in_abnormals: float | None
    balanced_in_abnormals: Estimate | None
    n_present: int
    n_absent: int


@dataclass(frozen=True, slots=True)
class NegationResult:
    """The negation test of one model on one set; as a dictionary, the block `negation` of results.json.

    Attributes:
        macro: Mean of `balanced` over the findings; None when no finding can be tested.
        macro_in_abnormals: Mean of `balanced_in_abnormals`: a model that knows normal from abnormal and
            nothing else is at 0.5 here.
        per_class: From finding to its test.
        templates: From each way to deny, such as `"No {finding}."`, to the macro balanced accuracy with it.
        left_out: From finding to the reason why it is not tested.
    """

    macro: Estimate | None
    macro_in_abnormals: Estimate | None
    per_class: Mapping[str, FindingNegation]
    templates: Mapping[str, Estimate]
    left_out: Mapping[str, str]


def negation_prompts(findings: Sequence[str]) -> tuple[str, ...]:
    """What must be scored: the assertion of each finding, and every way to deny it; each sentence once.

    Some of them are normal prompts too, so join the lists with `dict.fromkeys`.

    Example:
        >>> negation_prompts(["edema"])[:3]
        ('There is edema.', 'There is no edema.', 'No edema.')
    """
    pairs = ((finding_prompt(f), *(fill_template(t, f) for t in NEGATION_TEMPLATES)) for f in findings)
    return tuple(dict.fromkeys(prompt for prompts in pairs for prompt in prompts))


def measure_negation(
    scores: Scores,
    labels: Labels,
    patient_ids: Sequence[str] | None = None,
    *,
    resampling: Resampling | None = None,
) -> NegationResult:
    """Runs the negation test.

    Args:
        scores: Logits of N images that hold `negation_prompts(labels.findings)`.
        labels: Joined by image id here.
        patient_ids: N patients in the order of `scores.image_ids`, the clusters of the bootstrap; None takes
            every image for a patient of its own.
        resampling: Of the intervals. Patients are drawn within normal and abnormal ones.

    Raises:
        InputError: A prompt was not scored, or the patients do not fit.
        DataError: An image has no label.
    """
    patients = scores.image_ids if patient_ids is None else patient_ids
    if len(patients) != len(scores.image_ids):
        raise InputError(
            f"{len(patients)} patients for {len(scores.image_ids)} images.", "Give the patient of each image."
        )
    missing = [prompt for prompt in negation_prompts(labels.findings) if prompt not in scores.prompts]
    if missing:
        raise InputError(
            f"{len(missing)} prompt(s) were not scored, such as {missing[0]!r}.",
            "Give negation_prompts(labels.findings) to score_images.",
        )
    labels = labels.select(scores.image_ids)
    left_out = {}
    for column, finding in enumerate(labels.findings):
        lacking = _lacking(labels.present[:, column])
        if lacking:
            left_out[finding] = lacking
    columns = {f: c for c, f in enumerate(labels.findings) if f not in left_out}
    if not columns:
        return NegationResult(None, None, {}, {}, left_out)
    strata = np.where(np.isnan(labels.normal), 0, np.where(labels.normal == 1, 1, 2))
    bootstrap = Bootstrap.of(patients, strata, resampling)
    tests = [_Test.of(scores, labels, finding, column, bootstrap) for finding, column in columns.items()]
    templates = {
        template: mean_of(
            [
                balanced(_difference(scores, f, template), labels.present[:, c], bootstrap)
                for f, c in columns.items()
            ]
        ).estimate
        for template in NEGATION_TEMPLATES
    }
    among = [test.in_abnormals for test in tests if test.in_abnormals is not None]
    return NegationResult(
        mean_of([test.balanced for test in tests]).estimate,
        mean_of(among).estimate if among else None,
        {finding: test.result for finding, test in zip(columns, tests, strict=True)},
        templates,
        left_out,
    )


def balanced(difference: np.ndarray, present: np.ndarray, bootstrap: Bootstrap) -> Draws:
    """Mean of the accuracy on images with and without a finding; half right is a tie.

    Args:
        difference: (N,) score of the assertion minus that of the denial.
        present: (N,) 1 present, 0 absent, NaN left out.
        bootstrap: Of the N images.

    Example:
        >>> four = Bootstrap.of(["a", "b", "c", "d"], resampling=Resampling(resamples=2))
        >>> balanced(np.array([1.0, -1, -1, 0]), np.array([1, 1, 0, 0]), four).value
        0.625
    """
    return mean_of([bootstrap.mean(right) for right in _right(difference, present)])


def pairwise(assertion: np.ndarray, denial: np.ndarray, present: np.ndarray) -> float:
    """Share of (present, absent) pairs in which each sentence scores higher on its image; a tie is a half.

    Args:
        assertion: (N,) scores of "There is X.".
        denial: (N,) scores of "There is no X.".
        present: (N,) 1 present, 0 absent, NaN left out; both are there.

    Example:
        >>> pairwise(np.array([2.0, 1.0]), np.array([0.0, 1.0]), np.array([1, 0]))
        1.0
    """
    with_it, without = np.flatnonzero(present == 1), np.flatnonzero(present == 0)
    step = max(1, _PAIRS_AT_ONCE // len(without))
    total = 0.0
    for start in range(0, len(with_it), step):
        some = with_it[start : start + step]
        of_assertion = _wins(assertion[some][:, None] - assertion[without])
        total += float((of_assertion * _wins(denial[without] - denial[some][:, None])).sum())
    return total / (len(with_it) * len(without))


@dataclass(frozen=True, slots=True)
class _Test:
    """What is shown of a finding, and the draws that the means over findings need."""

    result: FindingNegation
    balanced: Draws
    in_abnormals: Draws | None

    @classmethod
    def of(cls, scores: Scores, labels: Labels, finding: str, column: int, bootstrap: Bootstrap) -> _Test:
        present = labels.present[:, column]
        difference = _difference(scores, finding, NEGATION_TEMPLATES[0])
        on_present, on_absent = _right(difference, present)
        overall = balanced(difference, present, bootstrap)
        in_abnormals = None
        abnormal_without = (present == 0) & (labels.normal == 0)
        if abnormal_without.any():
            among = np.where((present == 1) | abnormal_without, present, np.nan)
            in_abnormals = balanced(difference, among, bootstrap)
        result = FindingNegation(
            present=float(np.nanmean(on_present)),
            absent=float(np.nanmean(on_absent)),
            balanced=overall.estimate,
            auc_of_difference=bootstrap.auc(difference, present).estimate,
            pairwise=pairwise(
                scores.of(finding_prompt(finding)),
                scores.of(fill_template(NEGATION_TEMPLATES[0], finding)),
                present,
            ),
            absent_in_normals=_mean(on_absent, labels.normal == 1),
            absent_in_abnormals=_mean(on_absent, labels.normal == 0),
            balanced_in_abnormals=None if in_abnormals is None else in_abnormals.estimate,
            n_present=int((present == 1).sum()),
            n_absent=int((present == 0).sum()),
        )
        return cls(result, overall, in_abnormals)


def _difference(scores: Scores, finding: str, template: str) -> np.ndarray:
    assertion = np.asarray(scores.of(finding_prompt(finding)), np.float64)
    return assertion - scores.of(fill_template(template, finding))


def _right(difference: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For images with and without the finding: 1 right, 0 wrong, a half for a tie, NaN elsewhere."""
    wins = _wins(difference)
    return np.where(present == 1, wins, np.nan), np.where(present == 0, 1 - wins, np.nan)


def _wins(difference: np.ndarray) -> np.ndarray:
    return (np.sign(difference) + 1) / 2


def _mean(right: np.ndarray, among: np.ndarray) -> float | None:
    some = right[among & ~np.isnan(right)]
    return float(some.mean()) if len(some) else None


def _lacking(present: np.ndarray) -> str:
    """Why a finding cannot be tested; empty if it can."""
    known = int((~np.isnan(present)).sum())
    if not (present == 1).any():
        return f"no positive among {known} cases"
    return "" if (present == 0).any() else f"no negative among {known} cases"

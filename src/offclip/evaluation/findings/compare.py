"""Compares two models on the same cases: paired tests per class, paired bootstrap of the means."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from offclip.errors import DataError
from offclip.evaluation.cases import Cases
from offclip.evaluation.findings.comparison import ClassComparison, Comparison, MeanComparison
from offclip.evaluation.findings.join import same_cases
from offclip.evaluation.findings.measure import check_finite, unmeasurable
from offclip.evaluation.findings.resamples import bootstrap_of
from offclip.evaluation.statistics.bootstrap import Bootstrap, Resampling
from offclip.evaluation.statistics.delong import delong_test
from offclip.evaluation.statistics.draws import Draws, difference_of, mean_of
from offclip.evaluation.statistics.multiplicity import holm


def compare_cases(
    first: Cases,
    second: Cases,
    *,
    names: tuple[str, str] = ("first", "second"),
    resampling: Resampling | None = None,
    counts: Collection[str] | None = None,
) -> Comparison:
    """Compares two models case by case.

    Args:
        first: Cases of the first model; their patients and truth are used.
        second: The same cases, in any order, scored by the second model.
        names: What the models are called in messages and tables.
        resampling: How the paired patient-cluster bootstrap is drawn.
        counts: Findings in the macro mean; None: all that can be compared.

    Raises:
        DataError: The ids differ or repeat, the truth differs, a score is not finite, or there is nothing
            to compare.

    Example:
        >>> truth = np.repeat([[1], [0]], 4, axis=0)
        >>> a = Cases.of(list("abcdefgh"), ["edema"], [[8], [7], [6], [3], [5], [4], [2], [1]], truth)
        >>> b = Cases.of(list("abcdefgh"), ["edema"], [[8], [2], [6], [3], [5], [4], [7], [1]], truth)
        >>> found = compare_cases(a, b).per_class["edema"]
        >>> found.first.value, found.second.value, round(found.p, 2)
        (0.875, 0.5625, 0.16)
    """
    second = same_cases(first, second, names)
    for cases in (first, second):
        check_finite(cases)
    shared = [name for name in first.findings if name in second.findings]
    left_out = {name: f"not scored by {names[1]}" for name in first.findings if name not in shared}
    left_out |= {name: f"not scored by {names[0]}" for name in second.findings if name not in shared}
    left_out |= {name: reason for name, reason in unmeasurable(first).items() if name in shared}
    shared = [name for name in shared if name not in left_out]
    bootstrap = bootstrap_of(first, resampling)
    per_class, drawn = _classes(first, second, shared, bootstrap)
    counted = [name for name in shared if counts is None or name in counts]
    normal, scores = _normal(first, second, bootstrap)
    if not per_class and normal is None:
        raise DataError("The two runs share nothing that can be compared.", "Compare runs of one protocol.")
    return Comparison(
        names,
        len(first),
        len(bootstrap.counts),
        per_class,
        _means([drawn[name][0] for name in counted], [drawn[name][1] for name in counted]),
        normal,
        scores,
        left_out,
        bootstrap.resampling,
    )


def bootstrap_p(difference: Draws) -> float:
    """Two-sided p-value of a difference of 0, from the share of resamples on its far side.

    Example:
        >>> bootstrap_p(Draws(0.1, np.linspace(0.01, 0.2, 99)))
        0.02
    """
    drawn = difference.draws[~np.isnan(difference.draws)]
    beyond = min((drawn <= 0).sum(), (drawn >= 0).sum())
    return float(min(1.0, 2 * (beyond + 1) / (len(drawn) + 1)))


def _classes(
    first: Cases, second: Cases, names: Sequence[str], bootstrap: Bootstrap
) -> tuple[dict[str, ClassComparison], dict[str, tuple[Draws, Draws]]]:
    if not names:
        return {}, {}
    columns = [first.findings.index(name) for name in names]
    truth = first.truth[:, columns]
    mine, theirs = (
        cases.scores[:, [cases.findings.index(name) for name in names]] for cases in (first, second)
    )
    # Side by side in one walk: both models on the same resamples, all cores busy.
    areas = bootstrap.areas(np.hstack([mine, theirs]), np.hstack([truth, truth]))
    drawn = {name: (areas[i].auc, areas[len(names) + i].auc) for i, name in enumerate(names)}
    tests = []
    for i in range(len(names)):
        known = ~np.isnan(truth[:, i])
        level = bootstrap.resampling.level
        positive, codes = truth[known, i] == 1, bootstrap.codes[known]
        tests.append(delong_test(mine[known, i], theirs[known, i], positive, clusters=codes, level=level))
    corrected = holm([test.p for test in tests])
    return {
        name: ClassComparison(
            drawn[name][0].estimate,
            drawn[name][1].estimate,
            test.difference,
            test.z,
            test.p,
            float(p),
            int((truth[:, i] == 1).sum()),
            int((truth[:, i] == 0).sum()),
        )
        for i, (name, test, p) in enumerate(zip(names, tests, corrected, strict=True))
    }, drawn


def _means(first: list[Draws], second: list[Draws]) -> MeanComparison | None:
    return _pair(mean_of(first), mean_of(second)) if first else None


def _pair(first: Draws, second: Draws, p_delong: float | None = None) -> MeanComparison:
    difference = difference_of(first, second)
    return MeanComparison(
        first.estimate, second.estimate, difference.estimate, bootstrap_p(difference), p_delong
    )


def _normal(
    first: Cases, second: Cases, bootstrap: Bootstrap
) -> tuple[MeanComparison | None, tuple[str, str] | None]:
    # Here: the package of the normal scores imports this one.
    from offclip.evaluation.normal.scores import normal_scores, reported_score

    known = ~np.isnan(first.normal)
    normal = first.normal[known] == 1
    if not normal.any() or normal.all():
        return None, None
    names = reported_score(first), reported_score(second)
    scores = [normal_scores(cases)[name] for cases, name in zip((first, second), names, strict=True)]
    drawn = [bootstrap.auc(score, first.normal) for score in scores]
    test = delong_test(scores[0][known], scores[1][known], normal, clusters=bootstrap.codes[known])
    return _pair(drawn[0], drawn[1], test.p), names

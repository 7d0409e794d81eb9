"""Measures how well scores tell that a finding is present."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from offclip.cores import available_cores
from offclip.errors import ConfigError, DataError
from offclip.evaluation.cases import Cases
from offclip.evaluation.findings.resamples import bootstrap_of
from offclip.evaluation.findings.results import ClassResult, FindingResults, GroupResult
from offclip.evaluation.protocols.groups import assign_groups
from offclip.evaluation.statistics.bootstrap import AreaDraws, Bootstrap, Resampling
from offclip.evaluation.statistics.delong import delong_interval
from offclip.evaluation.statistics.draws import Draws, mean_of
from offclip.evaluation.statistics.estimate import Estimate
from offclip.evaluation.statistics.resampled import Auprc


def measure_findings(
    cases: Cases,
    *,
    resampling: Resampling | None = None,
    auprc: Auprc = "average-precision",
    groups: Mapping[str, str] | None = None,
    counts: Collection[str] | None = None,
    bootstrap: Bootstrap | None = None,
) -> FindingResults:
    """AUC and area under the precision-recall curve of every finding and over all, with intervals.

    Args:
        cases: Scores and truth.
        resampling: How the patient-cluster bootstrap is drawn.
        auprc: Average precision, or the trapezoid of the peers.
        groups: From group to its rule, see `assign_groups`.
        counts: Findings that are in the means; None: all. A finding that cannot be measured is in none.
        bootstrap: Resamples of these cases when they exist already, see `bootstrap_of`.

    Raises:
        DataError: There is no case, or a score of a case with known truth is not finite.
        ConfigError: `counts` names a finding that does not exist, or a rule cannot be read.

    Example:
        >>> ids = [f"i{n}" for n in range(8)]
        >>> truth = np.array([[1, 0], [1, 0], [1, 0], [1, 0], [0, 0], [0, 0], [0, 0], [0, 0]])
        >>> scores = np.array([[9, 1], [4, 1], [8, 1], [7, 1], [1, 1], [2, 1], [3, 1], [6, 1]])
        >>> found = measure_findings(Cases.of(ids, ["edema", "mass"], scores, truth))
        >>> found.per_class["edema"].auc.value, dict(found.left_out)
        (0.9375, {'mass': 'no positive among 8 cases'})
    """
    if not len(cases):
        raise DataError("There is no case to measure.", "Check the split and the ids of scores and labels.")
    unheard = sorted(set(counts or ()) - set(cases.findings))
    if unheard:
        raise ConfigError(
            f"{', '.join(unheard)}: no such finding.", f"There are {', '.join(cases.findings)}."
        )
    check_finite(cases)
    left_out = unmeasurable(cases)
    columns = [i for i, name in enumerate(cases.findings) if name not in left_out]
    names = [cases.findings[i] for i in columns]
    counted = [name for name in names if counts is None or name in counts]
    bootstrap = bootstrap or bootstrap_of(cases, resampling)

    scores, truth = cases.scores[:, columns], cases.truth[:, columns]
    all_counted = len(counted) == len(names)
    areas = bootstrap.areas(scores, truth, auprc, pooled=all_counted and bool(names)) if names else []
    micro = areas.pop() if all_counted and names else None
    if counted and not all_counted:
        pooled = [i for i, name in enumerate(names) if name in counted]
        micro = bootstrap.pooled(scores[:, pooled], truth[:, pooled], auprc)
    draws = dict(zip(names, areas, strict=True))
    positives = {name: int((cases.truth[:, i] == 1).sum()) for i, name in enumerate(cases.findings)}
    macro = _mean(draws, counted)
    members = {name: count for name, count in positives.items() if counts is None or name in counts}
    return FindingResults(
        per_class=_per_class(names, scores, truth, draws, bootstrap),
        classes=tuple(counted),
        macro_auc=macro.auc.estimate if macro else None,
        micro_auc=micro.auc.estimate if micro else None,
        weighted_auc=_weighted(draws, counted, positives),
        macro_auprc=macro.auprc.estimate if macro else None,
        micro_auprc=micro.auprc.estimate if micro else None,
        groups={
            group: _group((groups or {})[group], [name for name in classes if name in draws], draws)
            for group, classes in assign_groups(groups or {}, members).items()
        },
        left_out=left_out,
        cases=len(cases),
        patients=len(bootstrap.counts),
        resampling=bootstrap.resampling,
        draws=draws,
        macro_draws=macro.auc if macro else None,
    )


def unmeasurable(cases: Cases) -> dict[str, str]:
    """From each finding without both positives and negatives to what it lacks."""
    reasons = {}
    for i, name in enumerate(cases.findings):
        known = ~np.isnan(cases.truth[:, i])
        among = f"{int(known.sum())} cases" + ("" if known.all() else " of known truth")
        if not known.any():
            reasons[name] = f"no case of known truth among {len(cases)}"
        elif not (cases.truth[known, i] == 1).any():
            reasons[name] = f"no positive among {among}"
        elif not (cases.truth[known, i] == 0).any():
            reasons[name] = f"no negative among {among}"
    return reasons


def check_finite(cases: Cases) -> None:
    """Refuses scores that are missing or infinite where the truth is known.

    Raises:
        DataError: With the findings and some of the ids.
    """
    wrong = ~np.isfinite(cases.scores) & ~np.isnan(cases.truth)
    if wrong.any():
        rows, columns = np.nonzero(wrong)
        names = list(dict.fromkeys(cases.findings[c] for c in columns))
        ids = list(dict.fromkeys(cases.ids[r] for r in rows))
        raise DataError(
            f"{int(wrong.sum())} scores are not finite: of {_some(names)}, in {_some(ids)}.",
            "Score these again, or leave the rows out of both files.",
        )


def _some(names: Sequence[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _per_class(
    names: list[str], scores: np.ndarray, truth: np.ndarray, draws: dict[str, AreaDraws], bootstrap: Bootstrap
) -> dict[str, ClassResult]:
    def result(i: int) -> ClassResult:
        known = ~np.isnan(truth[:, i])
        positive = truth[known, i] == 1
        area = draws[names[i]]
        return ClassResult(
            area.auc.estimate,
            delong_interval(
                scores[known, i], positive, clusters=bootstrap.codes[known], level=bootstrap.resampling.level
            ),
            area.auprc.estimate,
            int(positive.sum()),
            int((~positive).sum()),
            int((~known).sum()),
            area.auc.undefined,
        )

    with ThreadPoolExecutor(available_cores()) as pool:
        return dict(zip(names, pool.map(result, range(len(names))), strict=True))


def _mean(draws: Mapping[str, AreaDraws], names: Sequence[str]) -> AreaDraws | None:
    chosen = [draws[name] for name in names]
    if not chosen:
        return None
    return AreaDraws(mean_of([area.auc for area in chosen]), mean_of([area.auprc for area in chosen]))


def _weighted(
    draws: Mapping[str, AreaDraws], names: Sequence[str], positives: Mapping[str, int]
) -> Estimate | None:
    chosen: list[Draws] = [draws[name].auc for name in names]
    return mean_of(chosen, [positives[name] for name in names]).estimate if chosen else None


def _group(rule: str, names: Sequence[str], draws: Mapping[str, AreaDraws]) -> GroupResult:
    mean = _mean(draws, names)
    auc, auprc = (mean.auc.estimate, mean.auprc.estimate) if mean else (None, None)
    return GroupResult(rule, tuple(names), auc, auprc)

"""AUC of a normal score, on the same resamples as everything else."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from offclip.evaluation.statistics.bootstrap import Bootstrap
from offclip.evaluation.statistics.delong import delong_interval
from offclip.evaluation.statistics.draws import Draws
from offclip.evaluation.statistics.estimate import Estimate


@dataclass(frozen=True, slots=True)
class NormalAuc:
    """How well a score tells normal from abnormal.

    Attributes:
        auc: Probability that a normal case scores above an abnormal one, with its bootstrap interval.
        auc_delong: With its DeLong interval (logit scale, patients as clusters).
        normals: Cases known to be normal.
        abnormals: Cases known to be abnormal.
        unknown: Cases of unknown truth, left out.
        undefined_draws: Resamples without a normal or an abnormal case, left out of the interval.
        draws: Of the AUC.
    """

    auc: Estimate
    auc_delong: Estimate
    normals: int
    abnormals: int
    unknown: int
    undefined_draws: int
    draws: Draws = field(repr=False)


def measure_normal_auc(scores: np.ndarray, normal: np.ndarray, bootstrap: Bootstrap) -> NormalAuc:
    """AUC of one normal score.

    Args:
        scores: (N,) higher where normal is likelier; finite where the truth is known.
        normal: (N,) 1 normal, 0 abnormal, NaN unknown (left out).
        bootstrap: Resamples of the same N cases, see `bootstrap_of`.

    Raises:
        InputError: Shapes differ, or a score is not finite.
        DataError: There is no normal or no abnormal case.

    Example:
        >>> patients = Bootstrap.of(["a", "b", "c", "d"])
        >>> found = measure_normal_auc(np.array([3.0, 1, 2, 0]), np.array([1, 1, 0, 0]), patients)
        >>> found.auc.value, found.normals, found.abnormals
        (0.75, 2, 2)
    """
    scores, normal = np.asarray(scores, np.float64), np.asarray(normal, np.float64)
    draws = bootstrap.auc(scores, normal)
    known = ~np.isnan(normal)
    delong = delong_interval(
        scores[known],
        normal[known] == 1,
        clusters=bootstrap.codes[known],
        level=bootstrap.resampling.level,
    )
    return NormalAuc(
        draws.estimate,
        delong,
        int((normal == 1).sum()),
        int((normal == 0).sum()),
        int((~known).sum()),
        draws.undefined,
        draws,
    )

"""The resamples of the patients of Cases."""

from __future__ import annotations

import numpy as np

from offclip.evaluation.cases import Cases
from offclip.evaluation.statistics.bootstrap import Bootstrap, Resampling


def bootstrap_of(cases: Cases, resampling: Resampling | None = None) -> Bootstrap:
    """Resamples whole patients, as many of each kind as there are.

    Kinds are patients with an abnormal case, patients without one but with a case that is not known to be
    normal, and patients whose cases are all normal.

    Args:
        cases: The cases; every number of a result is drawn from the same `Bootstrap`.
        resampling: How many resamples, with which seed and level.

    Raises:
        InputError: There is no case.

    Example:
        >>> cases = Cases.of(["a", "b"], ["edema"], [[0.9], [0.1]], [[1], [0]])
        >>> bootstrap_of(cases, Resampling(resamples=3)).counts.tolist()  # one patient of each kind
        [[1, 1, 1], [1, 1, 1]]
    """
    kind = np.where(cases.normal == 0, 2, np.where(np.isnan(cases.normal), 1, 0))
    return Bootstrap.of(cases.patient_ids, kind, resampling)

"""Statistics of scores and labels: pure functions of arrays; nothing here reads a file."""

from offclip.evaluation.statistics.bootstrap import AreaDraws, Bootstrap, Resampling, cluster_weights
from offclip.evaluation.statistics.delong import (
    Covariance,
    PairedTest,
    delong_covariance,
    delong_interval,
    delong_test,
)
from offclip.evaluation.statistics.draws import Draws, difference_of, mean_of
from offclip.evaluation.statistics.estimate import Estimate, clopper_pearson, wilson
from offclip.evaluation.statistics.multiplicity import holm
from offclip.evaluation.statistics.newcombe import newcombe_interval
from offclip.evaluation.statistics.precision_recall import average_precision, pr_curve, trapezoid_auprc
from offclip.evaluation.statistics.ranks import auc, midranks, roc_curve
from offclip.evaluation.statistics.resampled import resampled_auc, resampled_average_precision

__all__ = [
    "AreaDraws",
    "Bootstrap",
    "Covariance",
    "Draws",
    "Estimate",
    "PairedTest",
    "Resampling",
    "auc",
    "average_precision",
    "clopper_pearson",
    "cluster_weights",
    "delong_covariance",
    "delong_interval",
    "delong_test",
    "difference_of",
    "holm",
    "mean_of",
    "midranks",
    "newcombe_interval",
    "pr_curve",
    "resampled_auc",
    "resampled_average_precision",
    "roc_curve",
    "trapezoid_auprc",
    "wilson",
]

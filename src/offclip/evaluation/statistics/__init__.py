"""Statistics of scores and labels: pure functions of arrays; nothing here reads a file."""

from offclip.evaluation.statistics.bootstrap import AreaDraws, Bootstrap, Resampling, cluster_weights
from offclip.evaluation.statistics.calibration import (
    CALIBRATORS,
    Calibrator,
    Isotonic,
    Platt,
    Temperature,
    calibrator,
    restore,
)
from offclip.evaluation.statistics.delong import (
    Covariance,
    PairedTest,
    delong_covariance,
    delong_interval,
    delong_test,
)
from offclip.evaluation.statistics.draws import Draws, difference_of, mean_of
from offclip.evaluation.statistics.estimate import Estimate, clopper_pearson, wilson
from offclip.evaluation.statistics.folds import patient_folds
from offclip.evaluation.statistics.multiplicity import holm
from offclip.evaluation.statistics.newcombe import newcombe_interval
from offclip.evaluation.statistics.precision_recall import average_precision, pr_curve, trapezoid_auprc
from offclip.evaluation.statistics.ranks import auc, midranks, roc_curve
from offclip.evaluation.statistics.reliability import (
    ReliabilityBin,
    brier,
    brier_interval,
    ece,
    ece_expected_if_calibrated,
    ece_interval,
    probability_bins,
    reliability_curve,
)
from offclip.evaluation.statistics.resampled import resampled_auc, resampled_average_precision
from offclip.evaluation.statistics.thresholds import peer_youden, threshold_at_sensitivity, youden_threshold

__all__ = [
    "CALIBRATORS",
    "AreaDraws",
    "Bootstrap",
    "Calibrator",
    "Covariance",
    "Draws",
    "Estimate",
    "Isotonic",
    "PairedTest",
    "Platt",
    "ReliabilityBin",
    "Resampling",
    "Temperature",
    "auc",
    "average_precision",
    "brier",
    "brier_interval",
    "calibrator",
    "clopper_pearson",
    "cluster_weights",
    "delong_covariance",
    "delong_interval",
    "delong_test",
    "difference_of",
    "ece",
    "ece_expected_if_calibrated",
    "ece_interval",
    "holm",
    "mean_of",
    "midranks",
    "newcombe_interval",
    "patient_folds",
    "peer_youden",
    "pr_curve",
    "probability_bins",
    "reliability_curve",
    "resampled_auc",
    "resampled_average_precision",
    "restore",
    "roc_curve",
    "threshold_at_sensitivity",
    "trapezoid_auprc",
    "wilson",
    "youden_threshold",
]

"""Evaluation: exact ranks, thresholds from validation data, the pointing game, result tables."""

from offclip.evaluation.classification import Classification, classify, evaluation_prompts
from offclip.evaluation.early import early_metrics
from offclip.evaluation.run import COLUMNS, Evaluation, evaluate

__all__ = [
    "COLUMNS",
    "Classification",
    "Evaluation",
    "classify",
    "early_metrics",
    "evaluate",
    "evaluation_prompts",
]

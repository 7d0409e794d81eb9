"""Findings: what is measured per class and over classes, and how two models compare."""

from offclip.evaluation.findings.compare import compare_cases
from offclip.evaluation.findings.comparison import ClassComparison, Comparison, MeanComparison
from offclip.evaluation.findings.measure import measure_findings, unmeasurable
from offclip.evaluation.findings.normal import NormalAuc, measure_normal_auc
from offclip.evaluation.findings.resamples import bootstrap_of
from offclip.evaluation.findings.results import ClassResult, FindingResults, GroupResult

__all__ = [
    "ClassComparison",
    "ClassResult",
    "Comparison",
    "FindingResults",
    "GroupResult",
    "MeanComparison",
    "NormalAuc",
    "bootstrap_of",
    "compare_cases",
    "measure_findings",
    "measure_normal_auc",
    "unmeasurable",
]

"""Evaluation: exact ranks, intervals, thresholds from validation data, normal detection, grounding, pages.

The names below are loaded when they are first used: protocols and statistics need no torch.

Example:
    >>> from offclip import evaluation
    >>> evaluation.load_protocol("vindr-cxr-peer").dataset
    'vindr-cxr'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from offclip.evaluation.cases import Cases
    from offclip.evaluation.classification import Classification, classify, evaluation_prompts
    from offclip.evaluation.early import early_metrics
    from offclip.evaluation.evaluated import Evaluated, evaluate_cases
    from offclip.evaluation.findings import compare_cases, measure_findings
    from offclip.evaluation.fusion import fuse
    from offclip.evaluation.grounding import ground
    from offclip.evaluation.normal import measure_normal
    from offclip.evaluation.protocol_run import evaluate_protocol
    from offclip.evaluation.protocols.load import load_protocol, protocol_names
    from offclip.evaluation.run import COLUMNS, Evaluation, evaluate
    from offclip.evaluation.scores_run import evaluate_scores
    from offclip.evaluation.settings import Settings, make_settings

_HOME = {
    "COLUMNS": "run",
    "Cases": "cases",
    "Classification": "classification",
    "Evaluated": "evaluated",
    "Evaluation": "run",
    "Settings": "settings",
    "classify": "classification",
    "compare_cases": "findings",
    "early_metrics": "early",
    "evaluate": "run",
    "evaluate_cases": "evaluated",
    "evaluate_protocol": "protocol_run",
    "evaluate_scores": "scores_run",
    "evaluation_prompts": "classification",
    "fuse": "fusion",
    "ground": "grounding",
    "load_protocol": "protocols.load",
    "make_settings": "settings",
    "measure_findings": "findings",
    "measure_normal": "normal",
    "protocol_names": "protocols.load",
}

__all__ = [
    "COLUMNS",
    "Cases",
    "Classification",
    "Evaluated",
    "Evaluation",
    "Settings",
    "classify",
    "compare_cases",
    "early_metrics",
    "evaluate",
    "evaluate_cases",
    "evaluate_protocol",
    "evaluate_scores",
    "evaluation_prompts",
    "fuse",
    "ground",
    "load_protocol",
    "make_settings",
    "measure_findings",
    "measure_normal",
    "protocol_names",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

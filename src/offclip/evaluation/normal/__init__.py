"""Normal detection, the headline: how confidently normal is called normal, and what that is worth."""

from offclip.evaluation.normal.claims import Claim, abnormals_needed, judge
from offclip.evaluation.normal.decision_curve import NetBenefit, at_prevalence, net_benefit
from offclip.evaluation.normal.false_findings import FalseFindings, false_findings
from offclip.evaluation.normal.groups import groups_of
from offclip.evaluation.normal.measure import measure_normal
from offclip.evaluation.normal.misses import misses_table
from offclip.evaluation.normal.predictive import PredictiveValues, predictive_values
from offclip.evaluation.normal.result import DecisionCurve, NormalResult, PromptAuc, ScoreAuc
from offclip.evaluation.normal.rule_out import SENSITIVITIES, RuleOut, RuleOutCurve, rule_out, rule_out_curve
from offclip.evaluation.normal.rules import Rule, clearing_threshold, fit_rules
from offclip.evaluation.normal.scores import normal_scores, reported_score
from offclip.evaluation.normal.subgroups import GroupRule, Subgroup, subgroups

__all__ = [
    "SENSITIVITIES",
    "Claim",
    "DecisionCurve",
    "FalseFindings",
    "GroupRule",
    "NetBenefit",
    "NormalResult",
    "PredictiveValues",
    "PromptAuc",
    "Rule",
    "RuleOut",
    "RuleOutCurve",
    "ScoreAuc",
    "Subgroup",
    "abnormals_needed",
    "at_prevalence",
    "clearing_threshold",
    "false_findings",
    "fit_rules",
    "groups_of",
    "judge",
    "measure_normal",
    "misses_table",
    "net_benefit",
    "normal_scores",
    "predictive_values",
    "reported_score",
    "rule_out",
    "rule_out_curve",
    "subgroups",
]

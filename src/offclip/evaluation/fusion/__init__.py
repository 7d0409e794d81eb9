"""Study-level fusion: the scores of several views become one."""

from offclip.evaluation.fusion.fuse import MIXED_VIEWS, FusedStudies, fuse, fuse_studies
from offclip.evaluation.fusion.grouping import Grouping, group_by_study
from offclip.evaluation.fusion.learned import FRONTAL, LATERAL, MIN_STUDIES

__all__ = [
    "FRONTAL",
    "LATERAL",
    "MIN_STUDIES",
    "MIXED_VIEWS",
    "FusedStudies",
    "Grouping",
    "fuse",
    "fuse_studies",
    "group_by_study",
]

"""Reporting checklists, filled in as far as the outputs of an evaluation go."""

from offclip.evaluation.results.checklists.checklist import CHECKLISTS, checklist
from offclip.evaluation.results.checklists.items import Checklist, Item, read_checklist

__all__ = ["CHECKLISTS", "Checklist", "Item", "checklist", "read_checklist"]

"""The audit of a labeller: a sample of its sentences, a page to judge them on, and what the verdicts say.

Example:
    >>> Design(n=50).stratify
    'label'
"""

from offclip.evaluation.audit.agreement import Agreement, ReaderAgreement, compare_readers, measure
from offclip.evaluation.audit.page import write_page
from offclip.evaluation.audit.sampling import Design, Item, Sample, Stratum, draw_sample
from offclip.evaluation.audit.verdicts import Verdict, VerdictFile, hand_labels, read_verdicts

__all__ = [
    "Agreement",
    "Design",
    "Item",
    "ReaderAgreement",
    "Sample",
    "Stratum",
    "Verdict",
    "VerdictFile",
    "compare_readers",
    "draw_sample",
    "hand_labels",
    "measure",
    "read_verdicts",
    "write_page",
]

"""A synthetic chest-radiograph phantom: pictures, findings, boxes and reports, drawn on the fly.

Everything in here is synthetic. It exists so that labelling, training and evaluation can be seen to work
without any download; its numbers say nothing about patients.

Example:
    >>> case = phantom_case(seed=0, index=0, size=64)
    >>> case.patient_id, case.image.shape
    ('P00000', (64, 64))
"""

from offclip.data.phantom.case import PhantomCase, phantom_case
from offclip.data.phantom.findings import FINDINGS, Finding
from offclip.data.phantom.render import Box
from offclip.data.phantom.text import ReportSentence
from offclip.data.phantom.write import PhantomSummary, write_phantom

__all__ = [
    "FINDINGS",
    "Box",
    "Finding",
    "PhantomCase",
    "PhantomSummary",
    "ReportSentence",
    "phantom_case",
    "write_phantom",
]

"""New images at an operating point that an evaluation chose: what is cleared, and what somebody must read."""

from offclip.screening.operating_point import TriagePoint, read_triage_point
from offclip.screening.run import Screening, screen_images, screen_table
from offclip.screening.triage import CLEARED, NOT_CLEARED, UNREADABLE, triage

__all__ = [
    "CLEARED",
    "NOT_CLEARED",
    "UNREADABLE",
    "Screening",
    "TriagePoint",
    "read_triage_point",
    "screen_images",
    "screen_table",
    "triage",
]

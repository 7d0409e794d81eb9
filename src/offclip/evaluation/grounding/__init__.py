"""Grounding of a model on a folder with boxes or masks."""

from offclip.evaluation.grounding.protocol import ground_protocol
from offclip.evaluation.grounding.run import GroundingResult, ground, ground_model

__all__ = ["GroundingResult", "ground", "ground_model", "ground_protocol"]

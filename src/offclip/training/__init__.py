"""Training: recipe, loop, run folder."""

from offclip.training.config import OBJECTIVES, TrainConfig
from offclip.training.loop import StepReport, train

__all__ = ["OBJECTIVES", "StepReport", "TrainConfig", "train"]

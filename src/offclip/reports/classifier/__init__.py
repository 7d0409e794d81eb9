"""Trained sentence labellers, for what the rules leave undecided: a linear classifier and a text encoder.

`offclip labeller fit` makes the folder that `load_labeller` reads.
"""

from offclip.reports.classifier.combine import ClassifierLabeller, Thresholds
from offclip.reports.classifier.folder import load_labeller
from offclip.reports.classifier.training_set import CLASSES, HandLabel

__all__ = ["CLASSES", "ClassifierLabeller", "HandLabel", "Thresholds", "load_labeller"]

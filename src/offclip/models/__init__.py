"""Models: one interface, two similarity heads, checkpoints without pickle."""

from offclip.models.checkpoint import load_model, save_model
from offclip.models.dual_encoder import DualEncoder, DualEncoderConfig
from offclip.models.interface import ClipModel, ImageFeatures, TextFeatures
from offclip.models.registry import ARCHITECTURES, architecture, build_model
from offclip.models.tokenizer import TextTokenizer

__all__ = [
    "ARCHITECTURES",
    "ClipModel",
    "DualEncoder",
    "DualEncoderConfig",
    "ImageFeatures",
    "TextFeatures",
    "TextTokenizer",
    "architecture",
    "build_model",
    "load_model",
    "save_model",
]

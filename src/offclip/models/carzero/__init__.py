"""CARZero and OFF-CLIP: the published cross-attention model, for its published weights."""

from offclip.models.carzero.config import CarZeroConfig
from offclip.models.carzero.model import CarZero

__all__ = ["CarZero", "CarZeroConfig"]

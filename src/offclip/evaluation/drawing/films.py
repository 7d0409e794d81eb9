"""Films as a page shows them: shrunk, under a heat map, inside a URI."""

from __future__ import annotations

import base64

import cv2
import matplotlib
import numpy as np

SHOWN = 256
_QUALITY = 84
_OPACITY = 0.78


def shrink(film: np.ndarray, side: int = SHOWN) -> np.ndarray:
    """(H, W) uint8 resized so that its longer side has `side` pixels.

    Example:
        >>> shrink(np.zeros((1024, 512), np.uint8)).shape
        (256, 128)
    """
    scale = side / max(film.shape)
    size = (max(1, round(film.shape[1] * scale)), max(1, round(film.shape[0] * scale)))
    return cv2.resize(film, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def under_heat(film: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of a film under a heat map of its size; the lower half of the map is transparent.

    The map is coloured from its own median to its own maximum; a constant one leaves the film as it is.

    Args:
        film: (H, W) uint8.
        heat: (H, W) finite values.
    """
    middle, top = float(np.median(heat)), float(heat.max())
    strength = ((heat - middle) / (top - middle)).clip(0, 1) if top > middle else np.zeros(heat.shape)
    colour = matplotlib.colormaps["inferno"](strength)[..., :3] * 255
    alpha = _OPACITY * strength[..., None]
    return (film[..., None] * (1 - alpha) + colour * alpha).round().astype(np.uint8)


def data_uri(picture: np.ndarray) -> str:
    """(H, W) grey or (H, W, 3) RGB uint8 as a JPEG inside a URI.

    Example:
        >>> data_uri(np.zeros((8, 8), np.uint8))[:22]
        'data:image/jpeg;base64'
    """
    ordered = picture[..., ::-1] if picture.ndim == 3 else picture
    encoded = cv2.imencode(".jpg", ordered, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()

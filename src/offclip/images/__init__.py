"""Images: safe reading, geometry that can be undone, preprocessing.

The names below are loaded when they are first used, so that this import brings neither numpy nor a decoder.

Example:
    >>> from offclip import images
    >>> images.Reason.TRUNCATED.value
    'truncated'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from offclip.images.film import Film, ReadOptions
    from offclip.images.limits import Limits
    from offclip.images.reading import read
    from offclip.images.reasons import Reason

__all__ = ["Film", "Limits", "ReadOptions", "Reason", "read"]

_HOME = {"Film": "film", "Limits": "limits", "ReadOptions": "film", "Reason": "reasons", "read": "reading"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

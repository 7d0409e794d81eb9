"""The views of a chest film, and the many names they go by."""

from __future__ import annotations

VIEWS = ("PA", "AP", "frontal", "lateral", "unknown")
_NAMES = {"pa": "PA", "ap": "AP", "frontal": "frontal"} | dict.fromkeys(
    ("lateral", "lat", "ll", "l"), "lateral"
)


def view_of(name: str | None) -> str:
    """The name of a view as the study table knows it.

    Example:
        >>> view_of("LATERAL"), view_of("swimmer")
        ('lateral', 'unknown')
    """
    return _NAMES.get((name or "").strip().lower(), "unknown")

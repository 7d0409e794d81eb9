"""Options of scoring that several commands share."""

from __future__ import annotations

from pathlib import Path

from offclip.errors import ConfigError
from offclip.models.carzero.scoring import PRECISIONS, ScoringOptions


def make_scoring(precision: str | None, cache: Path | None) -> ScoringOptions | None:
    """How a CARZero model scores; None when nothing was asked for.

    Raises:
        ConfigError: The precision is unknown.
    """
    if precision is None and cache is None:
        return None
    wanted = precision or "fp32"
    if wanted not in PRECISIONS:
        raise ConfigError(f"--precision {precision} is unknown.", f"Known: {', '.join(PRECISIONS)}.")
    return ScoringOptions(PRECISIONS[PRECISIONS.index(wanted)], cache=cache)

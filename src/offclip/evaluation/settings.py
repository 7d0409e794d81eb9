"""How scores are measured, whoever made them: everything that a user can choose."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal, get_args

from offclip.errors import ConfigError
from offclip.evaluation.protocols.protocol import OPEN, Fuse, Protocol, Unit
from offclip.evaluation.statistics.bootstrap import Resampling

Calibration = Literal["platt", "temperature", "isotonic"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How scores are measured.

    Attributes:
        protocol: Classes, unit, fusion, thresholds, and everything else that makes two numbers comparable.
        resampling: Of the patients, for the intervals; its seed is that of the folds as well.
        prevalence: Share of abnormal cases for which NPV and PPV are given, in (0, 1); None is that of the
            cases.
        calibration: From scores to probabilities.
        command: What the user typed, for the page; it changes no number.
    """

    protocol: Protocol = OPEN
    resampling: Resampling = field(default_factory=Resampling)
    prevalence: float | None = None
    calibration: Calibration = "platt"
    command: str = ""


def make_settings(
    protocol: Protocol | None = None,
    *,
    unit: str | None = None,
    fuse: str | None = None,
    prevalence: float | None = None,
    calibration: str = "platt",
    resamples: int = 1000,
    seed: int = 0,
    command: str = "",
) -> Settings:
    """Settings out of a user's words; what is given wins over the protocol, and changes its hash.

    Raises:
        ConfigError: A word is unknown or a number out of range.

    Example:
        >>> make_settings(unit="study", fuse="max").protocol.fuse
        'max'
    """
    chosen = protocol or OPEN
    if fuse is not None and (unit or chosen.unit) != "study":
        raise ConfigError(f"--fuse {fuse} without --unit study.", "Only studies have views to fuse.")
    changes = {
        name: _known(f"--{name}", value, get_args(kind))
        for name, value, kind in (("unit", unit, Unit), ("fuse", fuse, Fuse))
        if value is not None
    }
    if changes:
        chosen = dataclasses.replace(chosen, **changes)  # type: ignore[arg-type]
    if prevalence is not None and not 0 < prevalence < 1:
        raise ConfigError(f"--prevalence {prevalence} is no share.", "Give a number between 0 and 1.")
    if resamples < 100:
        raise ConfigError(f"{resamples} resamples are too few for an interval.", "Give at least 100.")
    method = _known("--calibration", calibration, get_args(Calibration))
    return Settings(chosen, Resampling(resamples, seed), prevalence, method, command)  # type: ignore[arg-type]


def _known(option: str, value: str, words: tuple[str, ...]) -> str:
    if value not in words:
        raise ConfigError(f"{option} {value} is unknown.", f"Known: {', '.join(words)}.")
    return value

"""How the `data` commands say in which way images are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, get_args

import typer

if TYPE_CHECKING:
    from offclip.images import ReadOptions

Policy = Annotated[
    str, typer.Option("--policy", help="Grey values: standard, percentile, full-range or carzero.")
]
Modalities = Annotated[
    list[str] | None,
    typer.Option(
        "--modality", help="DICOM modality to take, or 'any'; may be repeated.", show_default="CR, DX"
    ),
]


def make_read_options(policy: str, modalities: Sequence[str]) -> ReadOptions:
    """How images are read.

    Args:
        policy: As typed.
        modalities: As typed; empty for the default.

    Raises:
        ConfigError: The policy is unknown.
    """
    from offclip.errors import ConfigError
    from offclip.images import ReadOptions
    from offclip.images.film import GreyPolicy

    known = next((known for known in get_args(GreyPolicy) if known == policy), None)
    if known is None:
        raise ConfigError(f"--policy {policy} is unknown.", f"Known: {', '.join(get_args(GreyPolicy))}.")
    if not modalities:
        return ReadOptions(policy=known)
    names = tuple(name.upper() for name in modalities)
    return ReadOptions(policy=known, modalities=() if "ANY" in names else names)

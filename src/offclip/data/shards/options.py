"""How shards are made."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from offclip.data.shards.sample import Caption
from offclip.errors import ConfigError
from offclip.images.film import ReadOptions

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def bytes_of(size: str) -> int:
    """A size such as `1GB` in bytes.

    Raises:
        ConfigError: It is no size.

    Example:
        >>> bytes_of("1GB"), bytes_of("256 MiB")
        (1000000000, 268435456)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", size.strip())
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None or float(match[1]) * unit < 1:
        raise ConfigError(f"--size {size!r} is no size.", "Give a number and a unit, such as 1GB or 256MB.")
    return int(float(match[1]) * unit)


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """How shards are made.

    Attributes:
        shard_bytes: Largest size of a shard; a single sample that is larger gets a shard of its own.
        pixels: None stores the image files as they are; a number re-encodes them as 8-bit grey PNG, which
            is lossless, with that many pixels on the longer side.
        caption: What the `.txt` of a sample holds: the sentences that filtering `"kept"`, or the `"report"`.
        lateral: Whether lateral films are taken.
        read: How image files are read and checked.
    """

    shard_bytes: int = 10**9
    pixels: int | None = None
    caption: Caption = "kept"
    lateral: bool = True
    read: ReadOptions = field(default_factory=ReadOptions)

    def __post_init__(self) -> None:
        if self.pixels is not None and not 16 <= self.pixels <= 16_384:
            raise ConfigError(f"pixels is {self.pixels}.", "Choose 16 to 16,384.")
        if self.caption not in ("kept", "report"):
            raise ConfigError(f"caption {self.caption!r} is unknown.", "Known: kept, report.")

"""Report text on a terminal: what could steer the terminal is made visible, and offsets stay as they are."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

COLOURS = {"normal": "green", "abnormal": "red", "uncertain": "yellow"}


def printable(text: str) -> str:
    r"""Return a text on one line, with every control and direction mark as a replacement sign.

    Every character is replaced by one, so that offsets into the text stay right.

    Example:
        >>> printable("Clear\nlungs.\x1b[2J")
        'Clear lungs.�[2J'
    """
    return "".join(" " if c.isspace() else "�" if unicodedata.category(c) in _UNSAFE else c for c in text)


# Control, format (direction marks, zero width), surrogate, private use, unassigned.
_UNSAFE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))


@contextmanager
def trimmed() -> Iterator[Console]:
    """Yields a console whose lines are printed without the blanks that tables fill them with."""
    from offclip.cli.console import console

    target = console()
    with target.capture() as capture:
        yield target
    print("\n".join(line.rstrip() for line in capture.get().splitlines()))

"""How an evaluation tells what it is doing: (what, done, all)."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[str, int, int], None]


def named(on_progress: OnProgress | None, what: str) -> Callable[[int, int], None] | None:
    """The same callback with its first argument fixed; None without one."""
    if on_progress is None:
        return None
    return lambda done, total: on_progress(what, done, total)

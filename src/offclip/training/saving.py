"""When a run saves its state: now and then, and after Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from offclip.models.interface import ClipModel
from offclip.training.state import Progress, RunFolder, Stateful


@contextmanager
def saving(
    run: RunFolder, model: ClipModel, parts: Mapping[str, Stateful], every_s: float
) -> Iterator[Callable[..., None]]:
    """Yields `keep(progress)`, to be called between steps: it saves now and then, and after Ctrl-C.

    Ctrl-C waits for the next `keep`, because in the middle of a step the weights are neither those before
    it nor those after it. A second Ctrl-C does not wait, and leaves the state that was saved last.
    """
    saved_at, interrupted = time.monotonic(), False

    def keep(progress: Progress, force: bool = False) -> None:
        nonlocal saved_at
        if force or interrupted or time.monotonic() - saved_at >= every_s:
            run.save(progress, model, parts)
            saved_at = time.monotonic()
        if interrupted:
            raise KeyboardInterrupt

    def on_interrupt(_signal: int, _frame: object) -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True

    before = signal.getsignal(signal.SIGINT)
    # Only the main thread may set a handler, and whoever ignores Ctrl-C goes on ignoring it.
    ours = callable(before) and threading.current_thread() is threading.main_thread()
    if ours:
        signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield keep
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)

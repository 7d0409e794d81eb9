"""Kills a process that does not answer in time."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Watchdog:
    """Watches one process at a time; a timer a file would cost more than reading a small file does.

    Its thread sleeps until the deadline that it saw last. A later deadline is at least `seconds` away when it
    is set, so sleeping no longer than that never misses one.

    Args:
        seconds: The shortest time that will be given to `watch`.

    Attributes:
        bit: Whether the last watched block came to its deadline.
    """

    def __init__(self, seconds: float) -> None:
        self.bit = False
        self._seconds = seconds
        self._lock = threading.Lock()
        self._deadline: float | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, process: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
        """Kills the process when the block takes longer, which ends all waiting for its pipes."""
        with self._lock:
            self.bit, self._process, self._deadline = False, process, time.monotonic() + seconds
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._process = self._deadline = None

    def stop(self) -> None:
        """Ends the thread."""
        self._stopped.set()

    def _run(self) -> None:
        pause = self._seconds
        while not self._stopped.wait(pause):
            pause = self._seconds
            with self._lock:
                if self._process is None or self._deadline is None:
                    continue
                left = self._deadline - time.monotonic()
                if left > 0:
                    pause = min(pause, left)
                else:
                    self.bit, self._deadline = True, None
                    self._process.kill()

"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container, control groups version 2


def available_cores() -> int:
    """Cores that this process may use; a container often has fewer than the machine.

    Example:
        >>> available_cores() >= 1
        True
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no such file, or "max" in the place of the microseconds
        quota, period = _QUOTA.read_text(encoding="ascii").split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    return max(1, cores)

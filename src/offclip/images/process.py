"""The process behind a decoder: how it is started, and how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import cast

from offclip.errors import OffclipError

_PIPE_BYTES = 2**20  # what Linux lets anybody have; 64 KiB otherwise
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# For glibc: a film's memory is used again for the next. Else every film costs thousands of page faults, which
# take a quarter of the time of a large JPEG. 32 MiB is the most that glibc accepts.
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(256 * 2**20)}


def start_process(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Starts a Python process with unbuffered pipes and one thread, which finds the modules of this one.

    Args:
        command: Arguments to the interpreter.

    Raises:
        OffclipError: The system starts no process.
    """
    if not sys.executable:
        raise OffclipError(
            "This Python does not know its own interpreter.", "Run offclip in a normal Python."
        )
    # The same modules in the same order as here, as `multiprocessing` does it; -P: no others.
    modules = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path)
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=os.environ | _ONE_THREAD | _KEEP_MEMORY | {"PYTHONPATH": modules},
        )
    except OSError as error:
        raise OffclipError(
            f"The process that decodes images does not start ({error.strerror or error}).",
            "Free some memory, or allow more processes.",
        ) from error
    _widen(process)
    return process


def _widen(process: subprocess.Popen[bytes]) -> None:
    """Larger pipes, where the system has them: fewer turns for a whole film."""
    try:
        import fcntl

        size = fcntl.F_SETPIPE_SZ
    except (ImportError, AttributeError):  # Windows, macOS
        return
    for pipe in pipes_of(process)[:2]:
        with suppress(OSError):  # the user has used up what all pipes may have
            fcntl.fcntl(pipe.fileno(), size, _PIPE_BYTES)


def pipes_of(process: subprocess.Popen[bytes]) -> tuple[FileIO, FileIO, FileIO]:
    """Where it reads questions, writes answers, and writes errors; unbuffered pipes are plain files."""
    return cast(FileIO, process.stdin), cast(FileIO, process.stdout), cast(FileIO, process.stderr)


def end_process(process: subprocess.Popen[bytes], patience: float = 0.0) -> None:
    """Ends a process and takes its exit code; `patience`: seconds for it to end by itself."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience)
        return
    process.kill()
    process.wait()


def how_it_ended(code: int | None) -> str:
    """An exit code in words.

    Example:
        >>> how_it_ended(-6), how_it_ended(1)
        ('SIGABRT', 'exit code 1')
    """
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}: the system ends processes so when the memory is full" if name == "SIGKILL" else name

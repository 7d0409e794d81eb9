"""The process that decodes: `python -m offclip.images.worker`, started by `offclip.images.decoder` alone.

It imports no torch, so that it starts in a fraction of a second. It limits itself before it reads a file, and
ends when the process that asks is gone.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2

from offclip.errors import ImageError, InputError
from offclip.images.film import ReadOptions
from offclip.images.limits import Limits
from offclip.images.preprocess import Preprocess
from offclip.images.protocol import Frame, plain, read_frame, rebuild, write_frame
from offclip.images.reading import read
from offclip.images.reasons import Reason, refusal

# The asking process keeps the time; this ends a decoder that hangs when nobody asks any more.
_GRACE_SECONDS = 5.0


def main() -> None:
    """Answers one question after the other, until there is none."""
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the business of the process that asks
    questions, answers = _own_pipes()
    setup = read_frame(questions, 0)
    if setup is None:
        return
    options = rebuild(ReadOptions, setup.head["options"])
    preprocess = rebuild(Preprocess, setup.head["preprocess"]) if setup.head["preprocess"] else None
    cv2.setNumThreads(1)
    limited = _limit(options.limits)
    write_frame(answers, {"ready": True, "memory_limited": limited})
    while (question := read_frame(questions, sys.maxsize)) is not None:
        _set_alarm(options.limits.seconds + _GRACE_SECONDS)
        head, body = _answer(question, options, preprocess)
        write_frame(answers, head, body)
        _set_alarm(0)
        if head.get("last"):
            return


def _answer(
    question: Frame, options: ReadOptions, preprocess: Preprocess | None
) -> tuple[dict[str, Any], memoryview | bytes]:
    """The pixels of a file or why there are none; `last` where this process cannot be trusted any more."""
    name = question.head["name"]
    try:
        path = question.head["path"]
        film = read(question.body.tobytes() if path is None else Path(path), options, name=name)
        fitted = preprocess.fit(film.pixels, film.grid.aspect) if preprocess else None
    except ImageError as error:
        return _refused(error), b""
    except InputError as error:  # such as pixels a thousand times as high as wide
        return _refused(refusal(Reason.CONTRADICTORY, name, f"cannot be fitted ({error.message})")), b""
    except (MemoryError, cv2.error) as error:
        what = "decoding needs more memory than is allowed"
        if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem:
            return _fault(name, error), b""
        return _refused(refusal(Reason.TOO_MUCH_MEMORY, name, what)) | {"last": True}, b""
    except (
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        OSError,
        RuntimeError,
        AttributeError,
    ) as error:
        return _fault(name, error), b""
    pixels, geometry = fitted or (film.pixels, None)
    head = {
        "grid": asdict(film.grid),
        "metadata": asdict(film.metadata),
        "shape": list(pixels.shape),
        "geometry": plain(geometry),
    }
    return head, pixels.reshape(-1).data


def _refused(error: ImageError) -> dict[str, Any]:
    return {"refused": {"message": error.message, "remedy": error.remedy, "reason": error.reason}}


def _fault(name: str, error: BaseException) -> dict[str, Any]:
    """An error that no reader should let through. Its text may quote the file, so only its place is told."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = f"the reader failed ({type(error).__name__} in {Path(place.filename).name}, line {place.lineno})"
    return _refused(refusal(Reason.DECODER_CRASHED, name, what)) | {"last": True}


def _own_pipes() -> tuple[io.FileIO, io.FileIO]:
    """The pipes to the asking process; what C libraries print or read goes nowhere."""
    questions, answers = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    return io.FileIO(questions, "rb"), io.FileIO(answers, "wb")


def _limit(limits: Limits) -> bool:
    """Limits memory and forbids core files, which would hold a patient's pixels; whether it could."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = limits.memory_bytes if hard == resource.RLIM_INFINITY else min(hard, limits.memory_bytes)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    except (OSError, ValueError):  # macOS knows the limit and does not let anybody set it
        return False
    return True


def _set_alarm(seconds: float) -> None:
    """The system ends this process after `seconds`, even inside a C library; 0 takes that back."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    main()

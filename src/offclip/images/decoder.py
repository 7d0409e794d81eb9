"""One process that decodes, as the asking process sees it: started, asked, timed, replaced."""

from __future__ import annotations

import logging
import math
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from offclip.errors import ImageError, OffclipError
from offclip.images.film import Film, FilmMetadata, PixelGrid, ReadOptions
from offclip.images.geometry import Letterbox
from offclip.images.preprocess import Preprocess
from offclip.images.process import end_process, how_it_ended, pipes_of, start_process
from offclip.images.protocol import Frame, ProtocolError, plain, read_frame, rebuild, write_frame
from offclip.images.reasons import Reason, refusal
from offclip.images.watchdog import Watchdog

log = logging.getLogger(__name__)

COMMAND = ("-m", "offclip.images.worker")
_START_SECONDS = 60.0  # a cold network disk holds the libraries
_STARTS = 3


@dataclass(frozen=True, slots=True)
class NamedBytes:
    """A file in memory, such as a member of an archive.

    Attributes:
        name: What to call it.
        data: Its bytes.
    """

    name: str
    data: bytes


Source = str | Path | NamedBytes


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a process made of a file.

    Attributes:
        film: As `offclip.images.read` gives it. Where a `Preprocess` was asked for, its `pixels` are the
            square (S, S); its `grid` is still that of the file.
        geometry: Takes coordinates back from the square; None without a `Preprocess`.
    """

    film: Film
    geometry: Letterbox | None = None


class _LostError(Exception):
    """The process ended, or said what it should not."""


class Decoder:
    """A process that decodes one file after the other, and a new one when it is lost.

    Used from one thread; `close` may be called from another. The process starts with the first file.

    Args:
        options: How files are read, and what they may cost.
        preprocess: Makes the square in the process, so that only this crosses the pipe.
        command: Arguments to the Python interpreter.

    Attributes:
        ready_at: When the first process was ready, by the monotonic clock; never, before that.
    """

    def __init__(
        self, options: ReadOptions, preprocess: Preprocess | None, command: Sequence[str] = COMMAND
    ) -> None:
        self.ready_at = math.inf
        self._options = options
        self._preprocess = preprocess
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._files = 0  # that the process has read
        self._watchdog = Watchdog(min(options.limits.seconds, _START_SECONDS))
        self._closed = False
        self._lock = threading.Lock()

    def decode(self, source: Source) -> Decoded | ImageError:
        """The film, or why there is none.

        A file at which a process is lost that has read others before is tried again in a new one: an earlier
        file may have left the damage behind.

        Raises:
            OffclipError: No process can be started.
        """
        while True:
            process = self._process or self._start()
            fresh = self._files == 0
            self._files += 1
            result = self._ask(process, source)
            lost = self._process is None
            doubtful = isinstance(result, ImageError) and result.reason in (
                Reason.DECODER_CRASHED,
                Reason.TOO_MUCH_MEMORY,
            )
            if fresh or not (lost and doubtful) or self._closed:
                return result

    def close(self) -> None:
        """Ends the process, whatever it does; a `decode` in another thread comes back."""
        with self._lock:
            self._closed = True
            process = self._process
        self._watchdog.stop()
        if process:
            end_process(process)

    def release(self) -> None:
        """Closes what `close` has left open, when nobody decodes any more."""
        if self._process:
            self._drop(self._process)

    def _start(self) -> subprocess.Popen[bytes]:
        what = ""
        for _ in range(_STARTS):
            with self._lock:
                if self._closed:
                    raise OffclipError("The pool of decoders is closed.", "Open a new DecoderPool.")
                process = self._process = start_process(self._command)
                self._files = 0
            what = self._greet(process)
            if not what:
                self.ready_at = min(self.ready_at, time.monotonic())
                return process
            self._drop(process)
        raise OffclipError(
            f"The process that decodes images does not start ({what}).",
            "Check the installation with 'offclip verify', and whether the memory is full.",
        )

    def _greet(self, process: subprocess.Popen[bytes]) -> str:
        """Says what the process shall do; why it cannot, empty where it can."""
        questions, answers, errors = pipes_of(process)
        setup = {"options": asdict(self._options), "preprocess": plain(self._preprocess)}
        try:
            with self._watchdog.watch(process, _START_SECONDS):
                write_frame(questions, setup)
                ready = read_frame(answers, 0)
        except (OSError, ProtocolError) as error:
            what = str(error)
        else:
            if ready is not None and ready.head.get("ready") is True:
                errors.close()
                if not ready.head.get("memory_limited"):
                    log.info(
                        "This system cannot limit the memory of a process; Limits.memory_bytes is not kept."
                    )
                return ""
            what = "it said nothing"
        end_process(process, patience=1.0)
        lines = errors.read(2**16).decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else f"{what}; {how_it_ended(process.returncode)}"

    def _ask(self, process: subprocess.Popen[bytes], source: Source) -> Decoded | ImageError:
        name = source.name if isinstance(source, NamedBytes) else str(source)
        path = None if isinstance(source, NamedBytes) else str(Path(source).absolute())
        body = source.data if isinstance(source, NamedBytes) else b""
        seconds = self._options.limits.seconds
        questions, answers, _ = pipes_of(process)
        try:
            with self._watchdog.watch(process, seconds):
                write_frame(questions, {"name": name, "path": path}, body)
                answer = read_frame(answers, self._most_bytes())
            if answer is None:
                raise _LostError
            result = self._understand(answer)
        except (_LostError, OSError, ProtocolError) as error:
            end_process(process, patience=0.0 if isinstance(error, ProtocolError) else 1.0)
            self._drop(process)
            if self._watchdog.bit:
                return refusal(Reason.TOO_SLOW, name, f"decoding takes longer than {seconds:g} seconds")
            how = str(error) if isinstance(error, ProtocolError) else how_it_ended(process.returncode)
            return refusal(Reason.DECODER_CRASHED, name, f"the decoding process was lost ({how})")
        if self._watchdog.bit or answer.head.get("last"):
            self._drop(process)
        return result

    def _most_bytes(self) -> int:
        return self._preprocess.size**2 if self._preprocess else self._options.limits.max_pixels

    def _understand(self, answer: Frame) -> Decoded | ImageError:
        """The answer, where it is one to the question."""
        head = answer.head
        if "refused" in head:
            return _refusal(head["refused"])
        grid = rebuild(PixelGrid, head.get("grid"))
        metadata = rebuild(FilmMetadata, head.get("metadata"))
        geometry = rebuild(Letterbox, head.get("geometry")) if self._preprocess else None
        side = self._preprocess.size if self._preprocess else 0
        shape = (side, side) if side else (grid.height, grid.width)
        if head.get("shape") != list(shape) or min(shape) < 1 or len(answer.body) != shape[0] * shape[1]:
            raise ProtocolError("the pixels have another size than it says")
        if grid.aspect <= 0:
            raise ProtocolError("the pixels have no shape")
        if geometry and (
            (geometry.size, geometry.height, geometry.width) != (side, grid.height, grid.width)
            or min(geometry.inner_height, geometry.inner_width) < 1
        ):
            raise ProtocolError("the geometry is that of another image")
        return Decoded(Film(answer.body.reshape(shape), grid, metadata), geometry)

    def _drop(self, process: subprocess.Popen[bytes]) -> None:
        end_process(process)
        for pipe in pipes_of(process):
            with suppress(OSError):
                pipe.close()
        self._process = None


def _refusal(said: Any) -> ImageError:
    if not isinstance(said, dict) or any(not isinstance(text, str) for text in said.values()):
        raise ProtocolError("the refusal has no words")
    reason = said.get("reason", "")
    if reason not in set(Reason):
        raise ProtocolError("the refusal has no reason of the list")
    message, remedy = (
        "".join(c if c.isprintable() else " " for c in said.get(part, ""))[:2000]
        for part in ("message", "remedy")
    )
    return ImageError(message, remedy, reason)

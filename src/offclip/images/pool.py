"""Decoding in processes with a memory and a time limit: a file that crashes its decoder costs one file."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import CancelledError, Future, wait
from queue import Empty, SimpleQueue
from types import TracebackType

from offclip.cores import available_cores
from offclip.errors import ImageError, InputError, OffclipError
from offclip.images.decoder import COMMAND, Decoded, Decoder, NamedBytes, Source
from offclip.images.film import ReadOptions
from offclip.images.preprocess import Preprocess

__all__ = ["Decoded", "DecoderPool", "NamedBytes", "Source"]

# More processes start when the caller has waited for about twice the time that a start takes.
_PATIENCE_SECONDS = 0.5
_HELD_BYTES = 256 * 2**20  # of members of archives that wait


class DecoderPool:
    """Reads files in processes of their own, in the order in which they come.

    The processes start as they are needed: one with the first file, more when the caller has to wait. So a
    few small files cost one start, and a model that is slower than one process gets no second. They are no
    `multiprocessing` processes: a script needs no `if __name__ == "__main__"`.

    Args:
        workers: Most processes; the cores that there are by default.
        options: How files are read, and what they may cost.
        preprocess: Makes the square of a model in the process; only this comes back.
        ahead: Most films that are held for a caller who does not take them; twice the workers by default.
        command: Arguments to the Python interpreter, for tests.

    Example:
        >>> with DecoderPool(workers=1) as pool:
        ...     [error.reason for error in pool.map(["no-such-film.png"])]
        ['missing']
    """

    def __init__(
        self,
        workers: int | None = None,
        options: ReadOptions = ReadOptions(),
        preprocess: Preprocess | None = None,
        *,
        ahead: int | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._most = available_cores() if workers is None else workers
        if self._most < 1:
            raise InputError(f"{workers} workers.", "Give at least one.")
        self._ahead = max(ahead or 0, 2 * self._most)
        self._make = lambda: Decoder(options, preprocess, command)
        self._jobs: SimpleQueue[tuple[Future[Decoded | ImageError], Source] | None] = SimpleQueue()
        self._decoders: list[Decoder] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._waited = 0.0
        self._closed = False

    def __enter__(self) -> DecoderPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all processes at once; what is still to be read is left."""
        with self._lock:
            self._closed = True
        for decoder in self._decoders:
            decoder.close()
        while True:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job and job[0].cancel():
                job[0].set_running_or_notify_cancel()  # wakes who waits for it
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        for decoder in self._decoders:
            decoder.release()

    def map(self, sources: Iterable[Source]) -> Generator[Decoded | ImageError, None, None]:
        """The films of files, or why there are none, in the order of `sources`.

        Files are read ahead while the caller works, but only a few; `sources` is asked for no more than that.

        Raises:
            OffclipError: No process can be started.
        """
        upcoming = iter(sources)
        pending: deque[tuple[Future[Decoded | ImageError], int]] = deque()
        held, more = 0, True
        try:
            while True:
                while more and len(pending) < self._ahead and (held < _HELD_BYTES or not pending):
                    source = next(upcoming, None)
                    if source is None:
                        more = False
                        break
                    size = len(source.data) if isinstance(source, NamedBytes) else 0
                    pending.append((self._submit(source), size))
                    held += size
                if not pending:
                    return
                result = self._result(pending[0][0], len(pending))
                held -= pending.popleft()[1]
                yield result
        finally:
            for future, _ in pending:
                future.cancel()

    def _submit(self, source: Source) -> Future[Decoded | ImageError]:
        if self._closed:
            raise _closed()
        future: Future[Decoded | ImageError] = Future()
        self._jobs.put((future, source))
        if not self._threads:
            self._grow(1)
        return future

    def _result(self, future: Future[Decoded | ImageError], waiting: int) -> Decoded | ImageError:
        while not future.done():
            room = min(self._most, waiting) - len(self._threads)
            begin = time.monotonic()
            wait([future], max(0.0, _PATIENCE_SECONDS - self._waited) if room > 0 else None)
            # The start of the newest process is no reason for another.
            self._waited += max(0.0, time.monotonic() - max(begin, self._decoders[-1].ready_at))
            if room > 0 and self._waited >= _PATIENCE_SECONDS:
                self._grow(min(room, len(self._threads)))
                self._waited = 0.0
        try:
            return future.result()
        except CancelledError as error:
            raise _closed() from error

    def _grow(self, count: int) -> None:
        with self._lock:
            if self._closed:
                return
            for _ in range(count):
                decoder = self._make()
                thread = threading.Thread(target=self._serve, args=(decoder,), daemon=True)
                self._decoders.append(decoder)
                self._threads.append(thread)
                thread.start()

    def _serve(self, decoder: Decoder) -> None:
        """Works on jobs until there is a None."""
        while (job := self._jobs.get()) is not None:
            future, source = job
            del job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(decoder.decode(source))
            except OffclipError as error:
                future.set_exception(error)
            finally:
                if not future.done():  # a fault; the caller must not wait for ever
                    fault = OffclipError("A decoding thread failed.", "This is a fault of offclip.")
                    future.set_exception(fault)
            del future, source


def _closed() -> InputError:
    return InputError("The pool of decoders is closed.", "Open a new DecoderPool.")

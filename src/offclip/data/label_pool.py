"""Processes that label batches: each takes its studies from the staging file and writes its own parts."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from pathlib import Path

from offclip.cores import available_cores
from offclip.data.label_batch import label_batch
from offclip.data.label_parts import write_part
from offclip.data.staging import Staged
from offclip.errors import OffclipError
from offclip.reports import ReportLabeller, SentenceLabeller
from offclip.reports.config import LabellingConfig

# Two batches a process: one in work, one waiting, so that nobody waits for the parent.
_AHEAD = 2


@dataclass(frozen=True, slots=True)
class BatchJob:
    """One batch: which studies, and which file takes the rows.

    Attributes:
        number: Of the batch.
        start: First study.
        stop: One past the last.
        path: The part to write.
    """

    number: int
    start: int
    stop: int
    path: Path


@dataclass(frozen=True, slots=True)
class BatchSetting:
    """What all batches of a run share.

    Attributes:
        staged: File of studies.
        key: Goes into every part.
        folder: Paths of images inside it become relative to it.
    """

    staged: Path
    key: str
    folder: str


class BatchWorker:
    """Labels batches, with a labeller that is made once."""

    def __init__(self, setting: BatchSetting, labeller: SentenceLabeller) -> None:
        self._setting = setting
        self._labeller = ReportLabeller(labeller)
        self._staged = Staged(setting.staged)

    def __call__(self, job: BatchJob) -> BatchJob:
        """Labels a batch and writes its part."""
        studies = self._staged.batch(job.start, job.stop)
        write_part(job.path, self._setting.key, *label_batch(studies, self._labeller, self._setting.folder))
        return job

    def close(self) -> None:
        """Closes the file of studies."""
        self._staged.close()


def run_batches(
    jobs: Iterable[BatchJob],
    setting: BatchSetting,
    config: LabellingConfig,
    workers: int,
    labeller: SentenceLabeller | None = None,
) -> Generator[BatchJob, None, None]:
    """Runs batches in this process or in several, and yields each when its part is written, in any order.

    Args:
        jobs: The batches; taken only as they can be worked on.
        setting: What they share.
        config: Makes the labeller, once a process.
        workers: Processes; 1 works in this one.
        labeller: The labeller for `workers=1`, if there is one already.

    Raises:
        OffclipError: A batch failed, or a process ended unexpectedly.
    """
    if workers > 1:
        yield from _in_processes(iter(jobs), setting, config, workers)
        return
    worker = BatchWorker(setting, labeller or config.build())
    try:
        for job in jobs:
            yield worker(job)
    finally:
        worker.close()


def _in_processes(
    jobs: Iterator[BatchJob], setting: BatchSetting, config: LabellingConfig, workers: int
) -> Iterator[BatchJob]:
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(setting, config, workers))
    pending: set[Future[BatchJob]] = set()
    finished = False
    try:
        while True:
            while len(pending) < _AHEAD * workers and (job := next(jobs, None)) is not None:
                pending.add(pool.submit(_run, job))
            if not pending:
                break
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
        finished = True
    except BrokenProcessPool as error:
        raise OffclipError(
            "A labelling process ended unexpectedly: it was killed, or the memory is full.",
            "Run the same command again; it goes on from there. Fewer --workers need less memory.",
        ) from error
    finally:
        if not finished:  # parts are whole or not there, so a process can be stopped anywhere
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
        pool.shutdown(cancel_futures=True)


_worker: BatchWorker | None = None


def _start(setting: BatchSetting, config: LabellingConfig, workers: int) -> None:
    global _worker
    # Read when a trained labeller loads torch: the processes share the cores.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, available_cores() // workers)))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which stops this process
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    _worker = BatchWorker(setting, config.build())


def _end_with(parent: int) -> None:
    """Ends this process when its parent has died, as nobody else would."""
    wait_for([parent])
    os._exit(1)


def _run(job: BatchJob) -> BatchJob:
    if _worker is None:
        raise OffclipError("A labelling process was not started.", "This is a fault of offclip.")
    return _worker(job)

"""A few jobs at a time, in threads: results are handed over at once, and the first failure stops the rest."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_bounded(
    work: Callable[[Job], Result],
    jobs: Iterable[Job],
    limit: int,
    on_done: Callable[[Job, Result], None],
    stop: threading.Event,
) -> None:
    """Run jobs, at most `limit` at a time.

    Jobs that are under way when another one fails, or at Ctrl-C, are waited for and handed over as well: an
    answer that was paid for is not thrown away.

    Args:
        work: Runs in threads.
        jobs: Taken one by one, never more than are being worked on.
        limit: How many at a time.
        on_done: Called in this thread, in the order in which jobs end.
        stop: Set when a job has failed.

    Raises:
        Exception: The first failure of a job.

    Example:
        >>> done = []
        >>> run_bounded(abs, [-1, -2], 1, lambda job, result: done.append(result), threading.Event())
        >>> done
        [1, 2]
    """
    waiting = iter(jobs)
    running: dict[Future[Result], Job] = {}
    failure: BaseException | None = None

    def collect() -> None:
        nonlocal failure
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            job = running.pop(future)
            error = future.exception()
            if error is None:
                on_done(job, future.result())
                continue
            failure = failure or error
            stop.set()

    with ThreadPoolExecutor(limit, thread_name_prefix="offclip-llm") as pool:
        try:
            while True:
                while failure is None and len(running) < limit:
                    try:
                        job = next(waiting)
                    except StopIteration:
                        break
                    running[pool.submit(work, job)] = job
                if not running:
                    break
                collect()
        except KeyboardInterrupt:
            stop.set()
            while running:
                collect()
            raise
        except BaseException:
            stop.set()  # such as a full disk: nobody need wait for retries
            raise
    if failure is not None:
        raise failure

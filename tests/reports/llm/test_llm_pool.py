"""A few jobs at a time: bounded, stopped by the first failure, and nothing that was done is lost."""

import threading

import pytest

from offclip.reports.llm.pool import run_bounded


def test_a_failure_stops_the_rest_but_what_is_under_way_is_handed_over():
    started: list[int] = []
    failed = threading.Event()
    stop = threading.Event()
    done: list[int] = []

    def work(job):
        started.append(job)
        if job == 1:
            failed.set()
            raise ZeroDivisionError("job 1")
        failed.wait(20)
        return job

    with pytest.raises(ZeroDivisionError, match="job 1"):
        run_bounded(work, range(100), 2, lambda job, result: done.append(result), stop)
    assert stop.is_set()
    assert done == [0] or done == [0, 2]
    assert set(started) == {*done, 1}


def test_ctrl_c_keeps_what_is_under_way():
    stop = threading.Event()
    done: list[int] = []
    second_runs = threading.Event()

    def work(job):
        if job == 0:
            second_runs.wait(20)
        if job == 1:
            second_runs.set()
            stop.wait(20)  # ends because the run is stopped
        return job

    def on_done(job, result):
        done.append(result)
        if job == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_bounded(work, range(100), 2, on_done, stop)
    assert done == [0, 1]


def test_a_failure_of_the_receiver_ends_the_run():
    stop = threading.Event()

    def full(job, result):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run_bounded(abs, range(100), 2, full, stop)
    assert stop.is_set()


def test_no_job_is_taken_before_it_can_be_worked_on():
    taken: list[int] = []
    done: list[int] = []

    def jobs():
        for job in range(20):
            taken.append(job)
            yield job

    def on_done(job, result):
        done.append(job)
        assert len(taken) - len(done) < 3

    run_bounded(abs, jobs(), 3, on_done, threading.Event())
    assert sorted(done) == list(range(20))
    run_bounded(abs, [], 3, on_done, threading.Event())

"""When a request is sent again, and how long is waited before."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.reports.llm import LlmConfig, LlmError
from offclip.reports.llm.errors import LlmLostError
from offclip.reports.llm.retry import TransientError, delay, seconds_of, with_retries

CONFIG = LlmConfig(backoff_s=1.0, max_wait_s=10.0, retries=4)


def run(*failures, config=CONFIG, stopped=False):
    """Fail so, then work; returns the waits."""
    waits: list[float] = []
    left = list(failures)

    def call():
        if left:
            raise left.pop(0)
        return "done"

    def wait(seconds):
        waits.append(seconds)
        return stopped

    assert with_retries(call, config, chance=lambda: 0.0, wait=wait) == "done"
    return waits


def test_waits_double_up_to_the_bound():
    assert run(*[TransientError("x")] * 4) == [1, 2, 4, 8]
    assert run(*[TransientError("x")] * 4, config=LlmConfig(backoff_s=3, max_wait_s=7)) == [3, 6, 7, 7]


def test_the_server_may_ask_for_more_but_not_for_less():
    assert run(TransientError("x", 5.0), TransientError("x", 0.1), TransientError("x")) == [5, 2, 4]


def test_the_retries_end():
    with pytest.raises(LlmLostError, match=r"failed 5 time\(s\), last by: y"):
        run(*[TransientError("x")] * 4, TransientError("y"))
    with pytest.raises(LlmLostError, match=r"asks to wait 11 s \(HTTP 429\).*max_wait_s = 10"):
        run(TransientError("HTTP 429", 11.0))
    with pytest.raises(LlmError, match="Stopped"):
        run(TransientError("x"), stopped=True)
    with pytest.raises(ZeroDivisionError):
        run(ZeroDivisionError())


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 5_000), st.floats(0, 1), st.floats(0, 3_600), st.floats(0, 86_400))
def test_no_wait_is_longer_than_the_bound_or_shorter_than_half(attempt, chance, base, bound):
    config = LlmConfig(backoff_s=base, max_wait_s=bound)
    full = delay(attempt, config, 0.0)
    assert full / 2 <= delay(attempt, config, chance) <= full <= bound


def test_retry_after_is_seconds_or_a_date():
    now = datetime(2026, 1, 2, 3, 4, 0, tzinfo=UTC)
    assert seconds_of("7", now) == 7
    assert seconds_of("Fri, 02 Jan 2026 03:04:30 GMT", now) == 30
    assert seconds_of("Fri, 02 Jan 2026 03:03:00 GMT", now) == 0
    for nothing in (None, "", "soon", "-3", "nan", "inf", "Fri, 99 Jan"):
        assert seconds_of(nothing, now) is None

"""When a request is sent again, and how long to wait before."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from offclip.reports.llm.config import LlmConfig
from offclip.reports.llm.errors import LlmError, LlmLostError

T = TypeVar("T")
_RESUME = "What is done is kept; start the server again, and the same command goes on from there."


class TransientError(Exception):
    """A failure that may pass: 429, 5xx, a time-out, a lost connection.

    Args:
        reason: What happened, in a few words.
        retry_after: Seconds that the server asks to wait, if it does.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


def delay(attempt: int, config: LlmConfig, chance: float) -> float:
    """Return the seconds to wait before a retry: doubling, less a random part, bounded.

    Args:
        attempt: 0 before the first retry.
        config: Base and bound.
        chance: Random number from 0 to 1. It takes up to half of the wait away, so that many clients do not
            come back at the same moment.

    Example:
        >>> [delay(attempt, LlmConfig(backoff_s=1, max_wait_s=3), chance=0.5) for attempt in (0, 1, 2)]
        [0.75, 1.5, 2.25]
    """
    return min(config.max_wait_s, config.backoff_s * 2.0 ** min(attempt, 60)) * (1 - chance / 2)


def seconds_of(retry_after: str | None, now: datetime | None = None) -> float | None:
    """Read the header `Retry-After`: seconds or a date; None where it says nothing usable.

    Example:
        >>> seconds_of("2.5"), seconds_of("soon")
        (2.5, None)
    """
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            moment = parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def with_retries(
    call: Callable[[], T],
    config: LlmConfig,
    *,
    chance: Callable[[], float],
    wait: Callable[[float], bool],
) -> T:
    """Call until it works.

    Args:
        call: Raises `TransientError` where it may be tried again.
        config: How often, and how long to wait.
        chance: Gives random numbers from 0 to 1.
        wait: Waits so many seconds; returns True when the run was stopped meanwhile.

    Raises:
        LlmLostError: The retries are used up, or the server asks to wait longer than `max_wait_s`.
    """
    attempt = 0
    while True:
        try:
            return call()
        except TransientError as error:
            times = f"{attempt + 1} time(s)"
            if attempt >= config.retries:
                raise LlmLostError(f"The server failed {times}, last by: {error.reason}.", _RESUME) from None
            seconds = delay(attempt, config, chance())
            if error.retry_after is not None:
                if error.retry_after > config.max_wait_s:
                    raise LlmLostError(
                        f"The server asks to wait {error.retry_after:.0f} s ({error.reason}), which is "
                        f"longer than max_wait_s = {config.max_wait_s:g}.",
                        "Raise max_wait_s, or run the same command later; it resumes.",
                    ) from None
                seconds = max(seconds, error.retry_after)
        if wait(seconds):
            raise LlmError("Stopped.")
        attempt += 1

"""pydicom without its warnings: they quote values of the header, and a header names a patient."""

from __future__ import annotations

import logging
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# What pydicom and the modules under it raise on a damaged header.
PYDICOM_ERRORS = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NotImplementedError,
    ArithmeticError,
    OSError,
    EOFError,
    RecursionError,
    struct.error,
)

_LOCK = threading.RLock()
_THIS_THREAD = threading.local()


class _Silence(logging.Filter):
    """Drops the records of the threads that asked for quiet, and of no other thread."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(_THIS_THREAD, "quiet", False)


_SILENCE = _Silence()


@contextmanager
def quiet() -> Iterator[None]:
    """Silences the warnings and the log of pydicom while a header is read.

    Python keeps its warning filters for the whole process, so one thread at a time is let in. Nothing slow
    belongs into this block, least of all a decoder.

    Example:
        >>> with quiet():
        ...     warnings.warn("Invalid value for VR DA: '19x00101'")
    """
    logger = logging.getLogger("pydicom")
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.addFilter(_SILENCE)
        before = getattr(_THIS_THREAD, "quiet", False)
        _THIS_THREAD.quiet = True
        try:
            yield
        finally:
            _THIS_THREAD.quiet = before

"""Where files are made before they take their places: locked against others, and gone when the work ends."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from offclip.errors import DataError

_NAME = ".prepare"


@contextmanager
def working_folder(out: Path) -> Iterator[Path]:
    """Yields an empty folder inside `out`, which is removed at the end, however that comes.

    Args:
        out: The folder to be written; made if it is not there, and removed again if nothing came into it.

    Raises:
        DataError: Another process is writing into `out`, or it cannot be written.
    """
    folder, lock_file = out / _NAME, out / f"{_NAME}.lock"
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(lock_file, timeout=0, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise DataError(f"{out}: cannot be written ({error}).", "Give another --out.") from error
    try:
        lock.execute("BEGIN EXCLUSIVE")  # the system releases it when this process dies, however it dies
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    except (OSError, sqlite3.Error) as error:
        lock.close()
        raise DataError(
            f"{out}: another process is writing into it, or it cannot be written ({error}).",
            "Wait for the other, or give another --out.",
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            lock_file.unlink()
        lock.close()
        with suppress(OSError):
            out.rmdir()  # only an empty folder goes

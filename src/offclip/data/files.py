"""Files that are either whole or not there: atomic writes, and the list of what was skipped."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from offclip.errors import DataError, OffclipError


@contextmanager
def atomic_path(path: str | Path, error: type[OffclipError] = DataError) -> Iterator[Path]:
    """Yields a temporary path that takes the place of `path` when the block ends well.

    Whoever reads `path` sees the old file or the new one, never half of one. When the block fails the old
    file stays and the temporary one is removed.

    Args:
        path: The file to write.
        error: The kind of error to raise when the disk refuses.

    Raises:
        OffclipError: The disk is full, the folder cannot be made, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic_path(target) as temporary:
        ...     _ = temporary.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as failure:
        raise _explain(path, failure, error) from failure
    finally:
        with suppress(OSError):
            temporary.unlink()


def _explain(path: Path, failure: OSError, error: type[OffclipError]) -> OffclipError:
    if failure.errno in (errno.ENOSPC, errno.EDQUOT):
        return error(
            f"{path}: the disk is full.", "Free some space and run the same command again; it resumes."
        )
    return error(
        f"{path}: cannot be written ({failure.strerror or failure}).", "Check the folder and its permissions."
    )


def write_csv(table: pl.DataFrame, path: str | Path) -> None:
    """Writes a table as CSV, whole or not at all.

    Raises:
        DataError: The disk is full, or the file cannot be written.
    """
    with atomic_path(path) as temporary:  # polars' own writer does not say that the disk is full
        temporary.write_text(table.write_csv(), encoding="utf-8", newline="")


@dataclass(frozen=True, slots=True)
class Skipped:
    """One row or file that a run left out.

    Attributes:
        source: The file that the row stands in.
        row: Line number in that file, header = 1; 0 when it is no row.
        id: Study or image id, empty when unknown.
        reason: Why, in words.
    """

    source: str
    row: int
    id: str
    reason: str


def write_skipped(path: str | Path, skipped: Sequence[Skipped]) -> None:
    """Writes `skipped.csv`; an empty list writes the header, so that no file means no run."""
    schema = {"source": pl.String, "row": pl.Int64, "id": pl.String, "reason": pl.String}
    write_csv(pl.DataFrame([asdict(row) for row in skipped], schema=schema), path)

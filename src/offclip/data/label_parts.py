"""Finished parts of a labelling run, kept beside its output so that the same command goes on after a stop.

A part is an Arrow file with the rows of one batch; its counts are in its metadata. The folder belongs to one
input and one configuration: a part that was made from others is never taken.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from offclip.data.files import atomic_path
from offclip.data.label_batch import ARROW_SCHEMA, BatchCounts
from offclip.errors import DataError

JOURNAL = "journal.json"
STAGED = "studies.sqlite"
TABLE = "table.parquet"
LOCK = "lock.sqlite"


def parts_folder(out: Path) -> Path:
    """Where the parts of an output are."""
    return out.with_name(f".{out.name}.parts")


def files_fingerprint(files: Iterable[Path]) -> str:
    """A hash of paths, sizes and times of change; the contents are not read."""
    digest = hashlib.sha256()
    for file in files:
        try:
            status = file.stat()
            entry = f"{file.absolute()}\0{status.st_size}\0{status.st_mtime_ns}\n"
        except OSError as error:
            entry = f"{file.absolute()}\0{error.errno}\n"
        digest.update(entry.encode(errors="surrogateescape"))
    return digest.hexdigest()


def text_fingerprint(text: str) -> str:
    """A hash of a text."""
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def contents_fingerprint(files: Iterable[Path]) -> str:
    """A hash of the contents of small files.

    Raises:
        DataError: One cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        try:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        except OSError as error:
            raise DataError(f"{file}: cannot be read ({error.strerror}).", "Check the path.") from error
    return digest.hexdigest()


class Parts:
    """The folder of parts of one run. Use `open_parts`.

    Attributes:
        folder: Where they are.
        key: Hash of all that the parts depend on.
        restarted: What had changed since a run that was stopped, whose parts were thrown away; or empty.
    """

    def __init__(self, folder: Path, identity: Mapping[str, str]) -> None:
        self.folder = folder
        self.key = hashlib.sha256(json.dumps(dict(identity), sort_keys=True).encode()).hexdigest()
        self.restarted = self._begin(dict(identity))

    @property
    def staged(self) -> Path:
        """The file of studies that the batches are taken from."""
        return self.folder / STAGED

    @property
    def table(self) -> Path:
        """The table while it is put together: what a kill leaves of it goes with the parts."""
        return self.folder / TABLE

    def path(self, number: int) -> Path:
        """The file of a part."""
        return self.folder / f"part-{number:06d}.arrow"

    def _begin(self, identity: dict[str, str]) -> str:
        before = _journal(self.folder / JOURNAL)
        if before == identity:
            return ""
        for file in self.folder.iterdir():
            if not file.name.startswith(LOCK):
                file.unlink()
        with atomic_path(self.folder / JOURNAL) as temporary:
            temporary.write_text(json.dumps(identity, indent=1), encoding="utf-8")
        return ", ".join(name for name in identity if before.get(name) != identity[name]) if before else ""


def write_part(path: Path, key: str, table: pa.Table, counts: BatchCounts) -> None:
    """Writes a part, whole or not at all.

    Raises:
        DataError: The disk is full, or the file cannot be written.
    """
    described = table.replace_schema_metadata({"key": key, "counts": json.dumps(counts.to_json())})
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as file,
        pa.ipc.new_file(file, described.schema, options=options) as writer,
    ):
        writer.write_table(described)


def read_part(path: Path, key: str) -> tuple[pa.Table, BatchCounts] | None:
    """Reads a part; None where it is missing, damaged, or was made from something else."""
    counts = read_counts(path, key)
    if counts is None:
        return None
    try:
        with path.open("rb") as file:
            table = pa.ipc.open_file(file).read_all().replace_schema_metadata(None)
    except (OSError, pa.ArrowException):
        return None
    return (table, counts) if table.schema.equals(ARROW_SCHEMA) else None


def read_counts(path: Path, key: str) -> BatchCounts | None:
    """Reads the counts of a part alone; None where `read_part` gives None for the file as a whole."""
    try:
        with path.open("rb") as file:
            metadata = pa.ipc.open_file(file).schema.metadata or {}
        if metadata.get(b"key") != key.encode():
            return None
        return BatchCounts.from_json(json.loads(metadata[b"counts"]))
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return None


@contextmanager
def open_parts(out: Path, identity: Mapping[str, str]) -> Iterator[Parts]:
    """Opens the folder of parts of an output, and removes it when the block ends well.

    Args:
        out: The study table to be written.
        identity: All that the parts depend on, by name; where one differs the parts are thrown away.

    Raises:
        DataError: Another process is writing the same output, or the folder cannot be written.
    """
    folder = parts_folder(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(folder / LOCK, timeout=0, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise DataError(f"{folder}: cannot be written ({error}).", "Check the folder of --out.") from error
    try:
        lock.execute("BEGIN EXCLUSIVE")  # the system releases it when this process dies, however it dies
    except sqlite3.Error as error:
        lock.close()
        raise DataError(
            f"{out}: another process is writing it ({error}).", "Wait for it, or give another --out."
        ) from error
    try:
        yield Parts(folder, identity)
    except BaseException:
        lock.close()
        raise
    lock.close()
    with suppress(OSError):
        shutil.rmtree(folder)


def _journal(path: Path) -> dict[str, Any]:
    try:
        journal = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return journal if isinstance(journal, dict) else {}

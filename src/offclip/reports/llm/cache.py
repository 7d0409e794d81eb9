"""The answers of language models, kept in a file that only grows. It is what makes a run resume.

One JSON object a line: `{"key": ..., "model": ..., "prompt": ..., "label": ..., "statements": [...]}`. The
sentences are not in it, but the statements say what they say, so the file is for its owner's eyes alone.
"""

import json
import os
import re
from collections.abc import Collection
from pathlib import Path
from types import TracebackType

from offclip.errors import DataError
from offclip.reports.llm.answer import Answer, read_item
from offclip.reports.llm.errors import LlmError
from offclip.reports.llm.prompt import PROMPT_VERSION

_KEY = re.compile(rb'{"key": "([0-9a-f]{64})"')


def read_cache(path: Path, keys: Collection[str]) -> dict[str, Answer]:
    """Return the answers that a cache holds to these keys.

    A line that is torn, foreign or malformed counts as not there, and its sentence is asked again. Of two
    answers to one key the first counts, as it did in earlier runs.

    Args:
        path: The cache; a file that is missing is an empty one.
        keys: What is looked for.

    Raises:
        DataError: The file cannot be read.
    """
    found: dict[str, Answer] = {}
    if not keys:
        return found
    try:
        with path.open("rb") as handle:
            for line in handle:
                key = key_of(line)
                if key in keys and key not in found:
                    answer = read_line(line)
                    if answer is not None:
                        found[key] = answer
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise unusable(path, error, "read") from error
    return found


def key_of(line: bytes) -> str:
    """Return the key of a line without parsing it, as most lines of a large cache belong to other runs.

    Empty if the line does not begin as ours do.
    """
    match = _KEY.match(line)
    return match[1].decode() if match else ""


def read_line(line: bytes) -> Answer | None:
    """Return the answer of a line; None if it is malformed."""
    try:
        record = json.loads(line)
        return read_item({"label": record["label"], "statements": record["statements"]})
    except (ValueError, KeyError, TypeError, RecursionError, LlmError):
        return None


class CacheWriter:
    """Appends answers to a cache. Several processes may do so at once.

    Each answer is one `write` to a file opened for appending, so lines of two processes do not mix on a local
    disk. A last line that was torn by a crash is closed first.

    Args:
        path: The cache; made with its folder, readable by its owner alone, where it is missing.
        model: Name of the model, for whoever reads the file.

    Raises:
        DataError: The file cannot be opened for writing.
    """

    def __init__(self, path: Path, model: str) -> None:
        self.path = path
        self.model = model
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise unusable(path, error, "written") from error
        size = os.fstat(self._file).st_size
        if size:
            os.lseek(self._file, size - 1, os.SEEK_SET)
            if os.read(self._file, 1) != b"\n":
                self._write(b"\n")

    def add(self, key: str, answer: Answer) -> None:
        """Append one answer.

        Raises:
            DataError: The disk refuses.
        """
        record = {
            "key": key,
            "model": self.model,
            "prompt": PROMPT_VERSION,
            "label": answer.label,
            "statements": [{"statement": s.prompt, "label": s.label} for s in answer.statements],
        }
        self._write(json.dumps(record).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise unusable(self.path, error, "written") from error
        if written != len(line):
            raise DataError(f"{self.path}: the disk is full.", "Free some space; the same command resumes.")

    def __enter__(self) -> "CacheWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)


def unusable(path: Path, error: OSError, what: str) -> DataError:
    """Say that a cache cannot be read or written."""
    return DataError(
        f"{path}: the cache cannot be {what} ({error.strerror or error}).",
        "Choose another file with cache under [llm], or with --cache.",
    )

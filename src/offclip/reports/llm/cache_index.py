"""Where in a cache each answer stands, so that a run in many parts reads the file once, not once a part."""

from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from offclip.reports.llm.answer import Answer
from offclip.reports.llm.cache import key_of, read_cache, read_line, unusable


class CacheIndex:
    """Finds answers in a cache that grows meanwhile, by this process or another.

    Args:
        path: The cache; a file that is missing is an empty one.

    Example:
        >>> CacheIndex(Path("/nonexistent/cache.jsonl")).find(["0" * 64])
        {}
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[bytes, int] = {}
        self._end = 0

    def find(self, keys: Collection[str]) -> dict[str, Answer]:
        """Return the answers to these keys; see `read_cache`.

        Raises:
            DataError: The file cannot be read.
        """
        found: dict[str, Answer] = {}
        doubtful: set[str] = set()
        try:
            with self.path.open("rb") as handle:
                self._read_on(handle.seek(0, 2), handle)
                for key in keys:
                    place = self._places.get(bytes.fromhex(key))
                    if place is None:
                        continue
                    handle.seek(place)
                    line = handle.readline()
                    answer = read_line(line) if key_of(line) == key else None
                    if answer is None:
                        doubtful.add(key)
                    else:
                        found[key] = answer
        except FileNotFoundError:
            self._places, self._end = {}, 0
            return {}
        except OSError as error:
            raise unusable(self.path, error, "read") from error
        # A malformed line, behind which a good one may stand; or the file was exchanged. Both are rare.
        return found | read_cache(self.path, doubtful)

    def _read_on(self, size: int, handle: BinaryIO) -> None:
        """Take in what was appended since the last time; a line that is not whole yet waits for the next."""
        if size < self._end:
            self._places, self._end = {}, 0
        handle.seek(self._end)
        for line in handle:
            if not line.endswith(b"\n"):
                break
            key = key_of(line)
            if key:
                self._places.setdefault(bytes.fromhex(key), self._end)
            self._end += len(line)

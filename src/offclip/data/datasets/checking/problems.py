"""What is wrong with a set: single problems, and a file that holds any number of them."""

from __future__ import annotations

import csv
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from offclip.data.datasets.preparation.collection import Kind


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: One of `Kind`.
        id: Image, study or patient.
        where: File and row, or the file.
        what: In words.
    """

    kind: str
    id: str
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class ProblemGroup:
    """All problems of a kind.

    Attributes:
        kind: One of `Kind`.
        number: How many there are.
        first: The first.
    """

    kind: str
    number: int
    first: Problem


class ProblemFile:
    """Writes problems into a file and counts them; half a million missing images do not belong into memory.

    Use as a context.

    Args:
        path: The file to write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._groups: dict[str, tuple[int, Problem]] = {}
        self._file = path.open("w", encoding="utf-8", newline="", errors="backslashreplace")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(field.name for field in fields(Problem))

    def __enter__(self) -> ProblemFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the file; problems added later are lost."""
        self._file.close()

    def add(self, problem: Problem) -> None:
        """Writes a problem."""
        number, first = self._groups.get(problem.kind, (0, problem))
        self._groups[problem.kind] = (number + 1, first)
        self._writer.writerow(astuple(problem))

    def groups(self) -> tuple[ProblemGroup, ...]:
        """The problems so far, by kind."""
        order = [kind.value for kind in Kind]
        kinds = sorted(self._groups, key=order.index)
        return tuple(ProblemGroup(kind, *self._groups[kind]) for kind in kinds)

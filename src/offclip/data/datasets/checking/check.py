"""What is wrong with the tree of a public set: missing, doubled, unreadable, contradictory, leaked."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.catalogue import card_of, open_set
from offclip.data.datasets.checking.check_rules import (
    found_while_reading,
    leaks,
    people,
    unlisted,
    wrong_counts,
)
from offclip.data.datasets.checking.problems import Problem, ProblemFile, ProblemGroup
from offclip.data.datasets.preparation.collect import collect
from offclip.data.datasets.preparation.collection import Kind
from offclip.data.datasets.preparation.fingerprint import fingerprint
from offclip.data.datasets.preparation.published import Count, compare, count
from offclip.data.datasets.record import PublicSet
from offclip.data.files import atomic_path
from offclip.errors import DataError

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Attributes:
        name: Of the set.
        root: The folder that was looked at.
        listed: What the tables list, by name.
        on_disk: What of it is on disk.
        published: What the publishers state, with what is listed.
        problems: By kind; empty when all is well.
        opened: Images whose pixels were read.
        fingerprint: Hash of what is on disk, empty without a table.
        notes: What the user should know about the reading.
    """

    name: str
    root: Path
    listed: Mapping[str, int]
    on_disk: Mapping[str, int]
    published: tuple[Count, ...]
    problems: tuple[ProblemGroup, ...]
    opened: int
    fingerprint: str
    notes: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check(
    name: str,
    root: str | Path,
    *,
    option: str = "",
    pixels: bool = False,
    sample: int | None = None,
    workers: int | None = None,
    out: str | Path | None = None,
    on_progress: Progress | None = None,
) -> CheckReport:
    """Looks at the tree of a public set; changes nothing in it.

    Args:
        name: One of `offclip.data.datasets.catalogue.NAMES`.
        root: Folder of the publishers' tree.
        option: A variant named in the set's card.
        pixels: Read every image too: unreadable files, equal pixels, boxes outside of the image.
        sample: With `pixels`, read only so many images, spread evenly over the set.
        workers: Processes that read images; by default one a core.
        out: Folder for `check.json` and `problems.csv` with every problem.
        on_progress: Called with the stage, how much is done, and of how much, None where that is not known.

    Raises:
        OffclipError: There is no such set or option, or a file cannot be written. A missing table is a
            problem in the report.
    """
    root = Path(root).absolute()
    try:
        reader = open_set(name, root, option)
    except DataError as error:
        problem = Problem(Kind.TABLE.value, "", str(root), error.message)
        return _report_of_missing_table(card_of(name), root, problem, out)
    return check_set(
        reader,
        option=option,
        pixels=pixels,
        sample=sample,
        workers=workers,
        out=out,
        on_progress=on_progress,
    )


def check_set(
    reader: PublicSet,
    *,
    option: str = "",
    pixels: bool = False,
    sample: int | None = None,
    workers: int | None = None,
    out: str | Path | None = None,
    on_progress: Progress | None = None,
) -> CheckReport:
    """The same as `check` for a reader of your own."""
    tell = on_progress or (lambda stage, done, total: None)
    with (
        tempfile.TemporaryDirectory(prefix="offclip-check-") as work,
        collect(
            reader, Path(work, "set.sqlite"), on_progress=lambda done: tell("reading", done, None)
        ) as collection,
        ProblemFile(Path(work, "problems.csv")) as problems,
    ):
        listed, on_disk = count(collection, what="listed"), count(collection)
        published = compare(reader.card.published, listed)
        for problem in found_while_reading(collection):
            problems.add(problem)
        for problem in (*leaks(collection), *people(collection), *wrong_counts(published, option)):
            problems.add(problem)
        for problem in unlisted(collection, reader.root):
            problems.add(problem)
        opened = 0
        if pixels:
            from offclip.data.datasets.checking.check_pixels import check_pixels

            def tell_pixels(done: int, total: int) -> None:
                tell("reading images", done, total)

            for found in check_pixels(collection, Path(work), sample, workers, tell_pixels):
                if found is None:
                    opened += 1
                else:
                    problems.add(found)
        key = fingerprint(collection, reader.tables(), reader.root)
        report = CheckReport(
            reader.card.name, reader.root, listed, on_disk, published, problems.groups(), opened, key,
            collection.notes(),
        )  # fmt: skip
        if out is not None:
            problems.close()
            _write(report, problems.path, Path(out))
    return report


def _report_of_missing_table(card: Card, root: Path, problem: Problem, out: str | Path | None) -> CheckReport:
    group = ProblemGroup(problem.kind, 1, problem)
    report = CheckReport(card.name, root, {}, {}, (), (group,), 0, "", ())
    if out is not None:
        with tempfile.TemporaryDirectory(prefix="offclip-check-") as work:
            with ProblemFile(Path(work, "problems.csv")) as problems:
                problems.add(problem)
            _write(report, problems.path, Path(out))
    return report


def _write(report: CheckReport, problems: Path, out: Path) -> None:
    with atomic_path(out / "problems.csv") as temporary:
        temporary.write_bytes(problems.read_bytes())
    values = {
        "name": report.name,
        "clean": report.clean,
        "listed": dict(report.listed),
        "on_disk": dict(report.on_disk),
        "published": [{**asdict(entry), "difference": entry.difference} for entry in report.published],
        "problems": [
            {"kind": group.kind, "number": group.number, "first": asdict(group.first)}
            for group in report.problems
        ],
        "opened": report.opened,
        "fingerprint": report.fingerprint,
        "notes": list(report.notes),
    }
    with atomic_path(out / "check.json") as temporary:
        temporary.write_text(json.dumps(values, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")

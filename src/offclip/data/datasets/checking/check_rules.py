"""What can be seen to be wrong with a set without reading a pixel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from offclip.data.datasets.checking.problems import Problem
from offclip.data.datasets.preparation.collection import Collection, Kind
from offclip.data.datasets.preparation.on_disk import files_with_endings
from offclip.data.datasets.preparation.published import Count

OLDEST = 120


def found_while_reading(collection: Collection) -> Iterator[Problem]:
    """What the reading met: missing files, doubled ids, rows that contradict others."""
    query = "SELECT kind, id, source, row, reason FROM skipped ORDER BY number"
    for kind, name, source, row, reason in collection.rows(query):
        yield Problem(kind, name, f"{source} row {row}" if row else source, reason)


def leaks(collection: Collection) -> Iterator[Problem]:
    """Patients whose images are in several of the official splits, on disk or not."""
    query = (
        "SELECT patient_id, GROUP_CONCAT(split, ' and ') FROM "
        "(SELECT * FROM splits ORDER BY patient_id, split) "
        "GROUP BY patient_id HAVING COUNT(*) > 1"
    )
    for patient, splits in collection.rows(query):
        yield Problem(Kind.LEAK.value, patient, "", f"the patient is in {splits}")


def people(collection: Collection) -> Iterator[Problem]:
    """Patients of two sexes, studies of two ages, and ages that nobody has."""
    query = (
        "SELECT patient_id, GROUP_CONCAT(sex, ' and ') FROM (SELECT DISTINCT patient_id, sex FROM images "
        "JOIN studies ON studies.number = images.study WHERE sex != '' ORDER BY patient_id, sex) "
        "GROUP BY patient_id HAVING COUNT(*) > 1"
    )
    for patient, sexes in collection.rows(query):
        yield Problem(Kind.CONTRADICTION.value, patient, "", f"the patient's sex is {sexes}")
    query = (
        "SELECT study_id, MIN(age), MAX(age) FROM images JOIN studies ON studies.number = images.study "
        "WHERE age IS NOT NULL GROUP BY study_id HAVING MAX(age) - MIN(age) >= 1 ORDER BY study_id"
    )
    for study, youngest, oldest in collection.rows(query):
        what = f"images of the study have the ages {youngest:g} and {oldest:g}"
        yield Problem(Kind.CONTRADICTION.value, study, "", what)
    query = "SELECT image_id, source, row, age FROM images WHERE age < 0 OR age > ? ORDER BY number"
    for image_id, source, row, age in collection.rows(query, (OLDEST,)):
        yield Problem(Kind.CONTRADICTION.value, image_id, f"{source} row {row}", f"the age is {age:g} years")


def wrong_counts(published: tuple[Count, ...], option: str) -> Iterator[Problem]:
    """Counts that differ from what the publishers state; they count the whole set, not an option of it."""
    if option:
        return
    for entry in published:
        if entry.difference:
            what = f"{entry.published:,} published, {entry.found:,} listed"
            yield Problem(Kind.COUNT.value, entry.name, "", what)


def unlisted(collection: Collection, root: Path) -> Iterator[Problem]:
    """Files below the folder that holds all listed images, with endings as theirs, that no table lists."""
    everything = "SELECT path FROM images UNION ALL SELECT path FROM absent"
    top, endings, last = "", set(), ""
    for (path,) in collection.rows(everything):
        folder, name = os.path.split(path)
        endings.add(os.path.splitext(name)[1].lower())  # noqa: PTH122 - half a million of them
        if folder != last:
            top, last = os.path.commonpath([top, folder]) if top else folder, folder
    if not top or not Path(top).is_dir() or not Path(top).absolute().is_relative_to(root.absolute()):
        return
    listed = _ListedPaths(collection)
    for path in files_with_endings(Path(top), frozenset(endings)):
        if not listed.has(path):
            yield Problem(Kind.UNLISTED.value, path.stem, str(path), "no table lists the file")


class _ListedPaths:
    """Which files the tables list: hashes of the paths, as the paths themselves take ten times the room."""

    def __init__(self, collection: Collection) -> None:
        everything = "SELECT path FROM images UNION ALL SELECT path FROM absent"
        self._hashes = {hash(path) for (path,) in collection.rows(everything)}

    def has(self, path: Path) -> bool:
        return hash(str(path)) in self._hashes

"""The official tree of a public set becomes a folder that labelling, training and evaluation use as it is."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from offclip.data.datasets.card import Card
from offclip.data.datasets.catalogue import open_set
from offclip.data.datasets.preparation.collect import collect
from offclip.data.datasets.preparation.collection import Collection, Kind
from offclip.data.datasets.preparation.fingerprint import fingerprint
from offclip.data.datasets.preparation.label_rows import (
    FindingCount,
    write_all_skipped,
    write_boxes,
    write_labels,
)
from offclip.data.datasets.preparation.published import Count, compare, count
from offclip.data.datasets.preparation.report_labels import Batch, batches_without_reports, labelled_batches
from offclip.data.datasets.preparation.study_rows import StudyCounts, write_studies_of
from offclip.data.datasets.preparation.working_folder import working_folder
from offclip.data.datasets.record import PublicSet
from offclip.data.files import Skipped
from offclip.data.study import leak_error
from offclip.errors import ConfigError, DataError
from offclip.reports.config import LabellingConfig
from offclip.version import __version__

FILES = ("studies.parquet", "labels.csv", "boxes.csv", "skipped.csv", "dataset.json")
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class PrepareSummary:
    """What preparing a set came to.

    Attributes:
        name: Of the set.
        out: The folder that was written.
        counts: What was counted, by name.
        published: What the publishers state, with what was counted.
        findings: Counts of `normal` and of each finding over the images.
        labels: From split and label to the number of studies.
        sentences: Labelled sentences.
        missing: Images that the tables list and that are not on disk.
        skipped: Entries of skipped.csv.
        first_skipped: The first of them.
        fingerprint: Hash of all that the set says.
        notes: What the user should know about the reading.
        seconds: Duration.
    """

    name: str
    out: Path
    counts: Mapping[str, int]
    published: tuple[Count, ...]
    findings: tuple[FindingCount, ...]
    labels: Counter[tuple[str, str]]
    sentences: int
    missing: int
    skipped: int
    first_skipped: Skipped | None
    fingerprint: str
    notes: tuple[str, ...]
    seconds: float


def prepare(
    name: str,
    root: str | Path,
    out: str | Path,
    *,
    option: str = "",
    labelling: LabellingConfig | None = None,
    resplit: bool = False,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> PrepareSummary:
    """Reads a public set and writes a folder for labelling, training and evaluation.

    It holds `studies.parquet`, `labels.csv`, `boxes.csv`, `skipped.csv` and `dataset.json`. Nothing is
    downloaded. An image that is not on disk is left out and listed, so that a part of a set can be used. The
    files are made elsewhere and put into place together, `dataset.json` last. A script that calls this with
    several workers needs the usual `if __name__ == "__main__":`.

    Args:
        name: One of `offclip.data.datasets.catalogue.NAMES`.
        root: Folder of the publishers' tree.
        out: Folder to write.
        option: A variant named in the set's card.
        labelling: What labels the reports, where the set has some; the rules by default.
        resplit: Split by a hash of the patient, whatever the publishers say.
        workers: Processes that label reports; by default one a core.
        on_progress: Called with the stage, how much is done, and of how much, None where that is not known.

    Raises:
        OffclipError: There is no such set; a table is missing; a label is unknown; a patient is in two
            splits; no image is there; the disk is full.
    """
    return prepare_set(
        open_set(name, Path(root).absolute(), option),
        out,
        option=option,
        labelling=labelling,
        resplit=resplit,
        workers=workers,
        on_progress=on_progress,
    )


def prepare_set(
    reader: PublicSet,
    out: str | Path,
    *,
    option: str = "",
    labelling: LabellingConfig | None = None,
    resplit: bool = False,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> PrepareSummary:
    """The same as `prepare` for a reader of your own."""
    began, out, card = time.monotonic(), Path(out), reader.card
    tell = on_progress or (lambda stage, done, total: None)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is no folder.", "Give a folder; several files are written into it.")
    with (
        working_folder(out) as work,
        collect(
            reader,
            work / "set.sqlite",
            resplit=resplit,
            on_progress=lambda done: tell("reading", done, None),
        ) as collection,
    ):
        _check_usable(collection, reader)
        key = fingerprint(collection, reader.tables(), reader.root)
        findings = write_labels(collection, work / "labels.csv")
        write_boxes(collection, work / "boxes.csv")
        with _batches(collection, card, key, out, labelling, workers, tell) as batches:
            studies = write_studies_of(collection, batches, work / "studies.parquet", out)
            counts = count(collection)
            published = compare(card.published, counts)
            notes = (*collection.notes(), *_notes(collection, studies))
            missing = collection.number("SELECT COUNT(*) FROM absent")
            skipped, first = write_all_skipped(collection, studies.unlabelled, work / "skipped.csv")
            summary = PrepareSummary(
                card.name, out, counts, published, findings, studies.studies, studies.sentences, missing,
                skipped, first, key, notes, 0.0,
            )  # fmt: skip
            (work / "dataset.json").write_text(_description(summary, card, option, resplit), encoding="utf-8")
            _put_into_place(work, out)
    return replace(summary, seconds=time.monotonic() - began)


def _check_usable(collection: Collection, reader: PublicSet) -> None:
    leak = collection.leak()
    if leak:
        error = leak_error(reader.card.name, leak.patients, leak.patient, leak.splits)
        raise DataError(error.message, "Split anew by patient with --resplit.")
    if not collection.number("SELECT COUNT(*) FROM images"):
        missing = collection.number("SELECT COUNT(*) FROM absent")
        first = next(collection.skipped(), None)
        why = f" The first reason: {first.id}: {first.reason}." if first else ""
        raise DataError(
            f"{reader.root}: no image of {reader.card.name} is usable; {missing:,} are listed and not there."
            f"{why}",
            f"'offclip data list {reader.card.name}' shows where the files must lie.",
        )


@contextmanager
def _batches(
    collection: Collection,
    card: Card,
    key: str,
    out: Path,
    labelling: LabellingConfig | None,
    workers: int | None,
    tell: Progress,
) -> Iterator[Iterator[Batch]]:
    reports = collection.number("SELECT COUNT(*) FROM studies WHERE report != ''")
    if reports and card.language == "en":
        table, config = out / "studies.parquet", labelling or LabellingConfig()
        with labelled_batches(
            collection, key, table, config, workers, lambda done, total: tell("labelling", done, total)
        ) as batches:
            yield batches
    else:
        yield batches_without_reports(collection.number("SELECT COUNT(*) FROM studies"))


def _notes(collection: Collection, studies: StudyCounts) -> Iterator[str]:
    missing = collection.number("SELECT COUNT(*) FROM absent")
    if missing:
        yield f"{missing:,} listed image(s) are not on disk; they are left out."
    query = "SELECT COUNT(*) FROM skipped WHERE kind = ? AND reason LIKE 'kept%'"
    contradictory = collection.number(query, (Kind.CONTRADICTION.value,))
    if contradictory:
        yield f"{contradictory:,} image(s) are called normal and have a finding; `normal` is blank for them."
    if collection.devices:
        yield (
            f"{collection.devices:,} image(s) that the set calls normal show a device; for offclip a device "
            "is a finding, so they are not normal."
        )
    if studies.unlabelled:
        yield (
            f"{len(studies.unlabelled):,} report(s) gave no sentence; those studies have the label that "
            "their image labels give."
        )


def _description(summary: PrepareSummary, card: Card, option: str, resplit: bool) -> str:
    """The text of dataset.json; it is the same for the same input, so it holds no time and no path."""
    values = {
        "name": card.name,
        "title": card.title,
        "option": option,
        "resplit": resplit,
        "offclip": __version__,
        "fingerprint": summary.fingerprint,
        "counts": dict(sorted(summary.counts.items())),
        "published": [{**asdict(entry), "difference": entry.difference} for entry in summary.published],
        "published_source": card.published_source,
        "missing_images": summary.missing,
        "skipped": summary.skipped,
        "labels": [asdict(entry) for entry in summary.findings],
        "studies": [
            {"split": split, "label": label, "studies": number}
            for (split, label), number in sorted(summary.labels.items())
        ],
        "sentences": summary.sentences,
        "notes": list(summary.notes),
        "url": card.url,
        "access": card.access,
        "terms": card.terms,
        "citation": card.citation,
    }
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def _put_into_place(work: Path, out: Path) -> None:
    try:
        for name in FILES:
            with (work / name).open("rb") as file:
                os.fsync(file.fileno())
        (out / FILES[-1]).unlink(missing_ok=True)  # no description of other files while they are replaced
        for name in FILES:
            (work / name).replace(out / name)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror}).", "Check the folder.") from error

"""Reads the official tree of a set as a protocol wants it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from offclip.data.datasets.preparation.on_disk import FolderListings
from offclip.data.datasets.record import ImageRecord
from offclip.data.files import Skipped
from offclip.data.stream import ImageRef
from offclip.errors import ConfigError, DataError
from offclip.evaluation.protocols.exclusions import exclude
from offclip.evaluation.protocols.protocol import Protocol, Validation
from offclip.evaluation.protocols.truth.data import ProtocolData, fingerprint_of
from offclip.evaluation.protocols.truth.labelling import ClassLabels
from offclip.evaluation.protocols.truth.sources import Source, set_source, source_of
from offclip.grounding.pointing import Box

Progress = Callable[[str, int, int | None], None]
_TELL_EVERY = 1000
_NONE: Mapping[str, int | None] = {}


@dataclass(frozen=True, slots=True)
class _Film:
    record: ImageRecord
    split: str
    truth: np.ndarray
    normal: float
    boxes: list[Box]


def read_protocol_data(
    protocol: Protocol,
    root: str | Path,
    *,
    with_validation: bool = True,
    on_progress: Progress | None = None,
) -> ProtocolData:
    """Images of a protocol that are on disk, with their truth.

    Args:
        protocol: One that names a set.
        root: Folder of the publishers' tree.
        with_validation: Read the images for thresholds, too.
        on_progress: Called with the stage, how much is done, and of how much, None where that is not known.

    Returns:
        The test images in the order of the tables, then the validation images.

    Raises:
        ConfigError: The protocol names no set, or a label that the set does not have.
        DataError: A table is missing or unusable, or no image is left.
    """
    if not protocol.dataset:
        raise ConfigError(
            f"The protocol {protocol.name!r} names no set.", "Give scores and labels, or another protocol."
        )
    root = Path(root).absolute()
    reading = _Reading(protocol, on_progress or (lambda stage, done, total: None))
    validation = protocol.validation if with_validation else None
    same = validation and (validation.dataset, validation.option) == (protocol.dataset, protocol.option)
    parts = {protocol.split: "test"}
    if validation and same:
        parts[validation.split] = "validate"
    source = source_of(protocol, root)
    films = list(reading.films(source, parts))
    reading.notes += source.notes
    test = [film for film in films if film.split == "test"]
    if not test:
        raise _nothing_left(protocol, root, reading)
    others = [film for film in films if film.split == "validate"]
    if validation and not same:
        others = _other_set(protocol, root, reading)
    if validation:
        others = _held_out(others, validation, reading)
    if validation and not others:
        reading.notes.append(
            f"No image of the {validation.split} part of {validation.dataset}: there is no validation split."
        )
    return _assembled(protocol, [*test, *others], reading)


class _Reading:
    """Turns records into films, and lists what is left out."""

    def __init__(self, protocol: Protocol, tell: Progress) -> None:
        self.protocol, self.tell = protocol, tell
        self.skipped: list[Skipped] = []
        self.notes: list[str] = []
        self.missing: Path | None = None
        self._there = FolderListings().has
        self.tested: set[str] = set()

    def films(self, source: Source, parts: dict[str, str]) -> Iterator[_Film]:
        """The films of some parts of a set, by the publishers' names of the parts."""
        labels: ClassLabels | None = None
        seen: set[str] = set()
        stage = "reading labels"
        for done, record in enumerate(source.records, start=1):
            if done % _TELL_EVERY == 0:
                self.tell(stage, done, None)
            if isinstance(record, Skipped):
                self.skipped.append(record)
                continue
            split = parts.get(record.split) or parts.get("all")
            if split is None:
                continue
            if labels is None or labels.names != tuple(record.labels):
                labels = ClassLabels(self.protocol, tuple(record.labels), source.dataset)
            if split == "test":
                self.tested.add(record.patient_id)
            boxes = labels.boxes(record.boxes)
            if self.protocol.task == "grounding" and not boxes:
                continue  # nothing to point at: the film is no case of the protocol
            truth = labels.truth(record.labels)
            problem = self._problem(record, truth)
            if record.image_id in seen:
                problem = "doubled: the image stands in the tables before"
            if problem:
                self.skipped.append(Skipped(record.source, record.row, record.image_id, problem))
                continue
            seen.add(record.image_id)
            normal = labels.normal(record.labels, truth)
            yield _Film(replace(record, labels=_NONE, boxes=(), report=""), split, truth, normal, boxes)

    def _problem(self, record: ImageRecord, truth: np.ndarray) -> str:
        """Why a film is left out, or nothing."""
        if self.protocol.views == "frontal" and record.view == "lateral":
            return "a lateral film; the protocol takes frontal ones"
        if exclude(self.protocol, truth[None])[0]:
            return f"left out by the protocol ({', '.join(self.protocol.exclude)})"
        if not self._there(record.path):
            self.missing = self.missing or record.path
            return "the image file is not there"
        return ""


def _other_set(protocol: Protocol, root: Path, reading: _Reading) -> list[_Film]:
    """Validation films of another set, or of another reading of the same; none where it is not there."""
    validation = protocol.validation
    if validation is None:
        return []
    try:
        source = set_source(validation.dataset, validation.option, root)
    except DataError as error:
        reading.notes.append(f"No validation split: {error.message}")
        return []
    films = list(reading.films(source, {validation.split: "validate"}))
    reading.notes += [note for note in source.notes if note not in reading.notes]
    return films


def _held_out(films: list[_Film], validation: Validation, reading: _Reading) -> list[_Film]:
    """Films of patients who are not tested: whole patients in the order of a hash, until there are enough."""
    by_patient: dict[str, list[_Film]] = {}
    for film in films:
        by_patient.setdefault(film.record.patient_id, []).append(film)
    tested = sum(len(group) for patient, group in by_patient.items() if patient in reading.tested)
    if tested:
        reading.notes.append(
            f"{tested:,} image(s) of the {validation.split} part of {validation.dataset} are not used for "
            "thresholds: their patients are tested."
        )
    chosen: set[str] = set()
    count = 0
    for patient in sorted(by_patient.keys() - reading.tested, key=_order):
        if validation.images and count >= validation.images:
            break
        chosen.add(patient)
        count += len(by_patient[patient])
    return [film for patient, group in by_patient.items() if patient in chosen for film in group]


def _order(patient: str) -> bytes:
    return hashlib.sha256(f"validate:{patient}".encode()).digest()


def _assembled(protocol: Protocol, films: list[_Film], reading: _Reading) -> ProtocolData:
    records = [film.record for film in films]
    truth = np.array([film.truth for film in films]).reshape(len(films), len(protocol.classes))
    normal = np.array([film.normal for film in films])
    boxes = {film.record.image_id: film.boxes for film in films if film.boxes}
    rows = [
        (film.record.image_id, film.record.study_id, film.record.patient_id, film.split) for film in films
    ]
    names = [rule.name for rule in protocol.classes]
    return ProtocolData(
        images=tuple(ImageRef(record.image_id, record.path) for record in records),
        study_ids=tuple(record.study_id for record in records),
        patient_ids=tuple(record.patient_id for record in records),
        splits=tuple(film.split for film in films),
        truth=truth,
        normal=normal,
        attributes=_attributes(records),
        boxes=boxes,
        skipped=list(dict.fromkeys(reading.skipped)),  # a set that was read twice tells all of it twice
        fingerprint=fingerprint_of(names, rows, truth, normal, boxes),
        notes=tuple(dict.fromkeys(reading.notes)),
    )


def _attributes(records: list[ImageRecord]) -> dict[str, tuple[str | None, ...]]:
    values: dict[str, tuple[str | None, ...]] = {
        "view": tuple(None if record.view == "unknown" else record.view for record in records),
        "age": tuple(None if record.age_years is None else f"{record.age_years:g}" for record in records),
        "sex": tuple(record.sex or None for record in records),
    }
    return {name: column for name, column in values.items() if any(column)}


def _nothing_left(protocol: Protocol, root: Path, reading: _Reading) -> DataError:
    if reading.missing:
        return DataError(
            f"{root}: no image of {protocol.name} is there, such as {reading.missing}.",
            f"'offclip data list {protocol.dataset}' shows where the files must lie.",
        )
    first = f" The first reason: {reading.skipped[0].reason}." if reading.skipped else ""
    return DataError(
        f"{root}: {protocol.name} has no image in the {protocol.split!r} part of the set.{first}",
        f"'offclip data list {protocol.dataset}' shows the tables that are needed.",
    )

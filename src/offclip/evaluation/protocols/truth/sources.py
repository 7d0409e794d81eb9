"""Records of a set with the labels that a protocol's rule asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from offclip.data.datasets.catalogue import open_set
from offclip.data.datasets.record import ImageRecord
from offclip.data.files import Skipped
from offclip.evaluation.protocols.protocol import Protocol
from offclip.evaluation.protocols.truth.chexpert_5x200 import drawn_records, listed_records
from offclip.evaluation.protocols.truth.openi_terms import coded_records
from offclip.evaluation.protocols.truth.padchest_manual import manual_records

# Rules whose labels are no labels of the set, so that labels.toml does not know them.
_OWN_LABELS = ("openi-coded-terms",)


@dataclass(slots=True)
class Source:
    """One reading of a set.

    Attributes:
        records: Images, and rows that were left out; to be read once.
        dataset: Section of `labels.toml` that knows the labels; empty where none does.
        notes: Filled while the records are read.
    """

    records: Iterator[ImageRecord | Skipped]
    dataset: str
    notes: list[str] = field(default_factory=list)


def source_of(protocol: Protocol, root: Path) -> Source:
    """The images that a protocol is about, those of other parts of the set among them.

    Raises:
        DataError: A table that is needed is missing or unusable.
    """
    if protocol.labels == "chexpert-5x200-list":
        return Source(listed_records(root), protocol.dataset)
    source = set_source(protocol.dataset, protocol.option, root)
    if protocol.labels == "openi-coded-terms":
        source.records = coded_records(source.records, protocol.classes, root)
    elif protocol.labels == "padchest-manual":
        source.records = manual_records(source.records, root, source.notes)
    elif protocol.labels == "chexpert-5x200-drawn":
        source.records = drawn_records(source.records, root)
    if protocol.labels in _OWN_LABELS:
        source.dataset = ""
    return source


def set_source(dataset: str, option: str, root: Path) -> Source:
    """A set as its reader gives it."""
    reader = open_set(dataset, root, option)
    return Source(reader.read(), dataset, reader.notes)

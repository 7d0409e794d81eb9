"""Open-I by whole terms of the human coders, where the published evaluations look for substrings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from offclip.data.datasets.catalogue import open_set
from offclip.data.datasets.record import ImageRecord
from offclip.data.files import Skipped
from offclip.data.sources.openi import parsed_reports
from offclip.evaluation.protocols.protocol import ClassRule

# Terms that say that the coders did not look at findings.
_UNCODED = frozenset({"no indexing", "technical quality of image unsatisfactory"})


def coded_records(
    records: Iterable[ImageRecord | Skipped], classes: Sequence[ClassRule], root: Path
) -> Iterator[ImageRecord | Skipped]:
    """The same records, labelled by the terms of their reports.

    Args:
        records: Of the set's reader.
        classes: Their labels are looked for among the terms.
        root: Folder of the set.
    """
    wanted = tuple(dict.fromkeys(label for rule in classes for label in (*rule.labels, *rule.unless)))
    terms: dict[str, Sequence[str]] = {}
    for table in sorted({path.parent if path.suffix == ".xml" else path for path in _reports(root)}):
        for parsed in parsed_reports(table):
            if not isinstance(parsed, Skipped):
                terms.setdefault(parsed.report.study_id, parsed.report.mesh_major)
    for record in records:
        if isinstance(record, ImageRecord):
            record = replace(record, labels=term_labels(terms.get(record.study_id, ()), wanted))
        yield record


def term_labels(terms: Sequence[str], wanted: Sequence[str]) -> Mapping[str, int | None]:
    """Which labels stand among the terms of a report; None for all of them where it was not coded.

    A label matches a term that begins with its first part and has its other parts anywhere after it.

    Example:
        >>> term_labels(["Calcified Granuloma/lung/base", "Thickening/pleura/apex"],
        ...             ["Granuloma", "Calcified Granuloma", "Thickening/pleura"])
        {'Granuloma': 0, 'Calcified Granuloma': 1, 'Thickening/pleura': 1}
        >>> term_labels(["No Indexing"], ["Granuloma"])
        {'Granuloma': None}
    """
    parts = [_parts(term) for term in terms]
    if not any(" ".join(term[0].split()) not in _UNCODED for term in parts if term[0]):
        return dict.fromkeys(wanted)
    return {label: int(any(_matches(_parts(label), term) for term in parts)) for label in wanted}


def _parts(term: str) -> list[str]:
    return [" ".join(part.lower().split()) for part in term.split("/")]


def _matches(label: Sequence[str], term: Sequence[str]) -> bool:
    return label[0] == term[0] and set(label[1:]) <= set(term[1:])


def _reports(root: Path) -> Iterator[Path]:
    tables = open_set("openi", root).tables()
    yield from (path for path in tables if not path.name.startswith("indiana_projections"))

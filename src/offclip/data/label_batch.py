"""A batch of studies becomes a piece of the study table, and the numbers that the summary adds up."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from offclip.data.files import Skipped
from offclip.data.sources.found import FoundStudy
from offclip.errors import DataError
from offclip.reports import ReportLabel, ReportLabeller

FINDING = pa.struct([(name, pa.string()) for name in ("finding", "certainty", "side", "zone", "severity")])
IMAGE = pa.struct([(name, pa.string()) for name in ("image_id", "path", "view")])
SENTENCE = pa.struct(
    [
        *((name, pa.string()) for name in ("text", "label", "reason", "prompt", "section")),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("findings", pa.list_(FINDING)),
    ]
)
# The same as `offclip.data.study.STUDY_SCHEMA`, which is polars' own; a test compares them.
ARROW_SCHEMA = pa.schema(
    [
        ("study_id", pa.string()),
        ("patient_id", pa.string()),
        ("split", pa.string()),
        ("images", pa.list_(IMAGE)),
        ("report", pa.string()),
        ("sentences", pa.list_(SENTENCE)),
        ("label", pa.string()),
    ]
)
NO_SENTENCE = "the report has no sentence in findings or impression"
_UNDECIDED_LENGTH = 300


@dataclass
class BatchCounts:
    """What a batch, or all batches so far, came to.

    Attributes:
        studies: From split and label to the number of studies.
        sentences: Sentences in them.
        dropped: Sentences that filtering will leave out.
        undecided: How often a sentence was met that no rule decided.
        skipped: Studies that were left out with the reason.
    """

    studies: Counter[tuple[str, str]] = field(default_factory=Counter)
    sentences: int = 0
    dropped: int = 0
    undecided: Counter[str] = field(default_factory=Counter)
    skipped: list[Skipped] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As plain lists and numbers."""
        return {
            "studies": [[*key, n] for key, n in sorted(self.studies.items())],
            "sentences": self.sentences,
            "dropped": self.dropped,
            "undecided": sorted(self.undecided.items()),
            "skipped": [asdict(entry) for entry in self.skipped],
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> BatchCounts:
        """From what `to_json` made."""
        return cls(
            Counter({(split, label): n for split, label, n in values["studies"]}),
            values["sentences"],
            values["dropped"],
            Counter(dict(values["undecided"])),
            [Skipped(**entry) for entry in values["skipped"]],
        )


def label_batch(
    studies: Sequence[FoundStudy], labeller: ReportLabeller, folder: str = ""
) -> tuple[pa.Table, BatchCounts]:
    """Labels the reports of some studies.

    Args:
        studies: The studies.
        labeller: What labels the reports; it remembers sentences from batch to batch.
        folder: Paths of images inside this folder become relative to it; none by default.

    Returns:
        Rows of the study table, and the counts. A study without a sentence, or one whose report cannot be
        labelled, is left out and listed.
    """
    counts = BatchCounts()
    kept: list[FoundStudy] = []
    labels: list[ReportLabel] = []
    for study, label in zip(studies, labeller.many([s.report for s in studies]), strict=True):
        problem = label.message if isinstance(label, DataError) else "" if label.sentences else NO_SENTENCE
        if isinstance(label, DataError) or problem:
            counts.skipped.append(Skipped(study.source, study.row, study.study_id, problem))
            continue
        kept.append(study)
        labels.append(label)
        counts.studies[study.split, label.label] += 1
        counts.sentences += len(label.sentences)
        for sentence in label.sentences:
            counts.dropped += sentence.label != label.label
            if sentence.reason == "undecided":
                counts.undecided[" ".join(sentence.text[:_UNDECIDED_LENGTH].split())] += 1
    return _table(kept, labels, f"{folder}{os.sep}" if folder else ""), counts


def _table(studies: Sequence[FoundStudy], labels: Sequence[ReportLabel], inside: str) -> pa.Table:
    images = [image for study in studies for image in study.images]
    sentences = [sentence for label in labels for sentence in label.sentences]
    findings = [finding for sentence in sentences for finding in sentence.findings]

    def strings(values: Sequence[Any], name: str) -> pa.Array:
        return pa.array([getattr(value, name) for value in values], pa.string())

    def structs(kind: pa.StructType, *columns: pa.Array) -> pa.StructArray:
        return pa.StructArray.from_arrays(
            list(columns), fields=[kind.field(i) for i in range(kind.num_fields)]
        )

    image_column = structs(
        IMAGE,
        strings(images, "image_id"),
        pa.array([image.path.removeprefix(inside) for image in images], pa.string()),
        strings(images, "view"),
    )
    finding_column = structs(FINDING, *(strings(findings, FINDING.field(i).name) for i in range(5)))
    sentence_column = structs(
        SENTENCE,
        *(strings(sentences, name) for name in ("text", "label", "reason", "prompt", "section")),
        pa.array([sentence.start for sentence in sentences], pa.int64()),
        pa.array([sentence.end for sentence in sentences], pa.int64()),
        _lists((len(sentence.findings) for sentence in sentences), finding_column),
    )
    return pa.Table.from_arrays(
        [
            strings(studies, "study_id"),
            strings(studies, "patient_id"),
            strings(studies, "split"),
            _lists((len(study.images) for study in studies), image_column),
            strings(studies, "report"),
            _lists((len(label.sentences) for label in labels), sentence_column),
            strings(labels, "label"),
        ],
        schema=ARROW_SCHEMA,
    )


def _lists(lengths, values: pa.Array) -> pa.ListArray:
    offsets = [0]
    for length in lengths:
        offsets.append(offsets[-1] + length)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)

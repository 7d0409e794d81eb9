"""Writes the study table of a set, batch after batch."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from offclip.data.datasets.label_map import FilmLabels, study_label
from offclip.data.datasets.preparation.collection import Collection
from offclip.data.datasets.preparation.report_labels import Batch
from offclip.data.files import Skipped
from offclip.data.label_batch import ARROW_SCHEMA
from offclip.data.labelling import ROW_GROUP
from offclip.data.sources import FoundStudy
from offclip.data.staging import Staged

SCHEMA = ARROW_SCHEMA.append(pa.field("age_years", pa.float64())).append(pa.field("sex", pa.string()))


@dataclass(slots=True)
class StudyCounts:
    """What the studies came to.

    Attributes:
        studies: From split and label to the number of studies.
        sentences: Sentences in them.
        unlabelled: Studies whose reports gave no sentence, with the reason.
    """

    studies: Counter[tuple[str, str]] = field(default_factory=Counter)
    sentences: int = 0
    unlabelled: list[Skipped] = field(default_factory=list)


def write_studies_of(
    collection: Collection, batches: Iterable[Batch], path: Path, folder: Path
) -> StudyCounts:
    """Writes the study table.

    A study whose report could not be labelled keeps the report, without sentences, and has the label that its
    image labels give.

    Args:
        collection: The set.
        batches: The numbers of all studies in order, with the rows of those that have labelled sentences.
        path: The Parquet file to write.
        folder: Paths of images inside it become relative to it.
    """
    counts, held = StudyCounts(), []
    staged = Staged(collection.path)
    try:
        with (
            path.open("wb") as file,
            parquet.ParquetWriter(file, SCHEMA, compression="zstd", compression_level=1) as writer,
        ):
            for numbers, labelled, unlabelled in batches:
                studies = staged.batch(numbers.start, numbers.stop)
                with_report = {study.study_id for study in studies if study.report}
                counts.unlabelled += [
                    replace(entry, reason=f"kept without sentences: {entry.reason}")
                    for entry in unlabelled
                    if entry.id in with_report
                ]
                table = _rows(collection, numbers, studies, labelled, f"{folder.absolute()}/")
                counts.studies += Counter(
                    zip(*(table[c].to_pylist() for c in ("split", "label")), strict=True)
                )
                counts.sentences += sum(map(len, (chunk.flatten() for chunk in table["sentences"].chunks)))
                held.append(table)
                if sum(map(len, held)) >= ROW_GROUP:
                    writer.write_table(pa.concat_tables(held), 2 * ROW_GROUP)
                    held = []
            if held:
                writer.write_table(pa.concat_tables(held), 2 * ROW_GROUP)
    finally:
        staged.close()
    return counts


def _rows(
    collection: Collection, numbers: range, studies: list[FoundStudy], labelled: pa.Table | None, inside: str
) -> pa.Table:
    query = (
        "SELECT study, labels, contradiction, age, sex FROM images WHERE study >= ? AND study < ? "
        "ORDER BY study, number"
    )
    images = collection.rows(query, (numbers.start, numbers.stop))
    labels, ages, sexes = [], [], []
    for _, group in itertools.groupby(images, key=lambda row: row[0]):
        rows = list(group)
        labels.append(study_label(FilmLabels(code, problem) for _, code, problem, _, _ in rows))
        ages.append(next((row[3] for row in rows if row[3] is not None), None))
        sexes.append(next((row[4] for row in rows if row[4]), ""))
    table = _plain_rows(studies, labels, inside)
    if labelled is not None and len(labelled):
        # Rows with sentences take the places of those without.
        place = {study.study_id: number for number, study in enumerate(studies)}
        order = list(range(len(studies)))
        for row, study_id in enumerate(labelled["study_id"].to_pylist(), start=len(studies)):
            order[place[study_id]] = row
        table = pa.concat_tables([table, labelled]).take(order)
    return table.append_column(SCHEMA.field("age_years"), [pa.array(ages, pa.float64())]).append_column(
        SCHEMA.field("sex"), [pa.array(sexes, pa.string())]
    )


def _plain_rows(studies: list[FoundStudy], labels: list[str], inside: str) -> pa.Table:
    def shown(path: str) -> str:
        return path.removeprefix(inside)

    columns = {
        "study_id": [study.study_id for study in studies],
        "patient_id": [study.patient_id for study in studies],
        "split": [study.split for study in studies],
        "images": [
            [{"image_id": i.image_id, "path": shown(i.path), "view": i.view} for i in study.images]
            for study in studies
        ],
        "report": [study.report for study in studies],
        "sentences": [[] for _ in studies],
        "label": labels,
    }
    return pa.table(columns, schema=ARROW_SCHEMA)

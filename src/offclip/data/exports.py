"""A hospital's export of reports becomes the study table, in memory.

An export is one table with a row an image: `study_id`, `patient_id`, `image_path` and the text, either in
`report` or in `findings` and `impression`; `image_id`, `view` and `split` are optional. For archives that do
not fit into memory, and for other forms than tables, see `offclip.data.labelling`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa

from offclip.data.files import Skipped
from offclip.data.label_batch import label_batch
from offclip.data.sources.table import TableReports
from offclip.data.staging import Staged, stage
from offclip.data.study import STUDY_SCHEMA, check_studies
from offclip.errors import DataError
from offclip.reports import ReportLabeller

_BATCH = 500


@dataclass
class ExportedStudy:
    """One study of an export, before its report is labelled."""

    study_id: str
    patient_id: str
    split: str
    report: str
    first_row: int
    images: list[dict[str, str]] = field(default_factory=list)


def studies_from_export(
    path: str | Path, *, resplit: bool = False, on_progress: Callable[[int, int], None] | None = None
) -> tuple[pl.DataFrame, list[Skipped]]:
    """Reads an export, labels every report, and returns the study table.

    Args:
        path: The table; image paths in it are relative to its folder, or absolute.
        resplit: Ignore the column `split` and split by a hash of the patient id.
        on_progress: Called with (studies done, studies in all), now and then.

    Returns:
        The checked table with absolute image paths, and the rows that were left out with the reason.

    Raises:
        DataError: The table cannot be read, no usable row is left, or a patient is in two splits.
    """
    labeller = ReportLabeller()
    tables: list[pa.Table] = []
    with _staged(path, resplit=resplit) as staged:
        skipped = list(staged.skipped())
        for start in range(0, staged.studies, _BATCH):
            stop = min(start + _BATCH, staged.studies)
            table, counts = label_batch(staged.batch(start, stop), labeller)
            tables.append(table)
            skipped += counts.skipped
            if on_progress:
                on_progress(stop, staged.studies)
    if not any(map(len, tables)):
        reasons = f" The first reason: {skipped[0].reason}" if skipped else ""
        raise DataError(f"{path}: no usable row is left.{reasons}", "Mend the rows and run again.")
    studies = pl.DataFrame(pl.from_arrow(pa.concat_tables(tables)), schema=STUDY_SCHEMA)
    return check_studies(studies, str(path)), skipped


def read_export(path: str | Path, *, resplit: bool = False) -> tuple[list[ExportedStudy], list[Skipped]]:
    """Reads and checks the rows of an export; see `studies_from_export`.

    Raises:
        DataError: The table cannot be read, or a patient is in two splits.
    """
    with _staged(path, resplit=resplit) as staged:
        studies = [
            ExportedStudy(
                study.study_id,
                study.patient_id,
                study.split,
                study.report,
                study.row,
                [{"image_id": i.image_id, "path": i.path, "view": i.view} for i in study.images],
            )
            for study in staged.batch(0, staged.studies)
        ]
        return studies, list(staged.skipped())


@contextmanager
def _staged(path: str | Path, *, resplit: bool) -> Iterator[Staged]:
    with TemporaryDirectory(prefix="offclip-") as folder:
        file = Path(folder, "studies.sqlite")
        stage(TableReports(Path(path), resplit=resplit), file)
        with closing(Staged(file)) as staged:
            yield staged

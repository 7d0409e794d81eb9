"""What a labeller learns from: the sentences of an archive of reports, and sentences labelled by a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

from offclip.data.csv_table import read_table
from offclip.data.files import Skipped
from offclip.data.sources import TABLES, open_source
from offclip.data.sources.rows import TableRows
from offclip.errors import DataError
from offclip.reports import sentences_of
from offclip.reports.classifier import HandLabel
from offclip.reports.labels import Label

_TEXTS = ("findings", "impression")
_REMEDY = "Name it 'report', 'findings' and 'impression', or 'sentence'."


def read_sentences(path: str | Path) -> Iterator[str]:
    """Yield the sentences of findings and impression, repeats included, in the order of the source.

    Args:
        path: A CSV, TSV or Parquet table with `report`, `findings` and `impression`, or `sentence`; a study
            table; or a folder or archive of reports. Reports that are empty or not in English are left out.

    Raises:
        DataError: The source cannot be read or has no text.
    """
    path = Path(path)
    if _is_study_table(path):
        yield from _study_sentences(path)
    elif path.is_file() and path.name.lower().endswith(TABLES):
        yield from _table_sentences(path)
    else:
        for found in open_source(path).read():
            if not isinstance(found, Skipped):
                yield from report_sentences(found.report)


def report_sentences(report: str) -> list[str]:
    """Return the sentences of a report; none where it cannot be read.

    Example:
        >>> report_sentences("INDICATION: Cough. FINDINGS: Clear lungs. No effusion.")
        ['Clear lungs.', 'No effusion.']
    """
    try:
        return [sentence.text for sentence, _ in sentences_of(report)]
    except DataError:
        return []


def read_hand_labels(paths: Iterable[str | Path]) -> list[HandLabel]:
    """Read tables with the columns `sentence` and `label`.

    Args:
        paths: CSV, TSV or Parquet files.

    Returns:
        The labels, with file and row; what they say is checked where they are used.

    Raises:
        DataError: A file cannot be read, lacks a column, or a row lacks a value.
    """
    found = []
    for path in map(Path, paths):
        table = read_table(path, ("sentence", "label")).select("sentence", "label")
        for row, (sentence, label) in enumerate(table.iter_rows(), start=2):  # row 1 is the header
            for name, value in (("sentence", sentence), ("label", label)):
                if not value:
                    raise DataError(f"{path}: row {row} has no {name}.", "Fill it or leave the row out.")
            found.append(HandLabel(sentence, cast(Label, label.lower()), f"{path}: row {row}"))
    return found


def _table_sentences(path: Path) -> Iterator[str]:
    rows = TableRows(path)
    places = {name: rows.columns.index(name) for name in rows.columns if name}
    if "report" in places:
        read = ("report",)
    elif set(_TEXTS) & set(places):
        read = tuple(name for name in _TEXTS if name in places)
    elif "sentence" in places:
        read = ("sentence",)
    else:
        found = ", ".join(rows.columns)[:300]
        raise DataError(f"{path}: there is no text column (found: {found}).", _REMEDY)
    for row in rows:
        if row.problem:
            continue
        texts = [(name, row.values[places[name]]) for name in read if row.values[places[name]]]
        if not texts:
            continue
        if read == ("sentence",):
            yield texts[0][1]
        elif read == ("report",):
            yield from report_sentences(texts[0][1])
        else:
            yield from report_sentences("\n".join(f"{name.upper()}: {text}" for name, text in texts))


def _is_study_table(path: Path) -> bool:
    """Whether the file is Parquet with a column of lists of labelled sentences."""
    import pyarrow as pa
    from pyarrow import parquet

    if not path.is_file() or path.suffix.lower() not in (".parquet", ".pq"):
        return False
    try:
        schema = parquet.read_schema(path)
    except (pa.ArrowInvalid, OSError):
        return False  # the reader of tables says what is wrong
    if "sentences" not in schema.names:
        return False
    kind = schema.field("sentences").type
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _study_sentences(path: Path) -> Iterator[str]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with closing(parquet.ParquetFile(path)) as file:
            for batch in file.iter_batches(2_048, columns=["sentences"], use_threads=False):
                for sentences in batch.column(0).to_pylist():
                    for sentence in sentences or ():
                        yield sentence["text"]
    except (pa.ArrowInvalid, OSError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: not a study table ({(str(error).splitlines() or ['damaged'])[0]}).",
            "A study table is made by 'offclip label'.",
        ) from error

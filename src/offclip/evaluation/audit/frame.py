"""The different sentences of a study table, counted: the frame that a sample is drawn from.

The table is read in batches, and of a sentence only its hash, label, rule and count are kept, so that memory
grows with the number of different sentences, by some fifty bytes each, and not with the reports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from offclip.data.study import LABELS
from offclip.errors import DataError

_BATCH = 20_000
_COMPACT_AT = 200_000
_MAKE = "A study table is made by 'offclip label'."
_SHOWN = 4_000  # characters of a report on either side of a sentence
_EMPTY = pl.DataFrame(
    schema={
        "key": pl.UInt64,
        "label": pl.String,
        "rule": pl.String,
        "row": pl.Int64,
        "position": pl.Int64,
        "count": pl.Int64,
    }
)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A sentence where it first stands in the table.

    Attributes:
        text: The sentence on one line.
        reason: The labeller's.
        section: Section of the report, empty where the table does not say.
        before: The report's text before the sentence, at most some thousand characters.
        words: The sentence as the report has it; empty where the report does not have it.
        after: The report's text after the sentence.
    """

    text: str
    reason: str
    section: str
    before: str
    words: str
    after: str


def count_sentences(path: str | Path, seed: int) -> pl.DataFrame:
    """Count the different sentences of a study table.

    Sentences that differ in white space alone are one. Where a labeller split a sentence into several
    statements, the sentence has the label that pairs give: abnormal before normal before uncertain.

    Args:
        path: The study table.
        seed: Salt of the keys, so that their order is a random one that the seed fixes.

    Returns:
        One row a sentence, ordered by `key`: `key` (hash of text, label and reason), `label`, `rule` (the
        reason up to its colon), `row` and `position` of its first occurrence, `count`.

    Raises:
        DataError: The file is no study table or holds no sentence.
    """
    merged, parts, held = _EMPTY, [], 0
    for first_row, batch in _batches(path, ("sentences",)):
        parts.append(_counted(_sentences(batch, first_row, path), seed))
        held += len(parts[-1])
        if held > max(_COMPACT_AT, len(merged)):
            merged, parts, held = _merged([merged, *parts]), [], 0
    frame = _merged([merged, *parts])
    if frame.is_empty():
        raise DataError(f"{path} holds no sentence to judge.", "Check how the table was made.")
    return frame


def find_occurrences(path: str | Path, places: Mapping[int, tuple[int, int]]) -> dict[int, Occurrence]:
    """Fetch the text of sentences and of the reports around them.

    Args:
        path: The study table.
        places: Of each key the row of the study and the position of the sentence in it.
    """
    wanted: dict[int, list[tuple[int, int]]] = {}
    for key, (row, position) in places.items():
        wanted.setdefault(row, []).append((key, position))
    found: dict[int, Occurrence] = {}
    for first_row, batch in _batches(path, ("report", "sentences"), rows=wanted):
        for row in sorted(wanted):
            if not first_row <= row < first_row + len(batch):
                continue
            report, sentences = batch.row(row - first_row)
            for key, position in wanted[row]:
                found[key] = _occurrence(report or "", sentences, position)
    return found


def one_line(text: str) -> str:
    """Return a text with every run of white space as one blank."""
    return " ".join(text.split())


def _batches(
    path: str | Path, columns: Sequence[str], rows: Mapping[int, object] | None = None
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield (number of the first row, table), of the row groups that hold `rows` alone where given."""
    path = Path(path)
    if not path.is_file():
        raise DataError(
            f"{path}: no such file.", "Make it with 'offclip label reports.csv --out studies.parquet'."
        )
    try:
        file = pq.ParquetFile(path)
        missing = [column for column in columns if column not in file.schema_arrow.names]
        if missing:
            raise DataError(f"{path} has no column {missing[0]!r}.", _MAKE)
        first_row = 0
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if rows is not None and not any(first_row <= row < first_row + size for row in rows):
                first_row += size
                continue
            for batch in file.iter_batches(_BATCH, row_groups=[group], columns=list(columns)):
                table = pl.from_arrow(pa.Table.from_batches([batch]))
                if isinstance(table, pl.DataFrame):
                    yield first_row, table.select(columns)
                first_row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: not a readable Parquet file ({first_line}).", "Make it again.") from error


def _sentences(batch: pl.DataFrame, first_row: int, path: str | Path) -> pl.DataFrame:
    """One row a sentence: row, position, text, label, reason."""
    kind = batch.schema["sentences"]
    fields = kind.inner.to_schema() if isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct) else {}
    for name in ("text", "label", "reason"):
        if fields.get(name) != pl.String:
            raise DataError(f"{path}: the column 'sentences' has no text {name!r}.", _MAKE)
    part = pl.col("sentences").struct
    place = part.field("start") if "start" in fields else pl.lit(None, pl.Int64)
    table = (
        batch.with_row_index("row", first_row)
        .select(pl.col("row").cast(pl.Int64), "sentences")
        .filter(pl.col("sentences").list.len() > 0)
        .with_columns(position=pl.int_ranges(pl.col("sentences").list.len()))
        .explode("sentences", "position")
        .select(
            "row",
            "position",
            *(part.field(name).alias(name) for name in ("text", "label", "reason")),
            # Without offsets every sentence stands in a place of its own.
            place.fill_null(-1 - pl.col("position")).alias("place"),
        )
        .with_columns(pl.col("reason").fill_null(""))
    )
    empty = table.filter(pl.col("text").is_null() | (pl.col("text").str.strip_chars() == ""))
    if len(empty):
        raise DataError(f"{path}: row {empty['row'][0]} has a sentence without text.", _MAKE)
    unknown = table.filter(~pl.col("label").is_in(LABELS).fill_null(value=False))
    if len(unknown):
        raise DataError(f"{path}: unknown sentence label {unknown['label'][0]!r}.", _MAKE)
    return _one_row_a_sentence(table)


def _one_row_a_sentence(table: pl.DataFrame) -> pl.DataFrame:
    """Join the statements that were made of one sentence."""
    if not table.select("row", "place").is_duplicated().any():
        return table
    rank = pl.col("label").replace_strict({"abnormal": 0, "normal": 1, "uncertain": 2}, return_dtype=pl.Int8)
    return (
        table.with_columns(rank=rank)
        .sort("row", "place", "rank", "position")
        .group_by("row", "place", "text", maintain_order=True)
        .agg(pl.col("label", "reason", "position").first())
    )


def _counted(table: pl.DataFrame, seed: int) -> pl.DataFrame:
    unique = (
        table.sort("row", "position")
        .group_by("text", "label", "reason")
        .agg(pl.len().cast(pl.Int64).alias("count"), pl.col("row", "position").first())
    )
    salt = str(seed).encode()
    keys = [_key(*row, salt=salt) for row in unique.select("text", "label", "reason").iter_rows()]
    return unique.select(
        pl.Series("key", keys, pl.UInt64),
        "label",
        pl.col("reason").str.split(":").list.first().alias("rule"),
        "row",
        "position",
        "count",
    )


def _key(text: str, label: str, reason: str, *, salt: bytes) -> int:
    words = "\0".join((one_line(text), label, reason)).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(words, digest_size=8, key=salt).digest(), "big")


def _merged(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return (
        pl.concat(parts)
        .sort("key", "row", "position")
        .group_by("key", "label", "rule", maintain_order=True)
        .agg(pl.col("row", "position").first(), pl.col("count").sum())
    )


def _occurrence(report: str, sentences: list[dict], position: int) -> Occurrence:
    sentence = sentences[position]
    text, start = sentence["text"], sentence.get("start")
    if start is None or report[start : start + len(text)] != text:
        start = report.find(text)  # a table without offsets
    shown = one_line(text), sentence["reason"] or "", sentence.get("section") or ""
    if start < 0:
        return Occurrence(*shown, before=report[: 2 * _SHOWN], words="", after="")
    end = start + len(text)
    before, after = report[max(0, start - _SHOWN) : start], report[end : end + _SHOWN]
    return Occurrence(
        *shown,
        before=("…" if start > _SHOWN else "") + before,
        words=text,
        after=after + ("…" if len(report) > end + _SHOWN else ""),
    )

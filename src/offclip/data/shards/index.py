"""The index: a Parquet file a shard, a row a sample, with where the image lies and all that is known of it.

The files of the folder are one data set: `polars.read_parquet("shards/index/*.parquet")` reads them all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from offclip.data.files import Skipped, atomic_path
from offclip.data.label_batch import SENTENCE
from offclip.errors import DataError

PRESENT = pa.struct([("finding", pa.string()), ("present", pa.int8())])
INDEX_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("key", "shard", "member")),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("sha256", pa.string()),
        *((name, pa.int32()) for name in ("height", "width", "original_height", "original_width")),
        *((name, pa.string()) for name in ("image_id", "study_id", "patient_id", "split", "view", "label")),
        ("caption", pa.string()),
        ("report", pa.string()),
        ("sentences", pa.list_(SENTENCE)),
        ("findings", pa.list_(PRESENT)),
    ]
)
_META = b"offclip.shard"


@dataclass(frozen=True, slots=True)
class Piece:
    """A finished shard.

    Attributes:
        shard: Name of the tar file.
        split: What split it belongs to.
        stop: How many samples of the split were looked at up to its end, unreadable ones included.
        samples: Samples in it.
        bytes: Size of the tar file.
        sha256: Of the tar file.
        skipped: Images that were left out on the way.
        key: Fingerprint of the run that wrote it.
    """

    shard: str
    split: str
    stop: int
    samples: int
    bytes: int
    sha256: str
    skipped: tuple[Skipped, ...]
    key: str


def write_piece(path: Path, piece: Piece, rows: Sequence[dict[str, Any]]) -> None:
    """Writes the rows of a finished shard; that the file is there says that the shard is finished."""
    meta = json.dumps(asdict(piece)).encode()
    table = pa.Table.from_pylist(list(rows), INDEX_SCHEMA.with_metadata({_META: meta}))
    with atomic_path(path) as temporary:
        parquet.write_table(table, temporary, compression="zstd")


def read_piece(path: Path) -> Piece:
    """What is known of a finished shard.

    Raises:
        DataError: The file is damaged.
    """
    try:
        metadata = parquet.read_schema(path).metadata or {}
        values = json.loads(metadata[_META])
        return Piece(**values | {"skipped": tuple(Skipped(**entry) for entry in values["skipped"])})
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not the index of a shard ({error}).", "Remove it.") from error


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a piece, some columns, in order.

    Raises:
        DataError: The file is missing or damaged.
    """
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=list(columns)):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not the index of a shard ({error}).", "Make the shards again.") from error

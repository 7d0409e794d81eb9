"""Reading a user's CSV or Parquet table as strings, so that no id loses its leading zeros."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from offclip.errors import DataError

EMPTY = ("", "nan", "na", "n/a", "null", "none")


def read_table(path: str | Path, required: Sequence[str]) -> pl.DataFrame:
    """Reads a table with every value as a stripped string; blanks and the words for "nothing" become null.

    Args:
        path: A `.csv`, `.tsv` or `.parquet` file.
        required: Columns that must be there.

    Raises:
        DataError: The file is missing, empty, unreadable or lacks a column.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file.", "Check the path.")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty (0 bytes).", "Export it again.")
    try:
        if path.suffix != ".parquet" and _is_binary(path):
            raise DataError(f"{path}: not a text file.", "Save it as UTF-8 CSV with a header.")
        if path.suffix == ".parquet":
            table = pl.read_parquet(path).cast(pl.String)
        else:
            separator = "\t" if path.suffix == ".tsv" else ","
            table = pl.read_csv(path, separator=separator, infer_schema=False)
        table.columns = [column.strip() for column in table.columns]
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path}: not a readable table ({first_line}).", "Save it as UTF-8 CSV with a header."
        ) from error
    missing = [column for column in required if column not in table.columns]
    if missing:
        raise DataError(
            f"{path}: column {missing[0]!r} is missing (found: {', '.join(table.columns)[:300]}).",
            f"The columns needed are: {', '.join(required)}.",
        )
    stripped = pl.all().str.strip_chars()
    return table.with_columns(stripped).with_columns(
        pl.when(pl.all().str.to_lowercase().is_in(EMPTY)).then(None).otherwise(pl.all()).name.keep()
    )


def _is_binary(path: Path) -> bool:
    """Whether the file begins like an image, a spreadsheet or UTF-16 text, all of which hold zero bytes."""
    with path.open("rb") as handle:
        return b"\0" in handle.read(4096)

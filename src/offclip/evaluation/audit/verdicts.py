"""Reading back what a person judged, and refusing what does not belong to the sample.

A file of verdicts, CSV or JSON, is what the page exports. It holds ids, verdicts and comments, and no report
text.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import polars as pl

from offclip.errors import DataError
from offclip.evaluation.audit.sampling import Design, Sample, parse_token
from offclip.reports.labels import Label

COLUMNS = ("sample", "reader", "id", "verdict", "comment")
FORMAT = "offclip-audit-verdicts"
_VERDICTS: tuple[Label, ...] = get_args(Label)
_EXPORT = "Export the verdicts again from the page."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person said of one sentence.

    Attributes:
        id: Of the sentence in the sample.
        label: The person's.
        comment: Free text, may be empty.
        row: Where it stands in the file; the header of a CSV file is row 1.
    """

    id: str
    label: Label
    comment: str
    row: int


@dataclass(frozen=True, slots=True)
class VerdictFile:
    """A checked file of verdicts.

    Attributes:
        path: The file.
        reader: Who judged, as typed on the page; may be empty.
        design: How the sample was drawn.
        sha256: Hash of the sample.
        verdicts: By id; sentences not judged are absent.
    """

    path: Path
    reader: str
    design: Design
    sha256: str
    verdicts: Mapping[str, Verdict]

    def check_sample(self, sample: Sample, table: str | Path) -> None:
        """Refuse verdicts on another sample.

        Args:
            sample: Drawn from the table by `design`.
            table: What to call the table in messages.

        Raises:
            DataError: The sample is another one, or an id is not in it.
        """
        if self.sha256 != sample.sha256:
            raise DataError(
                f"{self.path} judges sample {self.sha256[:12]}, but {table} gives {sample.sha256[:12]}: "
                "the table is another one or was labelled anew.",
                "Give the table that the page was made from, or make a new page.",
            )
        known = {item.id for item in sample.items}
        for verdict in self.verdicts.values():
            if verdict.id not in known:
                raise DataError(f"{self.path}: row {verdict.row}: unknown id {verdict.id!r}.", _EXPORT)


def read_verdicts(path: str | Path) -> VerdictFile:
    """Read and check a file of verdicts.

    Args:
        path: A `.csv` or `.json` file that the page exported.

    Raises:
        DataError: The file cannot be read, mixes samples or readers, doubles an id, or has an unknown
            verdict; the message names file and row.
    """
    path = Path(path)
    verdicts: dict[str, Verdict] = {}
    token = reader = None
    for row, record in _records(path):
        where = f"{path}: row {row}"
        if token is None:
            token, reader = record["sample"], record["reader"]
        if record["sample"] != token:
            raise DataError(f"{where} belongs to another sample than the first.", _EXPORT)
        if record["reader"] != reader:
            raise DataError(f"{where} is by another reader than the first.", "Keep one file per reader.")
        if not record["verdict"]:
            continue
        label: Label | None = next((name for name in _VERDICTS if name == record["verdict"].lower()), None)
        if label is None:
            raise DataError(
                f"{where}: unknown verdict {record['verdict'][:40]!r}.", f"Known: {', '.join(_VERDICTS)}."
            )
        if not record["id"]:
            raise DataError(f"{where} has no id.", _EXPORT)
        if record["id"] in verdicts:
            first = verdicts[record["id"]].row
            raise DataError(
                f"{where}: id {record['id']!r} stands in the file twice (first in row {first}).",
                "Keep one verdict per sentence.",
            )
        verdicts[record["id"]] = Verdict(record["id"], label, record["comment"], row)
    parsed = parse_token(token or "")
    if not verdicts or parsed is None:
        what = "holds no verdict" if not verdicts else "does not say which sample it judges"
        raise DataError(f"{path} {what}.", _EXPORT)
    return VerdictFile(path, reader or "", *parsed, verdicts)


def hand_labels(sample: Sample, files: Sequence[VerdictFile], *, disagreements: bool = False) -> pl.DataFrame:
    """Return the verdicts as hand labels, for `offclip labeller fit --labels`.

    Args:
        sample: The sample.
        files: One or more readers; sentences on which they differ, or that one left out, are not in the
            table.
        disagreements: Only the sentences on which the labeller was corrected.

    Returns:
        Columns `sentence`, `label` (the reader's), `labeller`, `reason`, `comment`.
    """
    rows = []
    for item in sample.items:
        given = [file.verdicts[item.id] for file in files if item.id in file.verdicts]
        if len(given) < len(files) or len({verdict.label for verdict in given}) != 1:
            continue
        label = given[0].label
        if not disagreements or label != item.label:
            comment = "; ".join(verdict.comment for verdict in given if verdict.comment)
            rows.append((item.seen.text, label, item.label, item.reason, comment))
    names = ("sentence", "label", "labeller", "reason", "comment")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def _records(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (row, record) with every column as a stripped string."""
    if not path.is_file():
        raise DataError(f"{path}: no such file.", "Check the path.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if "\0" in text:
            raise DataError(f"{path}: not a text file.", _EXPORT)
        rows = _json_rows(path, text) if path.suffix.lower() == ".json" else _csv_rows(path, text)
        for number, row in rows:
            yield number, {name: str(row.get(name) or "").strip() for name in COLUMNS}
    except (OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path}: not a readable file of verdicts ({error}).", _EXPORT) from error


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    first_line = text.partition("\n")[0]
    # A spreadsheet of many languages saves semicolons.
    separator = ";" if first_line.count(";") > first_line.count(",") else ","
    reader = csv.DictReader(text.splitlines(keepends=True), delimiter=separator, strict=True)
    for name in ("sample", "id", "verdict"):
        if name not in (reader.fieldnames or ()):
            raise DataError(f"{path}: column {name!r} is missing.", f"The columns are: {', '.join(COLUMNS)}.")
    yield from enumerate(reader, start=2)


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{path} is no file of verdicts.", _EXPORT)
    shared = {"sample": content.get("sample"), "reader": content.get("reader")}
    rows = content.get("verdicts")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: 'verdicts' must be a list of objects.", _EXPORT)
    yield from enumerate(({**row, **shared} for row in rows), start=1)

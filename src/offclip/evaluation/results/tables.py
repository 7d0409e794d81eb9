"""The tables of one evaluation: from results.json to Parquet, CSV, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from offclip.data.files import atomic_path, write_csv
from offclip.evaluation.results.headline import normal_scores_table, rule_out_table, subgroup_table
from offclip.evaluation.results.markup import latex, markdown
from offclip.evaluation.results.open_blocks import block_table, class_table
from offclip.evaluation.results.per_class import group_table, per_class_table
from offclip.evaluation.results.reading import at, block, text
from offclip.evaluation.results.summary import summary_table
from offclip.evaluation.results.table import ResultTable

NAMES = (
    "summary",
    "per_class",
    "normal_scores",
    "rule_out",
    "subgroups",
    "groups",
    "negation",
    "negation_per_class",
    "grounding",
    "grounding_per_class",
    "extras",
)
_SUFFIXES = ("parquet", "csv", "md", "tex")


def tables_of(results: Mapping[str, Any]) -> list[ResultTable]:
    """The tables that an evaluation has something for; a block that is missing makes no table.

    Args:
        results: The content of `results.json`.

    Example:
        >>> tables = tables_of({"macro_auc": {"value": 0.8, "low": 0.7, "high": 0.9, "classes": 14}})
        >>> [table.name for table in tables], tables[0].frame["measure"].to_list()
        (['summary'], ['macro_auc'])
    """
    made = [
        summary_table(results),
        per_class_table(results),
        normal_scores_table(results),
        rule_out_table(results),
        subgroup_table(results),
        group_table(results),
        block_table(results, "negation", "Negation: pairs of a finding and its denial."),
        class_table(results, "negation", "Negation per class."),
        block_table(results, "grounding", "Grounding: heat maps against boxes and masks."),
        class_table(results, "grounding", "Grounding per class."),
        block_table(results, "extras", "Further measures of the protocol."),
    ]
    return [table for table in made if table is not None and not table.frame.is_empty()]


def write_tables(results: Mapping[str, Any], folder: str | Path) -> list[Path]:
    """Writes every table of an evaluation in four formats.

    Tables of an earlier evaluation in the same folder that this one does not have are removed.

    Args:
        results: The content of `results.json`.
        folder: Where to, such as `OUT/tables`; made if missing.

    Returns:
        The files, in order.

    Raises:
        DataError: The disk is full, or a file cannot be written.
    """
    folder = Path(folder)
    tables = tables_of(results)
    told = caption(results)
    stamp = {"protocol": at(results, "protocol", "name"), "protocol_hash": at(results, "protocol", "hash")}
    written = [path for table in tables for path in write_table(table, folder, told, stamp)]
    for name in set(NAMES) - {table.name for table in tables}:
        for suffix in _SUFFIXES:
            with suppress(FileNotFoundError):
                (folder / f"{name}.{suffix}").unlink()
    return written


def write_table(
    table: ResultTable, folder: Path, told: str, stamp: Mapping[str, str | None] | None = None
) -> list[Path]:
    """Writes one table as Parquet, CSV, Markdown and LaTeX.

    Args:
        table: The table.
        folder: Where to.
        told: What the captions say of the run.
        stamp: Columns with one value each at the end of Parquet and CSV, so that tables of several runs can
            be stacked.

    Raises:
        DataError: The disk is full, or a file cannot be written.
    """
    columns = [pl.lit(value, dtype=pl.String).alias(name) for name, value in (stamp or {}).items()]
    frame = table.frame.with_columns(columns)
    paths = [folder / f"{table.name}.{suffix}" for suffix in _SUFFIXES]
    buffer = BytesIO()
    frame.write_parquet(buffer)
    with atomic_path(paths[0]) as temporary:
        temporary.write_bytes(buffer.getbuffer())
    write_csv(frame, paths[1])
    for path, content in zip(paths[2:], (markdown(table, told), latex(table, told)), strict=True):
        with atomic_path(path) as temporary:
            temporary.write_text(content, encoding="utf-8", newline="\n")
    return paths


def caption(results: Mapping[str, Any]) -> str:
    """What stands under every table: protocol and hash, what was measured, how the intervals were made.

    Example:
        >>> caption({"protocol": {"name": "open", "hash": "ab12"}, "run": {"unit": "image", "cases": 300}})
        'Protocol open (ab12). 300 images.'
    """
    protocol, run, interval = (block(results, name) for name in ("protocol", "run", "interval"))
    parts = []
    if text(protocol.get("name")):
        parts.append(f"Protocol {protocol['name']} ({protocol.get('hash') or 'no hash'}).")
    if run.get("cases") is not None:
        parts.append(f"{run['cases']:,} {'studies' if run.get('unit') == 'study' else 'images'}.")
    if text(interval.get("method")):
        level, resamples = interval.get("level"), interval.get("resamples")
        share = f"{100 * level:g} % intervals" if level else "Intervals"
        parts.append(f"{share}: {interval['method']}{f', {resamples:,} resamples' if resamples else ''}.")
    return " ".join(parts)

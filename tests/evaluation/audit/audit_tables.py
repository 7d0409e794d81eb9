"""Small study tables with made-up sentences, without images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from offclip.data.study import STUDY_SCHEMA

HOSTILE = "No </script><img src=x onerror=alert(1)> \u2028\u2029 \u202e& effusion \x00 \"';"
REASONS = {"normal": "negated:effusion", "abnormal": "asserted:effusion", "uncertain": "undecided"}


def study(number: int, sentences: Sequence[tuple[str, str]], **columns) -> dict:
    """A study whose report is its sentences, (text, label) each, one a line."""
    report, rows = "FINDINGS:", []
    for text, label in sentences:
        start = len(report) + 1
        report = f"{report}\n{text}"
        rows.append(
            {
                "text": text,
                "label": label,
                "reason": REASONS.get(label, ""),
                "prompt": "There is no finding.",
                "section": "findings",
                "start": start,
                "end": start + len(text),
                "findings": [],
            }
        )
    row = {
        "study_id": f"STUDY-{number}",
        "patient_id": f"PATIENT-{number}",
        "split": "train",
        "images": [],
        "report": report,
        "sentences": rows,
        "label": "normal",
    }
    return row | columns


def write_table(path: Path, studies: Sequence[dict], **options) -> Path:
    pl.DataFrame(list(studies), schema=STUDY_SCHEMA).write_parquet(path, **options)
    return path


def counted_table(path: Path, counts: Mapping[tuple[str, str], int]) -> Path:
    """A table that has each (text, label) so many times, one sentence a study."""
    rows = [pair for pair, n in counts.items() for _ in range(n)]
    return write_table(path, [study(i, [pair]) for i, pair in enumerate(rows)])

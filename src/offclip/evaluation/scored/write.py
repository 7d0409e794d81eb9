"""The scores of an evaluation as two tables, which come back as scores that were made anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from offclip.data.files import write_csv
from offclip.evaluation.cases import Cases
from offclip.evaluation.evaluated import Evaluated
from offclip.zeroshot.prompts import NORMAL_PROMPTS
from offclip.zeroshot.words import NORMAL_CLASS


def write_scored(evaluated: Evaluated, file: str | Path) -> Path:
    """Writes the scores, and beside them the labels as `NAME-labels.csv`, a row a case in both.

    Cases of the validation split are among them. Of normal scores those of the fixed normal prompts are
    written, by the prompt; of prompts of one's own the first, as `normal`.

    Args:
        evaluated: What was measured.
        file: CSV file of the scores.

    Returns:
        The file of the labels.

    Raises:
        DataError: The disk is full, or a file cannot be written.
    """
    file = Path(file)
    parts = [(evaluated.cases, evaluated.document["run"]["split"] or "test")]
    if evaluated.validation is not None:
        parts.append((evaluated.validation, "validate"))
    labels = file.with_name(f"{file.stem}-labels.csv")
    write_csv(pl.concat([_scores(cases) for cases, _ in parts]), file)
    write_csv(pl.concat([_labels(cases, split) for cases, split in parts], how="diagonal"), labels)
    return labels


def _scores(cases: Cases) -> pl.DataFrame:
    normal = {name: values for name, values in cases.normal_scores.items() if name in NORMAL_PROMPTS}
    if not normal and cases.normal_scores:
        normal = {NORMAL_CLASS: next(iter(cases.normal_scores.values()))}
    findings = dict(zip(cases.findings, cases.scores.T, strict=True))
    return pl.DataFrame({"image_id": cases.ids} | normal | findings)


def _labels(cases: Cases, split: str) -> pl.DataFrame:
    ids = {"image_id": cases.ids, "study_id": cases.study_ids, "patient_id": cases.patient_ids}
    truth = dict(zip(cases.findings, cases.truth.T, strict=True))
    known = {name: _blank_or_whole(values) for name, values in ({NORMAL_CLASS: cases.normal} | truth).items()}
    return pl.DataFrame(ids | {"split": [split] * len(cases)} | dict(cases.attributes) | known)


def _blank_or_whole(values: np.ndarray) -> pl.Series:
    return pl.Series(values).fill_nan(None).cast(pl.Int64)

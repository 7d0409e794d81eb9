"""Cases: what was scored, beside what is true, joined by id; one row an image or a study."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from offclip.data.files import atomic_path
from offclip.data.study import ATTRIBUTES
from offclip.errors import DataError, InputError

__all__ = ["ATTRIBUTES", "Cases", "normal_of"]

_FORMAT = "offclip cases 1"


@dataclass(frozen=True, slots=True)
class Cases:
    """N cases with scores and truth for C findings, and for being normal.

    Attributes:
        ids: N image ids; study ids once the views of a study are fused.
        study_ids: N; the image id where the study is not known.
        patient_ids: N; the study id where the patient is not known. Patients are the clusters of every
            bootstrap and the unit of every split.
        findings: C names of findings; the normal class is not among them.
        scores: (N, C) float64, higher where the finding is likelier; any scale.
        truth: (N, C) float64: 1 present, 0 absent, NaN unknown.
        normal: (N,) float64: 1 normal, 0 abnormal, NaN unknown.
        normal_scores: From the name of a normal score, such as the prompt that was asked, to (N,) float64,
            higher where normal is likelier; the first is the one that is reported. Empty when no normal
            prompt was asked: scores made of the findings do not stand here.
        attributes: From a name of `ATTRIBUTES` to N values as text, None where unknown.

    Example:
        >>> cases = Cases.of(["a", "b"], ["edema"], [[0.9], [0.1]], [[1], [0]])
        >>> cases.normal.tolist(), cases.patient_ids
        ([0.0, 1.0], ('a', 'b'))
    """

    ids: tuple[str, ...]
    study_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    findings: tuple[str, ...]
    scores: np.ndarray
    truth: np.ndarray
    normal: np.ndarray
    normal_scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    attributes: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, c = len(self.ids), len(self.findings)
        shapes = {
            "study_ids": (len(self.study_ids),) == (n,),
            "patient_ids": (len(self.patient_ids),) == (n,),
            "scores": self.scores.shape == (n, c),
            "truth": self.truth.shape == (n, c),
            "normal": self.normal.shape == (n,),
            "normal_scores": all(v.shape == (n,) for v in self.normal_scores.values()),
            "attributes": all(len(v) == n for v in self.attributes.values()),
        }
        wrong = [name for name, right in shapes.items() if not right]
        if wrong:
            raise InputError(
                f"{', '.join(wrong)} do not fit {n} cases and {c} findings.", "Give one row a case."
            )

    @classmethod
    def of(
        cls,
        ids: Sequence[str],
        findings: Sequence[str],
        scores: np.ndarray | Sequence[Sequence[float]],
        truth: np.ndarray | Sequence[Sequence[float]],
        *,
        normal: np.ndarray | Sequence[float] | None = None,
        study_ids: Sequence[str] | None = None,
        patient_ids: Sequence[str] | None = None,
        normal_scores: Mapping[str, np.ndarray] | None = None,
        attributes: Mapping[str, Sequence[str | None]] | None = None,
    ) -> Cases:
        """Cases from plain lists; without `normal`, a case is normal when every finding is known absent."""
        matrix = np.asarray(truth, np.float64)
        studies = tuple(study_ids or ids)
        return cls(
            tuple(ids),
            studies,
            tuple(patient_ids or studies),
            tuple(findings),
            np.asarray(scores, np.float64),
            matrix,
            normal_of(matrix) if normal is None else np.asarray(normal, np.float64),
            {name: np.asarray(values, np.float64) for name, values in (normal_scores or {}).items()},
            {name: tuple(values) for name, values in (attributes or {}).items()},
        )

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, rows: np.ndarray | Sequence[int]) -> Cases:
        """The given rows (integers, or a mask of N), in that order."""
        chosen = np.asarray(rows)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(int)
        pick = chosen.tolist()
        return Cases(
            tuple(self.ids[i] for i in pick),
            tuple(self.study_ids[i] for i in pick),
            tuple(self.patient_ids[i] for i in pick),
            self.findings,
            self.scores[chosen],
            self.truth[chosen],
            self.normal[chosen],
            {name: values[chosen] for name, values in self.normal_scores.items()},
            {name: tuple(values[i] for i in pick) for name, values in self.attributes.items()},
        )

    def with_normal_known(self) -> Cases:
        """The cases that are known to be normal or abnormal."""
        return self.select(~np.isnan(self.normal))

    def write(self, path: str | Path) -> None:
        """Writes the cases as one Parquet file.

        Raises:
            DataError: The disk is full, or the file cannot be written.
        """
        columns: dict[str, pl.Series | list] = {
            "id": list(self.ids),
            "study_id": list(self.study_ids),
            "patient_id": list(self.patient_ids),
            "normal": self.normal.tolist(),
        }
        columns |= {f"normal score: {name}": values.tolist() for name, values in self.normal_scores.items()}
        columns |= {f"attribute: {name}": list(values) for name, values in self.attributes.items()}
        columns |= {f"score: {name}": self.scores[:, i].tolist() for i, name in enumerate(self.findings)}
        columns |= {f"truth: {name}": self.truth[:, i].tolist() for i, name in enumerate(self.findings)}
        schema = {f"attribute: {name}": pl.String for name in self.attributes}
        table = pl.DataFrame(columns, schema_overrides=schema).to_arrow()
        about = {
            "format": _FORMAT,
            "findings": list(self.findings),
            "normal_scores": list(self.normal_scores),
            "attributes": list(self.attributes),
        }
        buffer = BytesIO()
        pq.write_table(table.replace_schema_metadata({"offclip": json.dumps(about)}), buffer)
        with atomic_path(path) as temporary:
            temporary.write_bytes(buffer.getbuffer())

    @classmethod
    def read(cls, path: str | Path) -> Cases:
        """Reads what `write` wrote.

        Raises:
            DataError: The file is missing or is something else.
        """
        path = Path(path)
        if not path.is_file():
            raise DataError(f"{path}: no such file.", "'offclip evaluate' writes it.")
        try:
            table = pq.read_table(path)
            about = json.loads((table.schema.metadata or {}).get(b"offclip", b"{}"))
            frame = pl.DataFrame(pl.from_arrow(table))
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            raise DataError(f"{path}: not readable ({error}).", "Evaluate again.") from error
        if about.get("format") != _FORMAT:
            raise DataError(f"{path}: no cases of an evaluation.", "'offclip evaluate' writes them.")

        def matrix(what: str) -> np.ndarray:
            names = [f"{what}: {name}" for name in about["findings"]]
            return frame.select(pl.col(names).cast(pl.Float64)).to_numpy().reshape(len(frame), len(names))

        return cls(
            tuple(frame["id"]),
            tuple(frame["study_id"]),
            tuple(frame["patient_id"]),
            tuple(about["findings"]),
            matrix("score"),
            matrix("truth"),
            frame["normal"].to_numpy(),
            {name: frame[f"normal score: {name}"].to_numpy() for name in about["normal_scores"]},
            {name: tuple(frame[f"attribute: {name}"]) for name in about["attributes"]},
        )


def normal_of(truth: np.ndarray) -> np.ndarray:
    """(N,) 1 where every finding is known to be absent, 0 where one is present, NaN elsewhere.

    Example:
        >>> normal_of(np.array([[0, 0], [1, np.nan], [0, np.nan]])).tolist()
        [1.0, 0.0, nan]
    """
    any_present = (truth == 1).any(axis=1)
    return np.where(any_present, 0.0, np.where(np.isnan(truth).any(axis=1), np.nan, 1.0))

"""A sample of a shard: an image with all that is known of its study."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from offclip.data.csv_table import read_table
from offclip.data.study import NOT_FINDINGS
from offclip.errors import DataError

Caption = Literal["kept", "report"]
_KEY_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Sample:
    """An image of a study, before its file is read.

    Attributes:
        key: Name of its members in the shard; no dot, because readers split names at the first.
        image_id, study_id, patient_id, split, view, label: As in the study table.
        path: The image file.
        caption: The text that a CLIP trainer pairs with the image.
        report: The report, empty without one.
        sentences: Of the report, as in the study table.
        findings: From finding to 1 (present), 0 (absent) or None (unknown), as in labels.csv.
    """

    key: str
    image_id: str
    study_id: str
    patient_id: str
    split: str
    view: str
    label: str
    path: Path
    caption: str
    report: str
    sentences: list[dict[str, Any]]
    findings: Mapping[str, int | None]

    def to_json(self) -> bytes:
        """What stands in the sample's `.json`."""
        names = ("image_id", "study_id", "patient_id", "split", "view", "label", "report", "sentences")
        values = {name: getattr(self, name) for name in names} | {"findings": dict(self.findings)}
        return json.dumps(values, ensure_ascii=False, sort_keys=True).encode()


def key_of(image_id: str) -> str:
    """The name of a sample: the image id where it can be one, else its letters and a hash.

    Example:
        >>> key_of("CXR1_1_IM-0001-3001"), key_of("1.2.840.113654")
        ('CXR1_1_IM-0001-3001', '1_2_840_113654-e89dfc11bbc1')
    """
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", image_id)
    if plain == image_id and len(plain) <= _KEY_LENGTH:
        return plain
    return f"{plain[:_KEY_LENGTH]}-{hashlib.sha256(image_id.encode()).hexdigest()[:12]}"


def read_findings(path: Path) -> dict[str, dict[str, int | None]]:
    """The findings of every image of a labels.csv, by image id.

    Raises:
        DataError: The table cannot be read, or a value is not 0, 1 or blank.
    """
    table = read_table(path, ("image_id",))
    names = [name for name in table.columns if name not in NOT_FINDINGS]
    values = table.select(pl.col(names).cast(pl.Float64, strict=False).cast(pl.Int8, strict=False))
    wrong = table.with_row_index("row", offset=2).filter(
        pl.any_horizontal(
            pl.col(name).is_not_null() & ~pl.col(name).cast(pl.Float64, strict=False).is_in([0.0, 1.0])
            for name in names
        ).fill_null(True)
        if names
        else False
    )
    if len(wrong):
        raise DataError(
            f"{path}: row {wrong['row'][0]} has a value that is not 0, 1 or blank.", "Mend the row."
        )
    return dict(zip(table["image_id"], values.iter_rows(named=True), strict=True))


def samples_of(
    studies: pl.DataFrame,
    split: str,
    findings: Mapping[str, Mapping[str, int | None]],
    *,
    caption: Caption = "kept",
    lateral: bool = True,
) -> Iterator[Sample]:
    """The images of a split, in the order of the table.

    Args:
        studies: A study table with absolute paths.
        split: `"train"`, `"validate"` or `"test"`.
        findings: By image id; may lack images.
        caption: `"kept"`: the sentences that filtering keeps; `"report"`: the whole report. A study without
            a report gets the prompts of its findings.
        lateral: Whether lateral films are taken.
    """
    for study in studies.filter(pl.col("split") == split).iter_rows(named=True):
        report, sentences = study["report"] or "", study["sentences"]
        kept = " ".join(s["text"] for s in sentences if s["label"] == study["label"])
        text = report if caption == "report" else kept
        for image in study["images"]:
            if image["view"] == "lateral" and not lateral:
                continue
            known = findings.get(image["image_id"], {})
            yield Sample(
                key_of(image["image_id"]),
                image["image_id"],
                study["study_id"],
                study["patient_id"],
                split,
                image["view"],
                study["label"],
                Path(image["path"]),
                " ".join((text or _prompts(known, study["label"])).split()),
                report,
                sentences,
                known,
            )


def _prompts(findings: Mapping[str, int | None], label: str) -> str:
    present = [f"There is {finding}." for finding, value in findings.items() if value]
    return " ".join(present) or ("There is no finding." if label == "normal" else "")

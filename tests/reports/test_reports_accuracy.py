"""Agreement with human labels must not fall. Needs data that is not part of the project."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from offclip.reports import label_report, label_sentence

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
REPORTS = DATA / "openi_reports" / "metadata.csv"
SENTENCES = DATA / "sentence_labels" / "sentences.csv"


def rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_sentences_against_hand_labels() -> None:
    right: dict[str, list[bool]] = defaultdict(list)
    for row in rows(SENTENCES):
        label = label_sentence(row["sentence"]).label
        if row["label"] == "uncertain":
            right["uncertain"].append(label == "uncertain")
        else:
            right[row["split"]].append(label == row["label"])
            right["decided"].append(label != "uncertain")
    share = {split: sum(hits) / len(hits) for split, hits in right.items()}
    assert share.pop("uncertain") >= 0.85
    assert share.pop("decided") >= 0.99
    assert min(share.values()) >= 0.98, share


@pytest.mark.parametrize("remainder", [0, 1], ids=["even", "odd"])
def test_reports_against_mesh(remainder: int) -> None:
    right = []
    for row in rows(REPORTS):
        # Reports without a usable coding or without text.
        if (
            row["no_indexing"] == "1"
            or row["mesh_major"].strip() == "Technical Quality of Image Unsatisfactory"
        ):
            continue
        text = f"FINDINGS: {row['findings']}\nIMPRESSION: {row['impression']}"
        if (
            int(row["uid"].removeprefix("CXR")) % 2 != remainder
            or not (row["findings"] + row["impression"]).strip()
        ):
            continue
        truth = "abnormal" if row["abnormal_annotation"] == "1" else "normal"
        right.append(label_report(text).label == truth)
    assert len(right) > 1900
    assert sum(right) / len(right) >= 0.972

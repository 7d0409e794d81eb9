"""Agreement with human labels must not fall. Needs data that is not part of the project."""

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from offclip.reports import (
    Conventions,
    Label,
    ReportLabeller,
    RuleLabeller,
    classes_named,
    label_report,
    label_sentence,
)

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
REPORTS = DATA / "openi_reports" / "metadata.csv"
FINDINGS = DATA / "openi_reports" / "negbio_openi_gld_std14.csv"
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
    assert min(share.values()) >= 0.985, share


@pytest.mark.parametrize(
    ("undecided", "accuracy", "sensitivity"), [("uncertain", 0.972, 0.99), ("abnormal", 0.965, 0.995)]
)
@pytest.mark.parametrize("remainder", [0, 1], ids=["even", "odd"])
def test_reports_against_mesh(remainder: int, undecided: Label, accuracy: float, sensitivity: float) -> None:
    label = ReportLabeller(RuleLabeller(conventions=Conventions(undecided=undecided)))
    right, found = [], []
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
        right.append(label(text).label == truth)
        if truth == "abnormal":
            found.append(right[-1])
    assert len(right) > 1900
    assert sum(right) / len(right) >= accuracy
    assert sum(found) / len(found) >= sensitivity


def test_findings_against_negbio() -> None:
    gold = {row["filename"]: row for row in rows(FINDINGS)}
    hits = false = missed = 0
    for row in rows(REPORTS):
        text = f"FINDINGS: {row['findings']}\nIMPRESSION: {row['impression']}"
        if row["uid"] not in gold or not (row["findings"] + row["impression"]).strip():
            continue
        named = classes_named(label_report(text).mentions, "openi")
        for name, truth in gold[row["uid"]].items():
            if name in ("filename", "normal", "Hernia"):  # no report of the truth has a hernia
                continue
            present = named.get(name) == "present"
            hits += present and truth == "1"
            false += present and truth == "0"
            missed += not present and truth == "1"
    assert hits + missed == 1295
    assert 2 * hits / (2 * hits + false + missed) >= 0.90


@pytest.mark.parametrize(
    "change",
    [
        lambda text: f"  {text}\n\n",
        lambda text: text.rstrip(".") + " .",
        lambda text: text.replace(" ", "\n", 1),
        lambda text: text.replace(" ", "  ").replace("  ", " \n", 3),
        lambda text: text.upper() if not any(c.isdigit() for c in text) else text,
    ],
    ids=["space", "period", "one line break", "line breaks", "capitals"],
)
def test_how_a_real_sentence_is_written_does_not_change_its_label(change: Callable[[str], str]) -> None:
    changed = [
        (
            row["sentence"],
            label_sentence(row["sentence"]).reason,
            label_sentence(change(row["sentence"])).reason,
        )
        for row in rows(SENTENCES)
        if label_sentence(row["sentence"]).label != label_sentence(change(row["sentence"])).label
    ]
    assert not changed

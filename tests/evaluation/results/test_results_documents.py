"""Model card and checklists: what is known stands there, what is not says so; the items are the published."""

import json
import re
from collections import Counter

import pytest
from result_documents import HASH, small_results

from offclip.errors import ConfigError
from offclip.evaluation.results import CHECKLISTS, checklist, model_card, read_known, write_documents
from offclip.evaluation.results.checklists import read_checklist
from offclip.evaluation.results.facts import FACTS
from offclip.evaluation.results.known import Known

CARD = {
    "format": 1,
    "architecture": "dual-encoder",
    "config": {"image_size": 64, "head": "cosine"},
    "preprocess": {"size": 64, "geometry": "letterbox"},
    "parameters": 509219,
    "licence": "none | yet",
    "intended_use": "Research only. Not a medical device; not validated for clinical use.",
    "training": {"recipe": {"objective": "offclip", "epochs": 8, "seed": 3}, "studies": 1857},
    "sha256": {"weights.safetensors": "abcd"},
}
TRAINING = {
    "config": {"objective": "infonce", "epochs": 9, "seed": 4},
    "environment": {"torch": "2.13.0", "device": "cpu", "studies": 1900},
    "data": "dada",
}
SECTIONS = [
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
]


def cells(text):
    """The rows of all tables of a Markdown text, without headings."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in row] for row in rows]
    return [row for row in rows if row[0] not in ("item", "measure")]


def test_the_card_has_the_sections_of_mitchell_et_al_in_their_order():
    card = model_card(small_results())
    assert re.findall(r"^## (.*)$", card, re.MULTILINE) == SECTIONS


def test_the_card_says_its_limits_even_when_nothing_is_known():
    for results in (small_results(), {}):
        card = model_card(results)
        assert "For research only. This is not a medical device, and there is no clinical validation." in card
        assert "Out of scope:" in card
        assert "Diagnosis, triage, or any decision about a patient." in card


def test_what_is_not_known_is_not_made_up():
    card = model_card(small_results())
    for label in ("Architecture", "Pre-processing", "Weights began", "Training", "Licence of the weights"):
        assert f"- **{label}**: not known" in card
    assert "- **Made by**: for the authors" in card
    empty = model_card({})
    assert "Nothing was measured." in empty
    assert not re.search(r"\d\.?\d*%|\.\d{3} \(", empty)


def test_what_is_known_stands_in_the_card():
    card = model_card(small_results(), checkpoint_card=CARD, training=TRAINING)
    for told in (
        f"Protocol vindr-cxr-clean ({HASH}). 3,000 images.",
        "- **Architecture**: dual-encoder, 509,219 parameters. image size 64, head cosine.",
        "- **Licence of the weights**: none \\| yet",
        "- **Weights began**: Drawn at random with seed 4; no pretrained weights.",  # the run folder wins
        "- **Choice of weights**: The weights after the last of 9 epochs; none is chosen among several.",
        "Trained with torch 2.13.0, device cpu.",
        "- **Scores made elsewhere**: scores.csv",
        "3,000 cases, 3,000 images, 2,900 studies, 2,500 patients (unit: image). "
        "Of the cases: 2,000 normal, 990 abnormal, 10 not known.",
        "- **Size**: 1,900 studies",
        "- **Fingerprint**: dada",
        "| Normal AUC | .850 (.840-.860) |",
        "| -max(findings) | - | .800 (.790-.810) | - |",
        "- Nothing is known of: Hernia; they are in no mean.",
        "- These sensitivities cannot be claimed, see the rule-out table: 0.999.",
        "Normal AUC and counts by sex; exploratory, not adjusted.",
    ):
        assert told in card
    assert "optimistic" not in card


def test_the_card_warns_of_thresholds_set_on_the_test_set():
    results = small_results()
    results["per_class"]["A&B_1 #2"]["operating_point"]["from"] = "the test set itself (optimistic)"
    assert "Some thresholds were set on the reported cases themselves" in model_card(results)


def test_converted_weights_say_where_they_came_from():
    card = model_card(
        small_results(), checkpoint_card=CARD | {"source": {"name": "carzero", "file": "C.ckpt"}}
    )
    assert "- **Weights began**: Converted from published weights: name carzero, file C.ckpt." in card


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("claim", [str(i) for i in range(1, 45)]),
        (
            "stard-ai",
            [
                *map(str, range(1, 15)), "15a", "15b", "15c", "15d", "16a", "16b", "16c", "17a", "17b",
                *map(str, range(18, 26)), "26a", "26b", *map(str, range(27, 40)), "40a", "40b",
            ],
        ),
    ],
)  # fmt: skip
def test_the_items_are_those_of_the_publication(name, numbers):
    published = read_checklist(name)
    assert [item.number for item in published.items] == numbers
    assert all(item.text.endswith(".") and item.section for item in published.items)
    assert all(item.fill or item.authors for item in published.items)
    assert {item.fill for item in published.items if item.fill} <= set(FACTS)
    assert published.doi in ("10.1148/ryai.240300", "10.1038/s41591-025-03953-8")


def test_stard_ai_marks_what_is_new_against_stard():
    items = read_checklist("stard-ai").items
    assert Counter(item.new for item in items) == {"": 30, "new": 14, "changed": 4}
    assert [item.number for item in items if item.new == "changed"] == ["1", "3", "7", "25"]


@pytest.mark.parametrize("name", CHECKLISTS)
def test_every_item_has_one_status_and_the_counts_are_right(name):
    for known in ({}, {"checkpoint_card": CARD, "training": TRAINING}):
        text = checklist(name, small_results(), **known)
        rows = cells(text)
        items = read_checklist(name).items
        assert [row[0].split(" ")[0] for row in rows] == [item.number for item in items]
        assert all(len(row) == 6 for row in rows)
        counts = Counter(row[2] for row in rows)
        for status in ("filled", "filled in part", "not known", "for the authors"):
            assert re.search(rf"(^|, ){status}: {counts[status]}[,.]", text, re.MULTILINE)
        for item, row in zip(items, rows, strict=True):
            told, authors, where = row[3:]
            assert bool(told) == bool(where) == row[2].startswith("filled")
            assert (row[2] == "filled") <= (not authors)
            assert (row[2] == "for the authors") == (not item.fill)


def test_without_a_model_nothing_is_known_of_it():
    rows = {row[0]: row for row in cells(checklist("claim", small_results()))}
    for number in ("1", "3", "9", "22", "24", "25", "26", "43"):
        assert rows[number][2] == "not known"
        assert not rows[number][3]
    rows = {row[0]: row for row in cells(checklist("claim", small_results(), checkpoint_card=CARD))}
    for number in ("9", "22", "24", "25", "26"):
        assert rows[number][2] == "filled"
    assert rows["1"][2] == rows["43"][2] == "filled in part"


def test_facts_carry_the_numbers_and_their_file():
    rows = {row[0].split(" ")[0]: row for row in cells(checklist("stard-ai", small_results()))}
    assert "Normal AUC .850 (.840-.860)" in rows["1"][3]
    assert rows["22"][3] == "Claims of sensitivity: 0.95: supported; 0.999: refused."
    assert rows["18"][3].startswith(
        "95 % intervals by patient-cluster bootstrap, percentile, 1,000 resamples"
    )
    assert rows["30"][3:] == ["TP, FP, TN and FN at the threshold of 1 classes.", "", "tables/per\\_class"]
    assert (
        rows["7"][3]
        == "Protocol: Junk classes are out. Class left out: Hernia (no positive among 3000 cases)."
    )


def test_what_the_evaluation_noted_stands_in_card_and_checklist():
    noted = small_results(notes=["7 of 3007 cases are left out by the protocol.", "Fused by the mean."])
    card = model_card(noted)
    assert "- 7 of 3007 cases are left out by the protocol.\n- Fused by the mean.\n" in card
    rows = {row[0]: row for row in cells(checklist("claim", noted))}
    assert rows["8"][3].endswith("7 of 3007 cases are left out by the protocol.")
    assert "Fused" not in rows["8"][3]


def test_labels_of_a_file_are_no_known_reference_standard():
    opened = small_results(protocol={"name": "open", "hash": "aa", "variant": "open", "source": "x"})
    assert FACTS["reference_standard"](Known(opened)) is None
    assert "VinDr" not in checklist("claim", opened)


@pytest.mark.parametrize("name", CHECKLISTS)
def test_nothing_known_at_all(name):
    counts = Counter(row[2] for row in cells(checklist(name, {})))
    assert set(counts) == {"not known", "for the authors"}


def test_an_unknown_checklist():
    with pytest.raises(ConfigError, match="Unknown checklist 'tripod'"):
        checklist("tripod", {})


def test_what_a_run_folder_says(tmp_path):
    def said(folder):
        known = read_known(folder)
        return known["checkpoint_card"], known["training"]

    assert said(None) == said(tmp_path) == (None, None)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "card.json").write_text(json.dumps(CARD))
    assert said(tmp_path) == (CARD, None)
    (tmp_path / "config.json").write_text(json.dumps({"config": TRAINING["config"], "data": "dada"}))
    (tmp_path / "environment.json").write_text(json.dumps(TRAINING["environment"]))
    assert said(tmp_path) == (CARD, TRAINING)
    assert said(tmp_path / "model") == (CARD, TRAINING)
    (tmp_path / "model" / "card.json").write_text("{")
    assert said(tmp_path) == (None, TRAINING)


def test_write_documents(tmp_path):
    model = tmp_path / "run" / "model"
    model.mkdir(parents=True)
    (model / "card.json").write_text(json.dumps(CARD))
    for given, known in ((None, {}), (tmp_path / "run", {"checkpoint_card": CARD})):
        written = write_documents(small_results(), tmp_path / "out", model=given)
        found = {path.relative_to(tmp_path / "out").as_posix() for path in written}
        assert {"model_card.md", "checklist_stard_ai.md", "checklist_claim.md", "tables/summary.tex"} <= found
        assert all(path.is_file() for path in written)
        assert (tmp_path / "out" / "model_card.md").read_text() == model_card(small_results(), **known)

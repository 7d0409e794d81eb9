from __future__ import annotations

import polars as pl
import pytest

from offclip.evaluation.ablation import ABLATION
from offclip.evaluation.report.sentences import Change, change, headline_sentence, ingredient_sentences
from offclip.evaluation.report.table import MEASURES, table_rows
from offclip.evaluation.run import COLUMNS

BASE, FILTERED, FULL = ("infonce", False), ("infonce", True), ("offclip", True)
GOOD = dict.fromkeys(COLUMNS, 0.5)


def made_up(*rows: tuple[tuple[str, bool], dict[str, float | None]]) -> pl.DataFrame:
    """A results table; every row is one more seed of its variant, and unnamed columns hold 0.5."""
    seeds: dict[tuple[str, bool], int] = {}
    records = []
    for key, values in rows:
        seeds[key] = seeds.get(key, -1) + 1
        records.append({"objective": key[0], "filter": key[1], "seed": seeds[key], **GOOD, **values})
    schema = {"objective": pl.String, "filter": pl.Boolean, "seed": pl.Int64}
    return pl.DataFrame(records, schema=schema | dict.fromkeys(COLUMNS, pl.Float64), orient="row")


def worst(value: float | None, **others: float | None) -> dict[str, float | None]:
    return {"worst_prompt_normal_auc": value, **others}


def test_every_column_of_the_results_has_a_heading():
    assert list(MEASURES) == list(COLUMNS)
    assert [name for name, measure in MEASURES.items() if not measure.better] == ["pointing_chance"]


def test_filtering_that_helps_is_said_to_help():
    told = ingredient_sentences(made_up((BASE, worst(0.05)), (FILTERED, worst(0.99)), (FULL, worst(0.995))))
    assert "Filtering" in told[0]
    assert "raised the worst-prompt normal AUC from 0.050 to 0.990" in told[0]
    assert "The OFF-CLIP loss" in told[1]
    assert "changed the worst-prompt normal AUC little (0.990 to 0.995)" in told[1]
    assert len(told) == 2


def test_filtering_that_hurts_is_said_to_hurt():
    told = ingredient_sentences(made_up((BASE, worst(0.9)), (FILTERED, worst(0.4)), (FULL, worst(0.6))))
    assert "lowered the worst-prompt normal AUC from 0.900 to 0.400" in told[0]
    assert "raised the worst-prompt normal AUC from 0.400 to 0.600" in told[1]
    assert told[2] == "What got worse from InfoNCE to OFF-CLIP: the worst-prompt normal AUC (0.900 to 0.600)."


def test_a_rise_counts_as_worse_where_lower_is_better():
    before, after = {"fpr_at_95_sensitivity": 0.1}, {"fpr_at_95_sensitivity": 0.4}
    told = ingredient_sentences(made_up((BASE, before), (FULL, after)))
    assert told == [
        "What got worse from InfoNCE to OFF-CLIP: the false-alarm rate at 95 % sensitivity (0.100 to 0.400)."
    ]
    assert ingredient_sentences(made_up((BASE, after), (FULL, before))) == []


def test_the_chance_level_is_never_better_or_worse():
    assert (
        ingredient_sentences(made_up((BASE, {"pointing_chance": 0.9}), (FULL, {"pointing_chance": 0.1})))
        == []
    )


@pytest.mark.parametrize(("after", "small"), [(0.509, True), (0.511, False), (0.491, True), (0.489, False)])
def test_differences_under_one_hundredth_are_little(after: float, small: bool):
    assert Change("abnormal_auc", 0.5, after, 0.0).small is small


def test_differences_under_the_spread_over_seeds_are_little():
    table = made_up((BASE, worst(0.5)), (BASE, worst(0.7)), (FILTERED, worst(0.69)), (FILTERED, worst(0.71)))
    found = change(table, BASE, FILTERED, "worst_prompt_normal_auc")
    assert found is not None
    assert found.spread == pytest.approx(0.1414, abs=1e-4)
    assert found.verdict == "same"


def test_missing_values_and_variants_are_not_written_about():
    table = made_up((BASE, worst(None)), (FULL, worst(0.9)))
    assert change(table, BASE, FULL, "worst_prompt_normal_auc") is None
    told = ingredient_sentences(made_up((BASE, worst(None)), (FILTERED, worst(0.9, abnormal_auc=0.8))))
    assert told == [
        "Filtering the training sentences, with the loss left as it is, "
        "raised the finding AUC from 0.500 to 0.800."
    ]
    assert ingredient_sentences(made_up((FULL, worst(0.9)))) == []
    assert headline_sentence(made_up((FULL, worst(0.9)))) == ""


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (0.05, 0.99, "more often than not; OFF-CLIP does not"),
        (0.8, 0.99, "OFF-CLIP does better than InfoNCE."),
        (0.1, 0.4, "hardly better than a coin"),
        (0.99, 0.05, "OFF-CLIP does worse than InfoNCE"),
        (0.9, 0.905, "hardly differ"),
    ],
)
def test_the_headline_follows_the_numbers(before: float, after: float, words: str):
    assert words in headline_sentence(made_up((BASE, worst(before)), (FULL, worst(after))))


def test_the_best_of_a_column_follows_its_direction_and_ties_are_shared():
    table = made_up(
        (BASE, worst(0.2, fpr_at_95_sensitivity=0.1, pointing_accuracy=None)),
        (FILTERED, worst(0.9001, fpr_at_95_sensitivity=0.3)),
        (FULL, worst(0.9002, fpr_at_95_sensitivity=0.2)),
    )
    rows = table_rows(table)
    cells = {column: [row.cells[number] for row in rows] for number, column in enumerate(COLUMNS)}
    assert [cell.best for cell in cells["worst_prompt_normal_auc"]] == [False, True, True]
    assert [cell.best for cell in cells["fpr_at_95_sensitivity"]] == [True, False, False]
    assert not any(cell.best for cell in cells["pointing_chance"] + cells["abnormal_auc"])
    assert [cell.mean for cell in cells["pointing_accuracy"]] == ["n/a", "0.500", "0.500"]
    assert {cell.spread for row in rows for cell in row.cells} == {""}
    assert [row.name for row in rows] == [ABLATION[0].name, ABLATION[1].name, ABLATION[3].name]

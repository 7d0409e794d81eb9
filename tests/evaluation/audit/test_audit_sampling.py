"""The sample: what is drawn, how often, and that the same table gives the same one."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from audit_tables import counted_table, study, write_table
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.errors import ConfigError, DataError
from offclip.evaluation.audit import Design, draw_sample, frame
from offclip.evaluation.audit.frame import count_sentences
from offclip.evaluation.audit.sampling import allocate, draw_proportional, parse_token

SKEWED = (
    {(f"No effusion, number {i}.", "normal"): max(1, 60 // (i + 1)) for i in range(80)}
    | {(f"Effusion, number {i}.", "abnormal"): max(1, 12 // (i + 1)) for i in range(60)}
    | {(f"Compared with film {i}.", "uncertain"): 1 for i in range(5)}
)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return counted_table(tmp_path_factory.mktemp("audit") / "studies.parquet", SKEWED)


def test_strata_have_their_minimum_and_add_up(table):
    sample = draw_sample(table, Design(n=60, minimum=10))
    drawn = {stratum.name: stratum.drawn for stratum in sample.strata}
    assert drawn["uncertain"] == 5  # there are no more
    assert drawn["abnormal"] >= 10
    assert sum(drawn.values()) == len(sample.items) == 60
    assert len({item.id for item in sample.items}) == 60
    for stratum in sample.strata:
        pairs = {pair: n for pair, n in SKEWED.items() if pair[1] == stratum.name}
        assert (stratum.units, stratum.size) == (len(pairs), sum(pairs.values()))
        items = [item for item in sample.items if item.stratum == stratum.name]
        assert sum(item.count / item.probability for item in items) == pytest.approx(stratum.size)


def test_items_are_what_the_table_says(table):
    for item in draw_sample(table, Design(n=40)).items:
        assert SKEWED[item.seen.text, item.label] == item.count
        assert item.seen.words == item.seen.text
        assert item.seen.before == "FINDINGS:\n"
        assert item.rule == item.reason.partition(":")[0] != ""


def test_the_same_design_gives_the_same_sample_and_another_seed_another(table):
    first = draw_sample(table, Design(n=40))
    assert draw_sample(table, Design(n=40)) == first
    other = draw_sample(table, Design(n=40, seed=1))
    assert other.sha256 != first.sha256
    assert {i.seen.text for i in other.items} != {i.seen.text for i in first.items}


def test_labels_are_mixed_on_the_page(table):
    labels = [item.label for item in draw_sample(table, Design(n=60)).items]
    changes = sum(a != b for a, b in pairwise(labels))
    assert changes > 10


def test_estimates_are_unbiased(table):
    """Over many seeds the weighted share of a property is the table's."""
    total = sum(SKEWED.values())
    truth = sum(n for (text, _), n in SKEWED.items() if "1" in text) / total
    found = []
    for seed in range(120):
        items = draw_sample(table, Design(n=40, seed=seed, minimum=5)).items
        found.append(sum(i.count / i.probability for i in items if "1" in i.seen.text) / total)
    assert np.mean(found) == pytest.approx(truth, abs=3 * np.std(found) / np.sqrt(len(found)))


@pytest.mark.parametrize("design", [Design(n=30, weigh="sentences"), Design(n=30, stratify="none")])
def test_other_designs(table, design):
    sample = draw_sample(table, design)
    assert len(sample.items) == 30
    if design.weigh == "sentences":
        assert sum(stratum.size for stratum in sample.strata) == len(SKEWED)
    else:
        assert [stratum.name for stratum in sample.strata] == ["all"]


def test_more_than_there_is_takes_all(table):
    sample = draw_sample(table, Design(n=5000))
    assert len(sample.items) == len(SKEWED)
    assert {item.probability for item in sample.items} == {1.0}


def test_rules_can_be_strata(table):
    sample = draw_sample(table, Design(n=60, stratify="rule"))
    assert {stratum.name for stratum in sample.strata} == {"negated", "asserted", "undecided"}


def test_batches_and_row_groups_change_nothing(table, tmp_path, monkeypatch):
    whole = draw_sample(table, Design(n=50))
    pieces = write_table(tmp_path / "pieces.parquet", pl.read_parquet(table).to_dicts(), row_group_size=37)
    monkeypatch.setattr(frame, "_BATCH", 10)
    monkeypatch.setattr(frame, "_COMPACT_AT", 20)
    assert draw_sample(pieces, Design(n=50)) == whole


def test_white_space_alone_makes_no_other_sentence(tmp_path):
    sentences = [("No\n  effusion.", "normal"), ("No effusion.", "normal"), (" No effusion. ", "normal")]
    table = write_table(tmp_path / "t.parquet", [study(0, sentences)])
    counted = count_sentences(table, 0)
    assert counted["count"].to_list() == [3]
    (item,) = draw_sample(table, Design()).items
    assert (item.seen.text, item.seen.words) == ("No effusion.", "No\n  effusion.")


def test_statements_of_one_sentence_are_one_sentence(tmp_path):
    row = study(0, [("No effusion but a nodule.", "normal"), ("Clear.", "normal")])
    other = row["sentences"][0] | {"label": "abnormal", "reason": "llm:abnormal"}
    row["sentences"].insert(1, other)
    sample = draw_sample(write_table(tmp_path / "t.parquet", [row]), Design())
    found = {item.seen.text: (item.label, item.reason, item.count) for item in sample.items}
    assert found["No effusion but a nodule."] == ("abnormal", "llm:abnormal", 1)
    assert len(found) == 2


def test_a_table_without_offsets_still_shows_the_sentence_in_its_report(tmp_path):
    rows = [study(0, [("Clear.", "normal"), ("Clear.", "normal"), ("Gone.", "normal")])]
    for sentence in rows[0]["sentences"]:
        sentence |= {"start": None, "end": None, "section": None}
    rows[0]["report"] = "It is: Clear. Clear."
    items = {i.seen.text: i for i in draw_sample(write_table(tmp_path / "t.parquet", rows), Design()).items}
    assert items["Clear."].count == 2
    assert (items["Clear."].seen.before, items["Clear."].seen.words) == ("It is: ", "Clear.")
    assert (items["Gone."].seen.before, items["Gone."].seen.words) == ("It is: Clear. Clear.", "")


def test_a_huge_report_is_shown_in_part(tmp_path):
    row = study(0, [("x" * 50_000, "normal"), ("Small effusion.", "abnormal"), ("y" * 50_000, "normal")])
    sample = draw_sample(write_table(tmp_path / "t.parquet", [row]), Design())
    seen = next(item.seen for item in sample.items if item.label == "abnormal")
    assert seen.before.startswith("…")
    assert seen.after.endswith("…")
    assert len(seen.before) + len(seen.after) < 9_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sentences": []}, "no sentence to judge"),
        ({"sentences": [{"text": " ", "label": "normal"}]}, "row 0 has a sentence without text"),
        ({"sentences": [{"text": "Clear.", "label": "fine"}]}, "unknown sentence label 'fine'"),
        ({"sentences": [{"text": "Clear.", "label": None}]}, "unknown sentence label None"),
    ],
)
def test_unusable_tables_are_refused(tmp_path, change, message):
    table = write_table(tmp_path / "t.parquet", [study(0, []) | change])
    with pytest.raises(DataError, match=message):
        draw_sample(table, Design())


def test_files_that_are_no_study_table_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        draw_sample(tmp_path / "none.parquet", Design())
    (tmp_path / "text.parquet").write_text("words")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        draw_sample(tmp_path / "text.parquet", Design())
    pl.DataFrame({"report": ["x"]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match="no column 'sentences'"):
        draw_sample(tmp_path / "other.parquet", Design())
    pl.DataFrame({"report": ["x"], "sentences": [["x"]]}).write_parquet(tmp_path / "text.parquet")
    with pytest.raises(DataError, match="has no text 'text'"):
        draw_sample(tmp_path / "text.parquet", Design())


@pytest.mark.parametrize(
    "values", [{"n": 0}, {"n": 5001}, {"seed": -1}, {"stratify": "sex"}, {"weigh": "x"}, {"minimum": -1}]
)
def test_designs_are_checked(values):
    with pytest.raises(ConfigError) as caught:
        Design(**values)
    assert caught.value.remedy


def test_a_token_names_design_and_sample(table):
    sample = draw_sample(table, Design(n=7, seed=3, stratify="rule", weigh="sentences", minimum=2))
    assert parse_token(sample.token) == (sample.design, sample.sha256)
    for broken in ("", "x", sample.token + "0", sample.token.replace("rule", "sex"), "=" + sample.token):
        assert parse_token(broken) is None
    assert parse_token(replace(sample, design=Design()).token) == (Design(), sample.sha256)


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(1, 40)), min_size=1, max_size=8),
    st.integers(1, 600),
    st.integers(0, 50),
)
def test_allocation_is_whole_and_within_bounds(strata, n, minimum):
    units = [unit for unit, _ in strata]
    sizes = [unit * factor for unit, factor in strata]
    shares = allocate(n, sizes, units, minimum)
    assert sum(shares) == min(n, sum(units))
    for share, unit in zip(shares, units, strict=True):
        assert min(minimum, n // len(units), unit) <= share <= unit


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=60), st.data())
def test_draws_are_distinct_and_probabilities_proportional(sizes, data):
    n = data.draw(st.integers(0, len(sizes)))
    start = data.draw(st.floats(0, 1, exclude_max=True))
    sizes = np.array(sizes)
    picked, probability = draw_proportional(sizes, n, start)
    assert len(set(picked.tolist())) == n
    loose = probability < 1
    assert np.all(probability > 0)
    if loose.any():
        ratios = sizes[picked][loose] / probability[loose]
        assert ratios == pytest.approx(np.full(loose.sum(), ratios[0]))
        assert sizes[picked][~loose].min(initial=1001) >= sizes[picked][loose].max()


def test_units_are_drawn_as_often_as_their_probability_says():
    sizes = np.array([40, 9, 5, 3, 2, 1, 1, 1])
    rng = np.random.default_rng(0)
    hits = np.zeros(len(sizes))
    for _ in range(4000):
        order = rng.permutation(len(sizes))
        picked, _ = draw_proportional(sizes[order], 4, rng.random())
        hits[order[picked]] += 1
    # The largest is certain; the three others go to 22 by size, and 9 of 22 three times is certain, too.
    assert hits / 4000 == pytest.approx([1, 1, *(2 * np.array([5, 3, 2, 1, 1, 1]) / 13)], abs=0.03)

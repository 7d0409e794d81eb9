from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from html_parts import Parts
from offclip.errors import DataError
from offclip.evaluation.cases import Cases
from offclip.evaluation.result_page.blocks import MOST_ROWS, block_of
from offclip.evaluation.result_page.choosing import choose, ranks
from offclip.evaluation.result_page.curves import (
    Curve,
    NormalScored,
    known,
    normal_scored,
    rule_out_curve,
    thinned,
)
from offclip.evaluation.result_page.gallery import truth_of
from offclip.evaluation.result_page.markdown import markdown_html
from offclip.evaluation.result_page.measured import read_results
from offclip.evaluation.result_page.provenance import command, facts, lede
from offclip.evaluation.result_page.reading import Node
from offclip.evaluation.result_page.rows import Cell, common
from offclip.evaluation.result_page.small import (
    Axis,
    Point,
    axis_around_zero,
    axis_of,
    interval_bar,
    unit_square,
)
from offclip.evaluation.statistics.estimate import Estimate

NAN = float("nan")
PROPERTY = settings(derandomize=True, deadline=None, max_examples=60)


# --- reading


def test_absent_null_and_not_finite_are_nothing():
    node = Node({"a": None, "b": NAN, "e": {"value": None, "low": 0.1, "high": 0.2}})
    assert [node.number("a"), node.number("b"), node.number("c"), node.estimate("e"), node.node("a")] == [
        None
    ] * 5
    assert (node.text("a"), node.texts("c"), node.words("c"), list(node.children("c"))) == ("", (), {}, [])


def test_an_estimate_may_lack_its_bounds():
    found = Node({"a": 0.5, "b": {"value": 0.5, "low": None, "high": 0.6}})
    for key in ("a", "b"):
        estimate = found.estimate(key)
        assert estimate is not None
        assert estimate.value == 0.5
        assert np.isnan(estimate.low)
        assert np.isnan(estimate.high)


def test_long_values_are_cut_in_messages():
    with pytest.raises(DataError) as error:
        Node({"a": ["x" * 500]}, "results").text("a")
    assert len(error.value.message) < 130


def test_results_that_are_no_object_are_refused():
    with pytest.raises(DataError, match="no object"):
        read_results([])  # type: ignore[arg-type]


# --- curves


def test_a_thin_curve_keeps_its_ends_and_lies_on_the_old_one():
    rng = np.random.default_rng(0)
    x, y = np.sort(rng.random(5000)), np.sort(rng.random(5000))
    thin = thinned(x, y, 100)
    assert len(thin.x) <= 101
    assert (thin.x[0], thin.y[0], thin.x[-1], thin.y[-1]) == (x[0], y[0], x[-1], y[-1])
    assert set(zip(thin.x, thin.y, strict=True)) <= set(zip(x, y, strict=True))
    assert np.abs(np.interp(x, thin.x, thin.y) - y).max() < 0.03


@PROPERTY
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_clearing_more_normals_never_keeps_more_abnormals(rows: list[tuple[int, bool]]):
    score, normal = np.array([float(s) for s, _ in rows]), np.array([n for _, n in rows])
    if normal.all() or not normal.any():
        return
    curve = rule_out_curve(NormalScored(np.arange(len(rows)), score, normal))
    assert (np.diff(curve.y) >= 0).all()
    assert (np.diff(curve.x) <= 1e-12).all()
    # Each point is what some threshold does.
    at = {(1.0, 0.0)} | {
        (round(float(1 - (score[~normal] >= t).mean()), 9), round(float((score[normal] >= t).mean()), 9))
        for t in score
    }
    assert {(round(float(a), 9), round(float(b), 9)) for a, b in zip(curve.x, curve.y, strict=True)} == at


def test_curves_need_both_kinds():
    cases = Cases.of(["a", "b", "c"], ["e", "f"], [[1, NAN], [2, 1], [3, 0]], [[0, 1], [0, 0], [NAN, 1]])
    assert known(cases, "e") is None
    assert known(cases, "g") is None
    usable = known(cases, "f")
    assert usable is not None
    assert usable[0].tolist() == [1, 0]


def test_scores_made_of_findings_serve_as_normal_scores():
    cases = Cases.of(["a", "b", "c"], ["e"], [[1.0], [2.0], [5.0]], [[0], [1], [NAN]])
    scored = normal_scored(cases, "-max(findings)")
    assert scored is not None
    assert scored.score.tolist() == [-1, -2]
    assert scored.rows.tolist() == [0, 1]
    assert normal_scored(cases, "There is no finding.") is None


# --- choosing


def test_best_worst_and_cleared_by_the_normal_score():
    normal = np.array([1, 1, 1, 1, 0, 0, 0, 0, NAN])
    score = np.array([0.9, 0.8, 0.2, 0.1, 0.95, 0.7, 0.3, 0.05, 0.99])
    cases = Cases.of(
        [f"c{i}" for i in range(9)],
        ["e"],
        np.zeros((9, 1)),
        np.zeros((9, 1)),
        normal=normal,
        normal_scores={"p": score},
    )
    scored = normal_scored(cases, "p")
    chosen = choose(cases, scored, 2, most=4)
    assert chosen.best == (0, 1, 7, 6)
    assert chosen.worst == (3, 2, 1, 0)
    assert chosen.cleared == (4, 5)
    assert chosen.cleared_total == 2
    unknown = choose(cases, scored, None, most=4)
    assert unknown.worst == (3, 2, 4, 5)
    assert unknown.cleared_total is None
    assert choose(cases, scored, 0, most=4).cleared == ()


def test_without_a_normal_score_the_findings_decide():
    cases = Cases.of(["d", "c", "b", "a"], ["e"], [[4.0], [3.0], [2.0], [1.0]], [[1], [0], [1], [0]])
    chosen = choose(cases, None, None, most=2)
    assert chosen.best == (3, 0)
    assert chosen.worst == (1, 2) or chosen.worst == (2, 1)
    assert not chosen.by_normal_score


def test_ties_share_a_rank():
    assert ranks(np.array([1.0, 1.0, 5.0])).tolist() == [0.25, 0.25, 1.0]
    assert ranks(np.array([3.0])).tolist() == [0.0]


def test_truth_in_words():
    cases = Cases.of(["a", "b", "c"], ["e"], np.zeros((3, 1)), [[0], [0], [NAN]], normal=[1, 0, NAN])
    assert [truth_of(cases, row) for row in range(3)] == [
        "normal",
        "abnormal, by none of the findings here",
        "not known",
    ]


# --- small drawings


def test_a_bar_puts_the_number_inside_its_interval():
    axis = axis_of([Estimate(0.8, 0.7, 0.9)])
    bar = interval_bar(Estimate(0.8, 0.7, 0.9), axis)
    low, middle, high = axis.at(0.7), axis.at(0.8), axis.at(0.9)
    assert low < middle < high
    assert f"M{low} " in bar
    assert f"H{high}" in bar
    assert f'cx="{middle}"' in bar
    assert 'aria-hidden="true"' in bar


def test_a_bar_without_interval_has_no_span_and_without_number_no_dot():
    assert "span" not in interval_bar(Estimate(0.5, NAN, NAN), Axis(0, 1))
    assert "dot" not in interval_bar(None, Axis(0, 1, 0.5))


def test_scales_hold_all_of_their_rows():
    axis = axis_of([Estimate(0.4, 0.28, 0.55), Estimate(0.9, NAN, NAN), None])
    assert axis.low == pytest.approx(0.2)
    around = axis_around_zero([Estimate(-0.02, -0.06, 0.01)])
    assert (around.low, around.high) == (-0.06, 0.06)
    assert axis_around_zero([]).high == 0.01


def test_a_unit_square_draws_marks_where_they_are():
    curve = Curve(np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.8, 1.0]))
    drawn = unit_square(
        curve,
        'a "b"',
        ("x", "y"),
        points=[Point(0.5, 0.8)],
        counts=[1, 4, 9],
        spans=[(0, 0.1)] * 2 + [(NAN, NAN)],
    )
    assert '<circle class="ring" cx="50.0" cy="20.0"' in drawn
    assert drawn.count('class="dot"') == 3
    assert drawn.count('class="span"') == 2
    assert 'aria-label="a &#34;b&#34;"' in drawn


# --- blocks


def test_grounding_methods_are_rows_of_one_table():
    e = {"value": 0.5, "low": 0.4, "high": 0.6}
    block = block_of(
        {
            "gradcam": {
                "hit": e,
                "chance": 0.1,
                "threshold": {"cut": "top 10 %"},
                "per_class": {"Mass": {"hit": e}},
            },
            "similarity": {"hit": e, "chance": 0.1},
            "rule": "cell centre",
            "curve": [0.1, 0.2],
        }
    )
    assert block is not None
    assert block.facts == {"rule": "cell centre"}
    first = block.tables[0]
    assert first.columns == ("", "hit", "chance", "threshold cut")
    assert [row.name for row in first.rows] == ["gradcam", "similarity"]
    same = (Cell("0.500", "0.400–0.600"), Cell("0.100"))
    assert [row.cells for row in first.rows] == [(*same, Cell("top 10 %")), (*same, Cell(""))]
    assert [table.title for table in block.tables] == ["method", "method: gradcam: per class"]


def test_long_tables_are_cut_and_say_so():
    block = block_of({"per_class": {f"c{i}": {"n": i} for i in range(MOST_ROWS + 5)}})
    assert block is not None
    assert len(block.tables[0].rows) == MOST_ROWS
    assert block.tables[0].more == 5


def test_objects_of_a_list_are_called_by_their_names():
    block = block_of({"pairs": [{"prompt": "A", "n": 1}, {"prompt": "A", "n": 2}, {"n": 3}]})
    assert block is not None
    assert [row.name for row in block.tables[0].rows] == ["A", "A (2)", "3"]


@pytest.mark.parametrize("value", [{}, {"a": None}, {"a": []}, [], None])
def test_nothing_is_no_block(value: object):
    assert block_of(value) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


@PROPERTY
@given(st.dictionaries(st.text(max_size=6), _JSON, max_size=4))
def test_any_tree_makes_a_block_or_a_clear_error(tree: dict[str, object]):
    try:
        block = block_of(tree)
    except DataError:
        return
    for table in block.tables if block else ():
        assert all(len(row.cells) + 1 == len(table.columns) for row in table.rows)


# --- markdown


def test_the_forms_of_a_model_card():
    html = markdown_html(
        "---\nlicence: x\n---\n# Card\nOne *small* **model** with `a_b * c`,\nand [a link](https://example.org/_a_b_).\n\n"
        "1. first\n2. second\n   more\n\n> quoted\n\n"
        "| a | b |\n|---|---:|\n| x \\| y | 1 |\n\n```python\nprint('<b>')\n```\n***\n"
    )
    for part in (
        '<pre tabindex="0"><code>licence: x</code></pre>',
        "<h3>Card</h3>",
        "<em>small</em> <strong>model</strong> with <code>a_b * c</code>, and "
        '<a href="https://example.org/_a_b_" rel="noreferrer">a link</a>.',
        "<ol><li>first</li><li>second more</li></ol>",
        "<blockquote><p>quoted</p></blockquote>",
        "<td>x | y</td><td>1</td>",
        "print(&#39;&lt;b&gt;&#39;)",
    ):
        assert part in html


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))",
        "![x](https://example.org/a.png)",
        '<img src="https://example.org/a.png">',
        '[x](https://example.org/"onmouseover="alert(1))',
        "[x](data:text/html;base64,AAAA)",
    ],
)
def test_nothing_is_loaded_or_run(text: str):
    parts = Parts(str(markdown_html(text)))
    assert parts.resources == []
    assert set(parts.tags) <= {"p", "a"}
    assert all(link.startswith("https://example.org/") for link in parts.links)


@PROPERTY
@given(st.text(alphabet=" \n#*_`[]()<>|-=!\\ab1.&\0>~:/", max_size=80))
def test_any_text_becomes_well_formed(text: str):
    parts = Parts(str(markdown_html(text)))
    assert parts.open == []
    assert not {"script", "img", "style"} & set(parts.tags)


# --- words


def test_the_command_is_quoted_and_uses_what_is_known():
    run = {"scores": "my scores.csv", "labels": "l.csv", "unit": "study", "fuse": "max", "split": "test"}
    interval = {"method": "bootstrap", "resamples": 200, "seed": 0}
    assert command(read_results({"run": run, "interval": interval})) == (
        "offclip evaluate --scores 'my scores.csv' --labels l.csv --unit study --fuse max --split test "
        "--resamples 200 --seed 0 --out results"
    )
    model = {"run": {"model": "m", "data": "d"}}
    assert command(read_results(model)) == "offclip evaluate m --data d --out results"
    assert command(read_results(model | {"protocol": {"name": "rsna-clean"}})) == (
        "offclip evaluate m --protocol rsna-clean --root d --out results"
    )
    assert command(read_results({"run": {"command": "x", "model": "m", "data": "d"}})) == "x"
    assert command(read_results({})) == ""


def test_facts_leave_out_what_is_not_known():
    found = read_results({"run": {"cases": 1, "unit": "study", "fuse": "max", "patients": 1}})
    assert facts(found) == {"Unit": "study", "Views fused by": "max", "Cases": "1", "Patients": "1"}
    assert lede(found) == "1 study of 1 patient was compared with their labels."
    assert re.match("Cases were", lede(read_results({})))


def test_one_value_is_common_to_all():
    assert common(["", ""]) == ""
    assert common(["a", ""]) is None

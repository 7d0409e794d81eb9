"""Pages of results that lack parts, are malformed, tiny or large."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markupsafe import Markup
from page_parts import SECTIONS, check_page, page_of, section
from simulated_results import results_of, simulated

from offclip.errors import DataError
from offclip.evaluation.cases import Cases
from offclip.evaluation.drawing.svg import Plot


@pytest.fixture(scope="module")
def cases() -> Cases:
    return simulated()


@pytest.fixture
def results(cases: Cases) -> dict[str, Any]:
    return results_of(cases)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the large figures empty: they take most of a second a page, and other tests draw them."""
    monkeypatch.setattr(Plot, "svg", lambda self, name, alt: Markup("<svg></svg>"))


@pytest.mark.usefixtures("quick")
def test_193_classes_scroll_and_the_small_curves_are_twelve(tmp_path: Path):
    many = simulated(1500, tuple(f"Finding_{i}" for i in range(193)), seed=3)
    page = page_of(tmp_path, results_of(many), many)
    check_page(page)
    assert 'class="scroll window"' in section(page, "findings")
    assert "The 12 of" in section(page, "curves")
    assert section(page, "curves").count('class="mini"') == 24
    assert len(page) < 1_000_000


def test_one_class_is_enough(tmp_path: Path):
    one = simulated(200, ("Edema",), seed=3)
    page = page_of(tmp_path, results_of(one), one)
    assert section(page, "findings").count('<th scope="row">') == 1
    assert check_page(page).text.count("1 finding ") >= 1


def test_results_without_anything_say_so(cases: Cases, tmp_path: Path):
    parts = check_page(page_of(tmp_path, {}, cases))
    assert [i for i in parts.ids if i in SECTIONS] == [
        "headline",
        "findings",
        "reliability",
        "gallery",
        "made",
        "card",
    ]
    for sentence in (
        "Normal against abnormal was not measured.",
        "No finding could be measured.",
        "No calibrated probabilities were measured.",
        "No model card was given.",
        "The data have no fingerprint here",
        "the command that makes this again is not known",
        "How the intervals were made is not known.",
        "Whether there were validation cases is not known.",
        "since there is no normal score",
    ):
        assert sentence in parts.text


def nulls(value: Any) -> Any:
    """The same with one level of values replaced by null, each once."""
    for key in value:
        changed = copy.copy(value)
        changed[key] = None
        yield key, changed


@pytest.mark.usefixtures("quick")
def test_any_part_may_be_null_or_absent(results: dict[str, Any], cases: Cases, tmp_path: Path):
    for _, changed in nulls(results):
        check_page(page_of(tmp_path, changed, cases))
    for _, changed in nulls(results["normal"]):
        check_page(page_of(tmp_path, results | {"normal": changed}, cases))
    for _, changed in nulls(results["per_class"]["Edema"]):
        check_page(page_of(tmp_path, results | {"per_class": {"Edema": changed}}, cases))


@pytest.mark.usefixtures("quick")
def test_parts_that_are_missing_are_missed_in_words(results: dict[str, Any], cases: Cases, tmp_path: Path):
    normal = results["normal"]
    normal |= {
        "worst_prompt": None,
        "rule_out": [],
        "decision_curve": None,
        "subgroups": [],
        "calibration": None,
    }
    normal["not_calibrated"] = "the scores of all 300 cases are 1"
    for c in results["per_class"].values():
        c |= {"operating_point": None, "no_operating_point": "3 positives are too few", "calibration": None}
    results["run"]["validation_cases"] = 0
    text = check_page(page_of(tmp_path, results, cases)).text
    for sentence in (
        "There were no validation cases.",
        "There is no worst prompt",
        "No rule-out operating points were measured.",
        "No decision curve was measured",
        "No subgroups",
        "the scores of all 300 cases are 1",
        "3 positives are too few",
        "no case counts as wrongly cleared",
    ):
        assert sentence in text


def test_a_score_that_the_cases_cannot_give_costs_its_curves(
    results: dict[str, Any], cases: Cases, tmp_path: Path
):
    results["normal"]["score"] = "a prompt that nobody asked"
    page = page_of(tmp_path, results, cases)
    assert "cannot be made from the cases" in page
    assert "Chosen by the mean distance" in " ".join(page.split())


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), "offclip results 9", "not 'offclip results 1'"),
        (("normal", "auc"), "0.8", "results.normal.auc is '0.8', not a number"),
        (("normal", "auc"), {"low": 0.1}, "not an object with a value"),
        (("macro_auc", "low"), 0.9, "not an interval from low to high"),
        (("macro_auc", "value"), True, "results.macro_auc.value is True"),
        (("per_class",), [1], "results.per_class is"),
        (("per_class", "Edema"), 0.8, "results.per_class.Edema is 0.8, not an object"),
        (("per_class", "Edema", "positives"), 1.5, "not a whole number"),
        (("per_class", "Edema", "counts"), "yes", "not true or false"),
        (("run", "cases"), -1, "not a whole number"),
        (("protocol", "quirks"), "all", "not a list"),
        (("protocol", "quirks"), [1], r"results.protocol.quirks\[0\] is 1, not a text"),
        (("normal", "rule_out"), [{"claim": "supported"}], "has no sensitivity"),
        (("normal", "rule_out"), [{"sensitivity": 0.9, "claim": "sure"}], "'sure', none of supported"),
        (("normal", "decision_curve", "model"), [0.1], "different lengths"),
        (("left_out",), {"a": ["b"]}, "results.left_out.a is"),
        (("negation",), {"macro": {"value": 0.5, "low": 0.9, "high": 0.1}}, "results.negation.macro"),
    ],
)
def test_a_wrong_type_is_an_error_that_says_where(
    path: tuple[str, ...], value: Any, message: str, results: dict[str, Any], cases: Cases, tmp_path: Path
):
    place = results
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(DataError, match=message):
        page_of(tmp_path, results, cases)
    assert list(tmp_path.iterdir()) == []


def test_cases_that_are_all_normal_still_have_a_page(tmp_path: Path):
    flat = Cases.of(["a", "b", "c"], ["edema"], [[0.1], [0.2], [0.3]], [[0], [0], [0]])
    results = {"left_out": {"edema": "no positive among 3 cases"}, "normal_reason": "no case is abnormal"}
    text = check_page(page_of(tmp_path, results, flat)).text
    assert "Normal against abnormal was not measured: no case is abnormal" in text


def test_no_cases_at_all_have_a_page(tmp_path: Path):
    none = Cases.of([], ["edema"], np.zeros((0, 1)), np.zeros((0, 1)))
    parts = check_page(page_of(tmp_path, {}, none))
    assert "gallery" not in parts.ids

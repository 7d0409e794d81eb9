from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from page_parts import check_page
from simulated_results import FINDINGS, results_of, simulated

from html_parts import Parts
from offclip.errors import DataError, InputError
from offclip.evaluation.result_page import write_comparison_page


@pytest.fixture(scope="module")
def run() -> dict[str, Any]:
    return results_of(simulated(150))


def named(run: dict[str, Any], name: str, **changes: Any) -> dict[str, Any]:
    other = copy.deepcopy(run)
    other["run"] |= {"name": name} | changes
    return other


def difference(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02}


def pair(a: str = "first", b: str = "second") -> dict[str, Any]:
    shifts = dict(zip(FINDINGS, (0.05, -0.04, 0.001, 0.02, -0.01), strict=True))
    return {
        "a": a,
        "b": b,
        "cases": 140,
        "patients": 90,
        "notes": ["10 cases stand in one run only."],
        "normal_auc": {"difference": difference(0.031), "p": 0.0004},
        "macro_auc": {"difference": difference(-0.004), "p": 0.4},
        "per_class": {
            name: {"difference": difference(shift), "p": 0.01, "p_holm": 0.03 if abs(shift) > 0.03 else 0.2}
            for name, shift in shifts.items()
        },
    }


def page_of(folder: Path, runs: list[dict[str, Any]], pairs: list[dict[str, Any]]) -> Parts:
    path = write_comparison_page(folder / "report.html", runs, pairs)
    return check_page(path.read_text(encoding="utf-8"))


def test_runs_stand_side_by_side_with_their_differences(run: dict[str, Any], tmp_path: Path):
    parts = page_of(tmp_path, [named(run, "first"), named(run, "second")], [pair()])
    assert [i for i in parts.ids if not i.startswith("h-")] == ["headline", "pair-1", "runs"]
    for words in (
        "2 runs side by side",
        "first against second Paired on 140 cases of 90 patients that both runs have.",
        "10 cases stand in one run only.",
        "+0.031 +0.011 to +0.051 < 0.001 yes",
        "−0.004 −0.024 to +0.016 0.400 no",
        "2 of 5 findings differ after Holm’s adjustment",
    ):
        assert words in parts.text
    assert "fingerprints differ" not in parts.text


def test_classes_are_sorted_and_marked_by_the_adjusted_p_value(run: dict[str, Any], tmp_path: Path):
    write_comparison_page(tmp_path / "a.html", [run], [pair()])
    table = (tmp_path / "a.html").read_text().split("By finding")[1].split("</table>")[0]
    order = [
        table.index(name.replace("_", " ") + "</th>")
        for name in ("Atelectasis", "Pneumothorax", "Pleural_Thickening", "Edema", "Cardiomegaly")
    ]
    assert order == sorted(order)
    # p is 0.01 everywhere: the adjusted one decides.
    assert table.count('class="dot open"') == 3
    assert table.count('class="dot"') == 2
    assert table.count("<td>yes</td>") == 2


def test_what_cannot_be_compared_is_said(run: dict[str, Any], tmp_path: Path):
    other = named(run, "second", data_fingerprint="11" * 16, cases=7)
    other["protocol"]["hash"] = "ffff"
    text = page_of(tmp_path, [named(run, "first"), other], []).text
    for words in (
        "The protocols differ",
        "The data fingerprints differ",
        "The numbers of cases differ",
        "No paired differences were given.",
    ):
        assert words in text
    text = page_of(tmp_path, [{}, {}], [{"a": "x", "b": "y"}]).text
    assert "No protocol hash is known" in text
    assert "Nothing could be compared" in text


def test_any_number_of_runs_and_equal_names(run: dict[str, Any], tmp_path: Path):
    parts = page_of(
        tmp_path, [named(run, "same") for _ in range(4)], [pair("same (2)", "same (1)") for _ in range(3)]
    )
    assert "4 runs side by side" in parts.text
    assert "same (4)" in parts.text
    assert {"pair-1", "pair-2", "pair-3"} <= set(parts.ids)


def test_a_refused_claim_is_no_number(run: dict[str, Any], tmp_path: Path):
    rules = run["normal"]["rule_out"]
    assert rules[2]["claim"] == "refused"
    assert "no claim refused at 99 %" in page_of(tmp_path, [run], []).text


def test_runs_without_a_normal_part_are_drawn_by_their_macro_auc(run: dict[str, Any], tmp_path: Path):
    other = named(run, "x") | {"normal": None}
    write_comparison_page(tmp_path / "a.html", [other], [])
    page = (tmp_path / "a.html").read_text()
    assert "Macro AUC, drawn" in page
    check_page(page)


def test_nothing_to_compare_and_wrong_types_are_errors(run: dict[str, Any], tmp_path: Path):
    with pytest.raises(InputError, match="no run"):
        write_comparison_page(tmp_path / "a.html", [], [])
    wrong = pair()
    wrong["per_class"]["Edema"]["p"] = "low"
    with pytest.raises(DataError, match=r"comparisons\[0\].per_class.Edema.p is 'low'"):
        write_comparison_page(tmp_path / "a.html", [run], [wrong])
    with pytest.raises(DataError, match=r"runs\[1\].format"):
        write_comparison_page(tmp_path / "a.html", [run, {"format": "else"}], [])
    assert list(tmp_path.iterdir()) == []


def test_hostile_names_stay_text(run: dict[str, Any], tmp_path: Path):
    name = "<script>alert(1)</script>"
    parts = page_of(tmp_path, [named(run, name)], [pair(name, name)])
    assert name in parts.text


def test_drawn_films_are_called_so(run: dict[str, Any], tmp_path: Path):
    real, drawn = named(run, "real", synthetic=False), named(run, "drawn", synthetic=True)
    assert "Synthetic data" in page_of(tmp_path, [real, drawn], []).text
    assert "Synthetic data" not in page_of(tmp_path, [real], []).text

from __future__ import annotations

import base64
import copy
import dataclasses
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from markupsafe import Markup
from page_parts import check_page
from simulated_results import PROMPTS, estimate, results_of, simulated

from offclip.errors import DataError, InputError
from offclip.evaluation.as_json import as_json
from offclip.evaluation.cases import Cases
from offclip.evaluation.drawing.svg import Plot
from offclip.evaluation.evaluated import evaluate_cases
from offclip.evaluation.result_page import FilmMap, write_result_page
from offclip.evaluation.settings import make_settings
from offclip.grounding.pointing import Box

HOSTILE = '<script>alert("1")</script> $x_1$ & co'
SECTIONS = [
    "headline",
    "normal",
    "subgroups",
    "findings",
    "curves",
    "reliability",
    "gallery",
    "prompts",
    "made",
    "card",
]


@pytest.fixture(scope="module")
def cases() -> Cases:
    return simulated()


@pytest.fixture(scope="module")
def validation() -> Cases:
    return simulated(300, seed=1)


@pytest.fixture(scope="module")
def measured(cases: Cases, validation: Cases) -> dict[str, Any]:
    return results_of(cases, validation)


@pytest.fixture
def results(measured: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(measured)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, cases: Cases) -> dict[str, Path]:
    path = tmp_path_factory.mktemp("films") / "film.png"
    rng = np.random.default_rng(0)
    cv2.imwrite(str(path), cv2.resize(rng.integers(0, 255, (20, 25), np.uint8), (500, 400)))
    return dict.fromkeys(cases.ids, path)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the large figures empty: they take most of a second a page, and other tests draw them."""
    monkeypatch.setattr(Plot, "svg", lambda self, name, alt: Markup("<svg></svg>"))


def page_of(folder: Path, results: dict[str, Any], cases: Cases, **more: Any) -> str:
    path = write_result_page(folder / "report.html", results, cases, **more)
    assert path == folder / "report.html"
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(
    tmp_path_factory: pytest.TempPathFactory, measured: dict[str, Any], cases: Cases, validation: Cases
) -> str:
    return page_of(
        tmp_path_factory.mktemp("page"), measured, cases, validation=validation, model_card="# Card"
    )


def section(page: str, name: str) -> str:
    return page.split(f'<section id="{name}"')[1].split("</section>")[0]


def test_all_sections_are_there_in_order_and_listed(page: str):
    parts = check_page(page)
    assert [i for i in parts.ids if i in SECTIONS] == SECTIONS
    assert parts.links == [f"#{name}" for name in SECTIONS]


def test_the_head_says_what_was_measured_on_what(page: str, cases: Cases):
    head = " ".join(page[: page.index("<main>")].split())
    patients = len(set(cases.patient_ids))
    assert (
        f"400 images of {patients} patients, scored for 5 findings and for being normal, were compared"
        in head
    )
    assert "95 %, patient-cluster bootstrap, percentile, 1,000 resamples, seed 0" in head
    for words in (
        "0123456789abcdef",
        "Any scores with labels",
        "<dd>300</dd>",
        "<dd>image</dd>",
        "<dd>test</dd>",
    ):
        assert words in head
    assert "no validation cases" not in head


def test_the_headline_shows_numbers_with_intervals(page: str, measured: dict[str, Any]):
    headline = section(page, "headline")
    normal = measured["normal"]
    for e in (normal["auc"], normal["worst_prompt"]["auc"], measured["macro_auc"]):
        assert f'<p class="big">{e["value"]:.3f}</p>' in headline
        assert f"{e['low']:.3f}–{e['high']:.3f}, 95 % interval" in headline
    assert f"“{PROMPTS[1]}”" in headline
    assert '<p class="big">1.31</p>' in headline
    assert f"{100 * normal['rule_out'][0]['cleared']['value']:.1f} %" in headline


@pytest.mark.usefixtures("quick")
def test_a_refused_claim_is_no_number_to_quote(
    page: str, results: dict[str, Any], cases: Cases, tmp_path: Path
):
    refused = results["normal"]["rule_out"][2]
    assert (refused["sensitivity"], refused["claim"]) == (0.99, "refused")
    headline = section(page, "headline")
    assert '<p class="big">no claim</p>' in headline
    assert refused["reason"] in headline
    assert f'<p class="big">{100 * refused["cleared"]["value"]:.1f} %</p>' not in headline
    refused["claim"] = "supported"
    now = section(page_of(tmp_path, results, cases), "headline")
    assert f'<p class="big">{100 * refused["cleared"]["value"]:.1f} %</p>' in now
    assert "no claim" not in now


def test_each_finding_has_a_row_with_its_numbers(page: str, measured: dict[str, Any]):
    table = section(page, "findings")
    assert table.count('<th scope="row">') == 5
    for name, c in measured["per_class"].items():
        row = re.search(rf'<th scope="row">{name.replace("_", " ")}</th>.*?</tr>', table, re.DOTALL)
        assert row is not None
        assert f"{c['auc']['value']:.3f}<small>{c['auc']['low']:.3f}–{c['auc']['high']:.3f}</small>" in row[0]
        assert f"{c['auc_delong']['low']:.3f}–{c['auc_delong']['high']:.3f}" in row[0]
        assert f"{c['positives']}<small>" in row[0]
        assert f"{100 * c['operating_point']['sensitivity']['value']:.1f} %" in row[0]
        assert 'class="dot"' in row[0]
    assert "Thresholds from: validation." in table


@pytest.mark.usefixtures("quick")
def test_a_threshold_of_another_origin_is_named_beside_it(
    results: dict[str, Any], cases: Cases, tmp_path: Path
):
    results["per_class"]["Edema"]["operating_point"]["from"] = "the test set itself (optimistic)"
    table = section(page_of(tmp_path, results, cases), "findings")
    assert "Thresholds from" not in table
    assert table.count("<small>the test set itself (optimistic)</small>") == 1


@pytest.mark.usefixtures("quick")
def test_what_is_left_out_is_named_with_its_reason(results: dict[str, Any], cases: Cases, tmp_path: Path):
    results["left_out"] = {"Hernia": "no positive among 300 cases"}
    text = check_page(page_of(tmp_path, results, cases)).text
    assert "Hernia no positive among 300 cases" in text
    assert "Mean over 5 findings. 1 left out." in text


def test_curves_are_drawn_of_the_cases(page: str):
    assert section(page, "curves").count('class="mini"') == 10
    assert section(page, "curves").count('class="ring"') == 5
    assert section(page, "reliability").count('class="mini"') == 6
    assert len(re.findall(r'class="plot"', section(page, "normal"))) == 4


def test_the_validation_cases_are_drawn_only_when_given(
    page: str, results: dict[str, Any], cases: Cases, tmp_path: Path
):
    assert "validation cases</li>" in section(page, "normal")
    assert "validation cases</li>" not in section(page_of(tmp_path, results, cases), "normal")


def test_patient_ids_do_not_appear_but_case_ids_do(page: str, cases: Cases):
    assert "secret-patient" not in page
    assert sum(i in page for i in cases.ids) >= 16


def test_the_same_results_give_the_same_page(
    page: str, results: dict[str, Any], cases: Cases, validation: Cases, tmp_path: Path
):
    assert page_of(tmp_path, results, cases, validation=validation, model_card="# Card") == page


@pytest.mark.usefixtures("quick")
def test_films_are_few_small_and_counted(
    results: dict[str, Any], cases: Cases, films: dict[str, Path], tmp_path: Path
):
    page = page_of(tmp_path, results, cases, images=films)
    parts = check_page(page)
    uris = [r for r in parts.resources if r.startswith("data:")]
    assert 16 < len(uris) <= 24
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(uris[0].split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[:2] == (205, 256)
    assert "pass it on only as the films may be passed on" in parts.text


@pytest.mark.usefixtures("quick")
def test_heat_maps_and_boxes_lie_over_their_film(
    results: dict[str, Any], cases: Cases, films: dict[str, Path], tmp_path: Path
):
    heat = FilmMap("Edema", np.eye(7), (Box("edema", 10, 20, 100, 50),))
    page = page_of(tmp_path, results, cases, images=films, overlays={i: [heat] for i in cases.ids})
    gallery = section(page, "gallery")
    cards = gallery.count('<div class="case">')
    assert gallery.count('aria-label="Heat map of film-0-') == cards
    assert gallery.count('viewBox="0 0 500 400"') == 2 * cards
    assert '<rect class="box" x="10" y="20" width="100" height="50"/>' in gallery
    check_page(page)


@pytest.mark.parametrize("heat", [np.ones(4), np.ones((0, 3)), np.array([[np.nan, 1.0]])])
def test_a_heat_map_that_is_none_is_refused(
    heat: np.ndarray, results: dict[str, Any], cases: Cases, films: dict[str, Path], tmp_path: Path
):
    with pytest.raises(InputError, match="heat map of film-0"):
        page_of(
            tmp_path, results, cases, images=films, overlays={i: [FilmMap("Edema", heat)] for i in cases.ids}
        )
    assert not (tmp_path / "report.html").exists()


@pytest.mark.usefixtures("quick")
def test_a_film_that_cannot_be_read_costs_its_picture_only(
    results: dict[str, Any], cases: Cases, films: dict[str, Path], tmp_path: Path
):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no film")
    some = {i: broken if number % 2 else path for number, (i, path) in enumerate(films.items())}
    text = check_page(page_of(tmp_path, results, cases, images=some)).text
    assert "The film is not readable" in text


def test_without_films_the_gallery_is_a_table(page: str):
    gallery = section(page, "gallery")
    assert "<table" in gallery
    assert "No films are shown" in gallery
    assert "<image" not in gallery


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


@pytest.mark.usefixtures("quick")
def test_hostile_names_stay_text(cases: Cases, tmp_path: Path):
    names = (HOSTILE, *cases.findings[1:])
    hostile = dataclasses.replace(cases, findings=names, ids=(*(f"{HOSTILE}{i}" for i in range(len(cases))),))
    results = results_of(hostile)
    results["run"]["name"] = results["protocol"]["title"] = results["normal"]["score"] = HOSTILE
    results["protocol"]["quirks"] = [HOSTILE]
    results["prompts"] = [{"prompt": HOSTILE, "warnings": [HOSTILE]}]
    results["negation"] = {HOSTILE: {HOSTILE: HOSTILE, "n": 3}}
    results["run"]["scores"] = HOSTILE
    results["normal"]["subgroups"][0]["value"] = HOSTILE
    page = page_of(tmp_path, results, hostile, model_card=HOSTILE)
    check_page(page)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.usefixtures("quick")
def test_quirks_warnings_and_further_blocks_are_shown(results: dict[str, Any], cases: Cases, tmp_path: Path):
    results["protocol"]["quirks"] = ["Thresholds are fitted on the test set."]
    results["notes"] = ["3 of 403 cases are left out by the protocol."]
    results["negation"] = {
        "macro": estimate(0.61, 0.02),
        "per_class": {"Edema": {"balanced": estimate(0.7, 0.1)}},
    }
    results["grounding"] = {
        "similarity": {
            "hit": estimate(0.41, 0.02),
            "chance": 0.13,
            "per_class": {"Edema": {"hit": estimate(0.5, 0.1)}},
        },
        "rule": "cell centre in any box",
    }
    results["extras"] = {"argmax accuracy": 0.25}
    page = page_of(tmp_path, results, cases)
    text = check_page(page).text
    for words in (
        "Thresholds are fitted on the test set.",
        "3 of 403 cases are left out by the protocol.",
        "The prompt linter warns of 1 prompt. “Edema” a prompt of one word",
        "0.610 (0.590–0.630)",
        "0.410 0.390–0.430",
        "cell centre in any box",
        "argmax accuracy 0.250",
    ):
        assert words in text


@pytest.mark.parametrize("tuned", [True, False])
def test_the_page_reads_what_the_evaluation_writes(
    tuned: bool, cases: Cases, validation: Cases, tmp_path: Path
):
    settings = make_settings(resamples=100)
    apart = dataclasses.replace(validation, patient_ids=tuple(f"v-{p}" for p in validation.patient_ids))
    found = evaluate_cases(cases, apart if tuned else None, settings)
    page = page_of(tmp_path, as_json(found.document), found.cases, validation=found.validation)
    parts = check_page(page)
    assert [i for i in parts.ids if i in SECTIONS] == [s for s in SECTIONS if s != "prompts"]
    assert f"{found.document['macro_auc']['value']:.3f}" in section(page, "headline")
    assert ("Each fold has a threshold of its own" in page) != tuned
    missed = found.document["normal"]["rule_out"][0]["missed"]
    assert f"of {missed} abnormal cases" in " ".join(section(page, "gallery").split())
    assert "Called on normals" in parts.text
    assert "Abnormal kept at 95 %" in parts.text


def test_cases_that_are_all_normal_still_have_a_page(tmp_path: Path):
    flat = Cases.of(["a", "b", "c"], ["edema"], [[0.1], [0.2], [0.3]], [[0], [0], [0]])
    results = {"left_out": {"edema": "no positive among 3 cases"}, "normal_reason": "no case is abnormal"}
    text = check_page(page_of(tmp_path, results, flat)).text
    assert "Normal against abnormal was not measured: no case is abnormal" in text


def test_no_cases_at_all_have_a_page(tmp_path: Path):
    none = Cases.of([], ["edema"], np.zeros((0, 1)), np.zeros((0, 1)))
    parts = check_page(page_of(tmp_path, {}, none))
    assert "gallery" not in parts.ids

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
from page_parts import SECTIONS, check_page, page_of, section
from simulated_results import PROMPTS, estimate, results_of, simulated

from offclip.errors import InputError
from offclip.evaluation.as_json import as_json
from offclip.evaluation.cases import Cases
from offclip.evaluation.drawing.svg import Plot
from offclip.evaluation.evaluated import evaluate_cases
from offclip.evaluation.result_page import FilmMap
from offclip.evaluation.settings import make_settings
from offclip.grounding.pointing import Box

HOSTILE = '<script>alert("1")</script> $x_1$ & co'


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


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the large figures empty: they take most of a second a page, and other tests draw them."""
    monkeypatch.setattr(Plot, "svg", lambda self, name, alt: Markup("<svg></svg>"))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, cases: Cases) -> dict[str, Path]:
    path = tmp_path_factory.mktemp("films") / "film.png"
    rng = np.random.default_rng(0)
    cv2.imwrite(str(path), cv2.resize(rng.integers(0, 255, (20, 25), np.uint8), (500, 400)))
    return dict.fromkeys(cases.ids, path)


@pytest.fixture(scope="module")
def page(
    tmp_path_factory: pytest.TempPathFactory, measured: dict[str, Any], cases: Cases, validation: Cases
) -> str:
    return page_of(
        tmp_path_factory.mktemp("page"), measured, cases, validation=validation, model_card="# Card"
    )


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
def test_synthetic_data_are_called_so(results: dict[str, Any], cases: Cases, tmp_path: Path):
    assert "ynthetic" not in page_of(tmp_path, results, cases)
    results["run"]["synthetic"] = True
    assert "Everything here is synthetic data" in check_page(page_of(tmp_path, results, cases)).text


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

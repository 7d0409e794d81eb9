from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
import torch

from html_parts import Parts
from offclip.data.phantom import FINDINGS, write_phantom
from offclip.evaluation.ablation import ABLATION, Job, Variant, ablation_jobs, write_results
from offclip.evaluation.report import write_report
from offclip.evaluation.run import evaluate
from offclip.models.checkpoint import save_model
from offclip.models.registry import architecture, build_model
from offclip.models.tokenizer import TextTokenizer
from offclip.training.config import TrainConfig

HOSTILE = '<script>alert("1")</script> $x_1$ & co'
SECTIONS = [
    *("headline", "table", "ingredients", "roc", "prompts", "projection"),
    *("gallery", "training", "yours", "made"),
]


def fake_run(job: Job, data: Path) -> None:
    """A run with random weights, evaluated."""
    torch.manual_seed(job.config.seed + len(job.variant.name))
    model = build_model(architecture("compact", 64), TextTokenizer.fit([f"There is {f}." for f in FINDINGS]))
    save_model(model.eval(), job.run / "model")
    lines = [
        {"epoch": e, "loss": 3.0 / e, "validation_worst_prompt_normal_auc": 0.4 + 0.1 * e} for e in (1, 2, 3)
    ]
    (job.run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    evaluate(job.run, data, job.evaluation)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "phantom"
    write_phantom(folder, 150, size=64)
    return folder


@pytest.fixture(scope="module")
def jobs(phantom: Path) -> list[Job]:
    variants = (ABLATION[0], ABLATION[1], ABLATION[3])
    made = ablation_jobs(phantom.parent, TrainConfig(epochs=3), (0, 1), variants)
    for job in made:
        fake_run(job, phantom)
    return made


@pytest.fixture(scope="module")
def page(phantom: Path, jobs: list[Job]) -> str:
    table = write_results(jobs, phantom.parent / "results.csv")
    path = write_report(phantom.parent / "report.html", data=phantom, jobs=jobs, table=table)
    return path.read_text(encoding="utf-8")


def report(out: Path, data: Path, jobs: list[Job], table: pl.DataFrame | None = None) -> str:
    table = write_results(jobs, out / "results.csv") if table is None else table
    return write_report(out / "report.html", data=data, jobs=jobs, table=table).read_text(encoding="utf-8")


def test_all_sections_are_there_in_order(page: str):
    found = Parts(page)
    assert [i for i in found.ids if i in SECTIONS] == SECTIONS
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))
    assert found.unnamed == []


def test_the_page_asks_for_nothing_outside_itself(page: str):
    found = Parts(page)
    assert found.resources
    assert [r for r in (*found.resources, *found.links) if not r.startswith(("data:image/", "#"))] == []
    assert "script" not in found.tags
    assert "http" not in page
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    assert len(page) < 6_000_000
    inside = {r[1:] for r in (*found.resources, *found.links) if r.startswith("#")}
    assert inside <= set(found.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(found.ids)


def test_it_says_what_it_is(page: str):
    head = page[: page.index("<main>")].lower()
    assert "synthetic data" in head
    assert "research only, not a medical device" in head
    assert "offclip evaluate runs/first --data . --out results" in page
    assert "± " in page
    for variant in (ABLATION[0], ABLATION[1], ABLATION[3]):
        assert variant.name in page


def test_the_gallery_shows_each_model_and_finding_once(page: str):
    cases = re.findall(r"<h3>“There is ([^”]+)\.”</h3>", page)
    assert cases
    assert len(cases) == len(set(cases))
    assert set(cases) <= set(FINDINGS)
    assert page.count('class="hit">hit') + page.count('class="miss">miss') == 2 * len(cases)


def test_the_same_runs_give_the_same_page(page: str, phantom: Path, jobs: list[Job], tmp_path: Path):
    assert report(tmp_path, phantom, jobs) == page


def test_one_seed_has_no_spread(phantom: Path, jobs: list[Job], tmp_path: Path):
    text = report(tmp_path, phantom, [job for job in jobs if job.config.seed == 0])
    assert "± " not in text
    assert "one seed" in text
    assert "read small differences as" in text


def test_jobs_without_evaluation_are_left_out(phantom: Path, jobs: list[Job], tmp_path: Path):
    nothing = dataclasses.replace(jobs[2], run=tmp_path / "no-run", evaluation=tmp_path / "no-evaluation")
    text = report(tmp_path, phantom, [jobs[0], nothing])
    sections = [i for i in Parts(text).ids if i in SECTIONS]
    assert sections == [s for s in SECTIONS if s not in ("ingredients", "projection", "gallery")]
    text = report(tmp_path, phantom, [nothing])
    assert [i for i in Parts(text).ids if i in SECTIONS] == ["table", "yours", "made"]
    assert "No run has been evaluated yet." in text


def test_missing_values_are_shown_as_such(phantom: Path, jobs: list[Job], tmp_path: Path):
    table = write_results(jobs, tmp_path / "results.csv")
    nothing = pl.lit(None, pl.Float64)
    table = table.with_columns(fpr_at_95_sensitivity=nothing, worst_prompt_normal_auc=nothing)
    text = report(tmp_path, phantom, jobs, table)
    assert text.count(">n/a<") >= 6
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text).lower().split()


def test_real_data_without_boxes_is_not_called_synthetic(phantom: Path, jobs: list[Job], tmp_path: Path):
    data = tmp_path / "data"
    shutil.copytree(phantom, data)
    (data / "phantom.json").unlink()
    (data / "boxes.csv").unlink()
    text = report(tmp_path, data, jobs)
    assert "synthetic" not in text.lower()
    assert "ground-truth box" not in text
    assert "what the models call on them" in text


def test_a_model_that_cannot_be_loaded_costs_only_its_figures(
    phantom: Path, jobs: list[Job], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    broken = [dataclasses.replace(job, run=tmp_path / "gone") for job in jobs]
    sections = [i for i in Parts(report(tmp_path, phantom, broken)).ids if i in SECTIONS]
    assert sections == [s for s in SECTIONS if s not in ("projection", "gallery", "training")]
    assert "no heat maps" in caplog.text


def test_hostile_names_stay_text(phantom: Path, jobs: list[Job], tmp_path: Path):
    data = tmp_path / "data"
    shutil.copytree(phantom, data)
    pl.read_csv(data / "labels.csv").rename({"pleural effusion": HOSTILE}).write_csv(data / "labels.csv")
    boxes = pl.read_csv(data / "boxes.csv")
    boxes = boxes.with_columns(pl.col("finding").replace("pleural effusion", HOSTILE))
    boxes.write_csv(data / "boxes.csv")
    hostile = []
    for job in (jobs[0], jobs[2]):
        key = job.variant
        named = dataclasses.replace(job, variant=Variant(HOSTILE, key.objective, key.filter_sentences))
        hostile.append(dataclasses.replace(named, evaluation=tmp_path / job.evaluation.name))
        evaluate(job.run, data, hostile[-1].evaluation)
    text = report(tmp_path, data, hostile)
    found = Parts(text)
    assert "script" not in found.tags
    assert found.open == []
    assert "&lt;script&gt;" in text

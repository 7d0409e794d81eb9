"""`offclip evaluate`: scores of anybody, a model, and what a user sees after a mistake."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from offclip.cli.console import run_safely
from offclip.cli.main import app


def offclip(*arguments: object) -> int:
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


@pytest.fixture
def tables(tmp_path) -> tuple[Path, Path]:
    """Scores of 240 images, two a study, with signal; and their labels."""
    rng = np.random.default_rng(0)
    truth = rng.random((240, 3)) < [0.3, 0.2, 0.1]
    scores = truth * 1.5 + rng.normal(size=truth.shape)
    ids = {
        "image_id": [f"i{n}" for n in range(240)],
        "study_id": [f"s{n // 2}" for n in range(240)],
        "patient_id": [f"p{n // 4}" for n in range(240)],
    }
    names = ("Edema", "Mass", "Hernia")
    pl.DataFrame({"image_id": ids["image_id"]} | {n: scores[:, i] for i, n in enumerate(names)}).sample(
        fraction=1.0, shuffle=True, seed=1
    ).write_csv(tmp_path / "scores.csv")
    pl.DataFrame(ids | {n: truth[:, i].astype(int) for i, n in enumerate(names)}).write_csv(
        tmp_path / "labels.csv"
    )
    return tmp_path / "scores.csv", tmp_path / "labels.csv"


def test_scores_made_anywhere_are_measured(tables, tmp_path, capsys):
    scores, labels = tables
    out = tmp_path / "out"
    assert offclip("evaluate", "--scores", scores, "--labels", labels, "--out", out, "--resamples", 200) == 0
    results = json.loads((out / "results.json").read_text())
    macro = results["macro_auc"]
    assert 0.5 < macro["low"] < macro["value"] < macro["high"] < 1
    assert macro["protocol_hash"] == results["protocol"]["hash"] == results["normal"]["protocol_hash"]
    assert set(results["per_class"]) == {"Edema", "Mass", "Hernia"}
    for measured in results["per_class"].values():
        assert measured["protocol_hash"] == macro["protocol_hash"]
        assert measured["auc"]["low"] <= measured["auc"]["value"] <= measured["auc"]["high"]
    assert macro["value"] == pytest.approx(
        np.mean([c["auc"]["value"] for c in results["per_class"].values()]), abs=1e-12
    )
    assert results["run"]["patients"] == 60
    for name in ("cases.parquet", "misses.csv", "report.html", "model_card.md", "tables/per_class.tex"):
        assert (out / name).is_file(), name
    printed = capsys.readouterr().out
    assert f"{macro['value']:.3f}" in printed
    assert results["protocol"]["hash"] in printed


def test_studies_are_fused_and_have_another_hash(tables, tmp_path):
    scores, labels = tables
    found = {}
    for how in ("mean", "max", "learned"):
        out = tmp_path / how
        command = ["evaluate", "--scores", scores, "--labels", labels, "--out", out, "--resamples", 100]
        assert offclip(*command, "--unit", "study", "--fuse", how) == 0
        found[how] = json.loads((out / "results.json").read_text())
        assert found[how]["run"]["cases"] == 120
        assert found[how]["run"]["fuse"] == how
    assert len({results["protocol"]["hash"] for results in found.values()}) == 3
    assert len({results["macro_auc"]["value"] for results in found.values()}) == 3


def test_a_prevalence_changes_what_a_cleared_film_is_worth(tables, tmp_path):
    scores, labels = tables
    values = []
    for prevalence in (0.05, 0.6):
        out = tmp_path / str(prevalence)
        command = ["evaluate", "--scores", scores, "--labels", labels, "--out", out, "--resamples", 100]
        assert offclip(*command, "--prevalence", prevalence) == 0
        values.append(json.loads((out / "results.json").read_text())["normal"]["rule_out"][0]["npv"]["value"])
    assert values[0] > values[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Nothing to evaluate"),
        (["--scores", "s.csv"], "--scores and --labels belong together"),
        (["model", "--scores", "s.csv", "--labels", "l.csv"], "a model as well"),
        (["model"], "needs either --data or --protocol with --root"),
        (["model", "--root", "d"], "--root needs --protocol"),
        (["--scores", "no.csv", "--labels", "no.csv"], "no.csv: no such file"),
        (["--scores", "no.csv", "--labels", "no.csv", "--unit", "patient"], "--unit patient is unknown"),
        (["--scores", "no.csv", "--labels", "no.csv", "--fuse", "max"], "without --unit study"),
        (["--scores", "no.csv", "--labels", "no.csv", "--calibration", "x"], "--calibration x is unknown"),
        (["--scores", "no.csv", "--labels", "no.csv", "--prevalence", "0"], "--prevalence 0.0 is no share"),
        (["--scores", "no.csv", "--labels", "no.csv", "--protocol", "vindr"], "no protocol 'vindr'"),
    ],
)
def test_mistakes_of_a_user(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert offclip("evaluate", *arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def _rewrite(path: Path, change) -> None:
    table = pl.read_csv(path, infer_schema=False)
    change(table).write_csv(path)


@pytest.mark.parametrize(
    ("which", "change", "message"),
    [
        (1, lambda t: t.with_columns(Edema=pl.lit("1")), None),
        (1, lambda t: t.with_columns(pl.lit("0").alias(n) for n in t.columns[3:]), "no positive"),
        (0, lambda t: t.with_columns(Mass=pl.lit("0.5")), "hold one value for all images: Mass"),
        (0, lambda t: t.with_columns(Mass=pl.lit("nan")), "missing or not finite"),
        (0, lambda t: pl.concat([t, t.head(1)]), "more than one row"),
        (1, lambda t: pl.concat([t, t.head(1)]), "more than one row"),
        (0, lambda t: t.tail(-3), "3 with labels and no scores"),
        (1, lambda t: t.tail(-3), "3 with scores and no labels: i0, i1, i2"),
        (1, lambda t: t.with_columns(Mass=pl.lit("2")), "is not 0, 1 or blank"),
        (1, lambda t: t.drop("Mass"), "Scores without labels: Mass"),
        (0, lambda t: t.drop("Mass"), "Labels without scores: Mass"),
    ],
)  # fmt: skip
def test_bad_tables(tables, tmp_path, capsys, which, change, message):
    _rewrite(tables[which], change)
    out = tmp_path / "out"
    command = ["evaluate", "--scores", tables[0], "--labels", tables[1], "--out", out, "--resamples", 100]
    code = offclip(*command)
    said = " ".join(capsys.readouterr().err.split())
    if message is None:  # one class without a negative is named, and the others are measured
        assert code == 0
        results = json.loads((out / "results.json").read_text())
        assert results["left_out"] == {"Edema": "no negative among 240 cases"}
        assert results["macro_auc"]["classes"] == 2
        assert results["normal"] is None
        assert "normal" in results["normal_reason"]
        return
    assert code == 2
    assert message in said
    assert "Traceback" not in said
    assert not (out / "results.json").exists()

"""`offclip labeller audit`: the page, the verdicts read back, and what a user sees after a mistake."""

from __future__ import annotations

import csv
import re

import polars as pl
import pytest

from offclip.cli.console import run_safely
from offclip.cli.main import app
from offclip.evaluation.audit import Design, draw_sample


def offclip(*arguments: object) -> int:
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


@pytest.fixture(scope="module")
def table(phantom):
    return phantom / "studies.parquet"


@pytest.fixture
def judge(table, tmp_path):
    """Writes verdicts that agree with the labeller, except on the given rows of the page."""

    def write(name, reader="", wrong=(), design=None):
        sample = draw_sample(table, design or Design(n=40, minimum=5))
        with (tmp_path / name).open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["sample", "reader", "id", "verdict", "comment"])
            for number, item in enumerate(sample.items):
                other = "abnormal" if item.label == "normal" else "normal"
                verdict, comment = (other, "[bold]no\x1b[2J") if number in wrong else (item.label, "")
                rows.writerow([sample.token, reader, item.id, verdict, comment])
        return tmp_path / name, sample

    return write


def test_the_page_is_written_and_named(table, tmp_path, capsys):
    assert offclip("labeller", "audit", table, "--n", 20, "--out", tmp_path / "audit.html") == 0
    out = capsys.readouterr().out
    assert out.startswith("20 sentences of ")
    assert "keep it where the reports may be kept" in out
    assert f"offclip labeller audit {table} --verdicts" in out
    text = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "Content-Security-Policy" in text
    for patient in pl.read_parquet(table)["patient_id"].unique():
        assert patient not in text


def test_asking_for_too_many_is_said(table, tmp_path, capsys):
    assert offclip("labeller", "audit", table, "--n", 5000, "--out", tmp_path / "a.html") == 0
    assert "5,000 were asked for" in capsys.readouterr().out


def test_verdicts_are_read_back(judge, table, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    path, sample = judge("ab.csv", "ab", wrong=(0, 1))
    labels = tmp_path / "labels.csv"
    assert offclip("labeller", "audit", table, "--verdicts", path, "--out", labels, "--disagreements") == 0
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines() if str(tmp_path) not in line) <= 80
    assert "\x1b" not in out
    assert "Reader ab: 40 of 40 sentences judged." in out
    assert re.search(r"Agreement +\d+\.\d% \(\d+\.\d% to \d+\.\d%\)", out)
    assert re.search(r"Cohen's kappa +0\.\d{3} \(", out)
    assert "2 disagreement(s)" in out
    assert "[bold]no" in out
    for heading in ("Agreement by the labeller's label", "Agreement by rule", "rows: labeller"):
        assert heading in out
    written = pl.read_csv(labels)
    assert written.columns[:2] == ["sentence", "label"]
    assert written["sentence"].to_list() == [item.seen.text for item in sample.items[:2]]
    assert (written["label"] != written["labeller"]).all()


def test_two_readers_are_compared(judge, table, tmp_path, capsys):
    first, _ = judge("ab.csv", "ab")
    second, _ = judge("cd.csv", "cd", wrong=(3,))
    labels = tmp_path / "labels.csv"
    assert (
        offclip("labeller", "audit", table, "--verdicts", first, "--verdicts", second, "--out", labels) == 0
    )
    out = capsys.readouterr().out
    assert "No disagreement." in out
    assert "Readers ab and cd: 40 sentences judged by both." in out
    assert "1 disputed" in out
    assert len(pl.read_csv(labels)) == 39


def test_what_was_not_judged_is_said(judge, table, capsys):
    path, sample = judge("ab.csv")
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line, item in zip(lines[1:], sample.items, strict=True) if item.label == "abnormal"]
    path.write_text("".join([lines[0], *kept]))
    assert offclip("labeller", "audit", table, "--verdicts", path) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "ab.csv: " in out
    assert "missing at random" in out
    assert "Strata in which nothing was judged are left out" in out
    assert "not defined: only one label occurs" in out


def test_a_design_is_taken_from_the_file(judge, table, capsys):
    path, _ = judge("ab.csv", design=Design(n=30, stratify="none", weigh="sentences", minimum=0, seed=5))
    assert offclip("labeller", "audit", table, "--verdicts", path) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "30 of 30 sentences judged" in out
    assert "every different sentence once" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tmp}/none.parquet"], "no such file"),
        (["{table}", "--out", "{tmp}/audit.txt"], "does not end in .html"),
        (["{table}", "--n", "0"], "n is 0"),
        (["{table}", "--stratify", "sex"], "stratify is 'sex'"),
        (["{table}", "--verdicts", "{tmp}/none.csv"], "none.csv: no such file"),
        (["{table}", "--verdicts", "{tmp}/ab.csv", "--out", "{tmp}/x.html"], "does not end in .csv"),
        (["{table}", *["--verdicts", "{tmp}/ab.csv"] * 3], "3 files of verdicts"),
        (["{tmp}/other.parquet", "--verdicts", "{tmp}/ab.csv"], "another one or was labelled anew"),
    ],
)
def test_mistakes_are_explained(judge, table, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    judge("ab.csv")
    pl.read_parquet(table).head(60).write_parquet(tmp_path / "other.parquet")
    places = {"table": table, "tmp": tmp_path}
    assert offclip("labeller", "audit", *(argument.format(**places) for argument in arguments)) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert re.search(r"\n  \S.*\.\n", err)

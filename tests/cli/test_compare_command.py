"""`offclip compare` from the command line."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from offclip.cli.console import run_safely
from offclip.cli.main import app

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation" / "results"))
from result_documents import small_cases, write_folder

FEW = {"method": "patient-cluster bootstrap, percentile", "level": 0.95, "resamples": 100, "seed": 0}


def offclip(*arguments):
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


@pytest.fixture
def folders(tmp_path):
    return [
        write_folder(tmp_path / name, small_cases(seed), interval=FEW)
        for name, seed in (("first", 1), ("[b]second", 2))
    ]


def test_two_runs(folders, tmp_path, capsys):
    out = tmp_path / "out"
    assert offclip("compare", *folders, "--out", out) == 0
    printed = capsys.readouterr().out
    assert "Runs side by side." in printed
    assert "[b]second" in printed
    assert ".811 (.803-.817)" in printed
    assert f"Wrote {out}/report.html, compare.json, tables/" in printed.replace("\n", " ")
    document = json.loads((out / "compare.json").read_text())
    assert [pair["b"] for pair in document["comparisons"]] == ["first"]
    page = (out / "report.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "[b]second" in page


def test_the_baseline_is_chosen_by_name(folders, tmp_path):
    assert offclip("compare", *folders, "--out", tmp_path / "out", "--baseline", "[b]second") == 0
    document = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert (document["baseline"], document["comparisons"][0]["a"]) == ("[b]second", "first")


def test_mistakes(folders, tmp_path, capsys):
    assert offclip("compare", folders[0]) == 2
    assert "Give two or more" in capsys.readouterr().err
    other = write_folder(tmp_path / "other", small_cases(3).select(np.arange(100)))
    assert offclip("compare", folders[0], other, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "only in first: image100" in error
    assert "only in other: none" in error
    assert not (tmp_path / "out").exists()


def test_another_protocol_needs_to_be_allowed(folders, tmp_path, capsys):
    other = write_folder(
        tmp_path / "other", small_cases(3).select(np.arange(100)), protocol={"name": "o", "hash": "beef"}
    )
    command = ["compare", folders[0], other, "--out", tmp_path / "out"]
    assert offclip(*command) == 2
    assert "--allow-different-protocol" in capsys.readouterr().err
    assert offclip(*command, "--allow-different-protocol") == 0
    assert "20 cases of first are not in other." in capsys.readouterr().out.replace("\n", " ")

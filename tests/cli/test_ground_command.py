"""`offclip ground`."""

import json

import pytest

from offclip.cli.console import run_safely
from offclip.cli.main import app


def offclip(*arguments: object) -> int:
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


def test_it_prints_a_table_and_writes_the_files(finished_run, phantom, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    code = offclip(
        "ground", finished_run, "--data", phantom, "--out", tmp_path / "out", "--resamples", 20,
        "--method", "similarity", "--tolerance", 2, "--sanity", "--faithfulness",
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert code == 0
    block = json.loads((tmp_path / "out" / "grounding.json").read_text())
    assert f"{block['similarity']['hit']['value']:.3f} (" in printed
    assert "grad-cam" not in printed
    assert "tolerance 2 px" in printed
    assert "chosen by validation" in printed
    assert block["sanity"]["similarity"]["verdict"] in printed
    assert "random orders beaten by deletion" in printed
    for name in ("grounding.csv", "grounding_skipped.csv"):
        assert (tmp_path / "out" / name).is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "saliency"], "It has: similarity, grad-cam"),
        (["--rule", "corner"], "Choose one of: centre, peer"),
        (["--split", "holdout"], "no image with a box or a mask in the split 'holdout'"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(finished_run, phantom, tmp_path, capsys, options, message):
    code = offclip("ground", finished_run, "--data", phantom, "--out", tmp_path / "out", *options)
    assert code == 2
    assert message in capsys.readouterr().err.replace("\n ", "")
    assert not (tmp_path / "out").exists()

"""`offclip labeller fit`."""

import json

import pytest

from offclip.cli.console import run_safely
from offclip.cli.main import app
from offclip.reports import RuleLabeller
from offclip.reports.classifier import load_labeller


def offclip(*arguments: object) -> int:
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


@pytest.fixture
def reports(tmp_path):
    lines = ["study_id,findings,impression"]
    for i, name in enumerate(("effusion", "nodule", "edema", "mass", "fracture", "pneumonia")):
        lines.append(f"{i},Small {name}. New left {name}.,Unclear right {name}.")
        lines.append(f"n{i},No {name}. No left {name} is seen.,No right {name}.")
    (tmp_path / "reports.csv").write_text("\n".join(lines))
    return tmp_path / "reports.csv"


def test_it_writes_a_labeller_and_says_how_good_it_is(reports, tmp_path, capsys):
    (tmp_path / "hand.csv").write_text("sentence,label\nThe floop is odd.,abnormal\nSmall mass.,normal\n")
    arguments = ["labeller", "fit", reports, "--labels", tmp_path / "hand.csv", "--validation", "0.4"]
    assert offclip(*arguments, "--out", tmp_path / "a", "--seed", 3) == 0
    out = capsys.readouterr().out
    assert "Learnt from" in out
    assert "2 by hand" in out
    assert "held-out sentences" in out
    assert "labels by hand that it was not taught" in out
    assert "floop" not in out
    labeller = load_labeller(tmp_path / "a", RuleLabeller())
    assert labeller("the floop is ODD.").label == "abnormal"
    assert (labeller("small MASS.").label, labeller("small MASS.").reason) == ("normal", "classifier:hand")
    assert json.loads((tmp_path / "a" / "card.json").read_text())["training"]["config"]["seed"] == 3
    assert offclip(*arguments, "--out", tmp_path / "b", "--seed", 3) == 0
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_conventions_of_a_configuration_are_kept(reports, tmp_path):
    (tmp_path / "c.toml").write_text("[conventions]\ndevices = false\n")
    assert offclip("labeller", "fit", reports, "--config", tmp_path / "c.toml", "--out", tmp_path / "a") == 0
    card = json.loads((tmp_path / "a" / "card.json").read_text())
    assert card["conventions"]["devices"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tmp}/none.csv"], "no such file"),
        (["{tmp}/ids.csv"], "no text column"),
        (["{tmp}/normal.csv"], "No sentence to learn from is abnormal"),
        (["{reports}", "--kind", "forest"], "--kind forest is unknown"),
        (["{reports}", "--epochs", "3"], "--epochs is an option of the encoder"),
        (["{reports}", "--kind", "encoder"], "needs a model"),
        (["{reports}", "--labels", "{tmp}/hand.csv"], "hand.csv: row 3: unknown label 'sick'"),
        (["{reports}", "--abnormal-from", "0.2"], "abnormal_from is 0.2"),
        (["{reports}", "--seed", "-1"], "seed is -1"),
        (["{reports}", "--out", "{tmp}"], "holds something that is no labeller"),
    ],
)
def test_mistakes_are_explained(reports, tmp_path, capsys, arguments, message):
    (tmp_path / "ids.csv").write_text("id\n1\n")
    (tmp_path / "normal.csv").write_text("sentence\nNo mass.\n")
    (tmp_path / "hand.csv").write_text("sentence,label\nNo mass.,normal\nA mass.,sick\n")
    arguments = [argument.format(tmp=tmp_path, reports=reports) for argument in arguments]
    if "--out" not in arguments:
        arguments += ["--out", tmp_path / "out"]
    assert offclip("labeller", "fit", *arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()

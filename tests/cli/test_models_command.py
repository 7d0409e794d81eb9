"""`offclip models list` and `offclip models show`."""

import json

import pytest

import fake_family
from offclip.cli.console import run_safely
from offclip.cli.main import app
from offclip.models import ARCHITECTURES
from offclip.models.cards import model_cards


@pytest.fixture(autouse=True)
def named(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    fake_family.register(monkeypatch)


@pytest.fixture
def models(capsys):
    """Runs the command; returns the exit code and what it printed."""

    def run(*arguments: object) -> tuple[int, str]:
        line = ["models", *map(str, arguments)]
        code = run_safely(lambda: app(line, prog_name="offclip"), debug=False)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def test_the_list_shows_every_name(models):
    code, out = models("list")
    assert code == 0
    for name in (*ARCHITECTURES, *model_cards()):
        assert name in out
    code, out = models("list", "--json")
    found = json.loads(out)
    assert (code, set(found["architectures"]), set(found["models"])) == (
        0,
        {*ARCHITECTURES},
        {*model_cards()},
    )
    assert found["models"]["medsiglip"]["loads"] == "hf:google/medsiglip-448"
    assert found["third_party"] == {}


@pytest.mark.parametrize("name", list(model_cards()))
def test_a_card_is_shown_whether_it_loads_or_not(models, name):
    card = model_cards()[name]
    code, out = models("show", name)
    assert code == 0
    text = " ".join(out.split())
    for part in (card.title, card.licence, card.source, card.how, card.not_tested, *card.found_in):
        assert " ".join(part.split()) in text
    assert ("offclip cannot load it by name" in out) == (not card.loads)
    code, out = models("show", name, "--json")
    assert json.loads(out)["licence"] == card.licence


def test_a_folder_shows_its_card(models, finished_run):
    for name in (finished_run, f"offclip:{finished_run}"):
        code, out = models("show", name)
        assert code == 0
        assert json.loads(out)["architecture"] == "dual-encoder"


def test_another_librarys_model_is_loaded_and_described(models):
    code, out = models("show", "fake:tiny")
    assert code == 0
    for part in ("fake:tiny", "CC0-1.0", "embed dim", "tensors", "(0.4, 0.5, 0.6)"):
        assert part in out
    code, out = models("show", "fake:untrained", "--json")
    about = json.loads(out)
    assert (code, about["family"], about["untrained"]) == (
        0,
        "fake",
        "all of it is random until it is trained",
    )
    assert about["licence"] == "not stated where the weights were found"
    assert about["parameters"] == sum(
        p.numel() for p in fake_family.load("tiny", fake_family.LoadOptions()).parameters()
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [("medsiglp", "near to it: medsiglip"), ("fake:none", "no such model"), ("/none/such", "no model here")],
)
def test_mistakes_are_explained(models, name, message):
    code, out = models("show", name)
    assert code == 2
    assert message in out
    assert "Traceback" not in out

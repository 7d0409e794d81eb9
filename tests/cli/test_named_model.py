"""Commands that take a model take it by any name: what they write, warn of and refuse."""

import json

import polars as pl
import pytest
import torch

import fake_family
from offclip.cli.console import run_safely
from offclip.cli.main import app
from offclip.evaluation.scoring import scoring_identity
from offclip.models import load_model
from offclip.models.adapters.families import LoadOptions
from offclip.models.checkpoint import read_card
from offclip.models.identity import state_hash
from offclip.models.names import load_by_name


@pytest.fixture(autouse=True)
def named(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    fake_family.register(monkeypatch)


def offclip(*arguments: object) -> int:
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


@pytest.fixture(scope="module")
def evaluated(phantom, tmp_path_factory):
    """One evaluation of `fake:tiny` with its scores saved; the folder, which tests only read."""
    out = tmp_path_factory.mktemp("named")
    with pytest.MonkeyPatch.context() as patched:
        fake_family.register(patched)
        command = ["evaluate", "fake:tiny", "--data", phantom, "--out", out / "results", "--grounding"]
        assert offclip(*command, "--save-scores", out / "scores.csv", "--resamples", 100) == 0
    return out


def test_results_say_which_model_it_was(evaluated):
    run = json.loads((evaluated / "results" / "results.json").read_text())["run"]
    model = fake_family.load("tiny", LoadOptions())
    assert run["model"] == "fake:tiny"
    weights = run["weights"]
    assert (weights["name"], weights["family"], weights["source"]) == ("fake:tiny", "fake", "fake:tiny")
    assert (weights["licence"], weights["untrained"]) == ("CC0-1.0", None)
    assert weights["sha256"] == {"tensors": state_hash(model)}
    card = (evaluated / "results" / "model_card.md").read_text()
    for told in (
        "- **Model**: fake:tiny",
        "- **Licence of the weights**: CC0-1.0",
        "Those that the name fake:tiny stands for.",
        f"Weights: SHA-256 over all tensors {state_hash(model)}, licence: CC0-1.0.",
    ):
        assert told in card


def test_a_folder_is_told_by_its_file(finished_run, phantom, tmp_path):
    command = ["evaluate", f"offclip:{finished_run}", "--data", phantom, "--out", tmp_path / "results"]
    assert offclip(*command, "--resamples", 100) == 0
    run = json.loads((tmp_path / "results" / "results.json").read_text())["run"]
    assert run["model"] == str(finished_run)
    assert run["weights"]["sha256"] == {
        "weights.safetensors": read_card(finished_run)["sha256"]["weights.safetensors"]
    }
    assert "Drawn at random with seed 0" in (tmp_path / "results" / "model_card.md").read_text()


def test_saved_scores_come_back_with_the_same_numbers(evaluated, tmp_path):
    command = ["evaluate", "--scores", evaluated / "scores.csv", "--labels", evaluated / "scores-labels.csv"]
    assert offclip(*command, "--out", tmp_path / "back", "--resamples", 100) == 0
    there, back = (
        json.loads((folder / "results.json").read_text())
        for folder in (evaluated / "results", tmp_path / "back")
    )
    assert back["run"]["data_fingerprint"] == there["run"]["data_fingerprint"]
    assert back["run"]["validation_cases"] == there["run"]["validation_cases"] > 0
    for block in ("macro_auc", "per_class", "left_out"):
        assert back[block] == there[block]
    for block in ("auc", "worst_prompt", "rule_out", "scores"):
        assert back["normal"].get(block) == there["normal"].get(block)


def test_scores_are_saved_of_models_and_as_csv(phantom, finished_run, tmp_path, capsys):
    command = ["evaluate", finished_run, "--data", phantom, "--save-scores", tmp_path / "scores.parquet"]
    assert offclip(*command) == 2
    assert "is no .csv file" in capsys.readouterr().err
    tables = ["--scores", "a.csv", "--labels", "b.csv"]
    assert offclip("evaluate", *tables, "--save-scores", tmp_path / "scores.csv") == 2
    assert "without a model" in capsys.readouterr().err


def test_other_weights_are_another_identity():
    tiny, other = (load_by_name(name) for name in ("fake:tiny", "fake:other"))
    one = scoring_identity("fake:tiny", tiny, None)
    assert one == scoring_identity("fake:tiny", load_by_name("fake:tiny"), None)
    assert one != scoring_identity("fake:tiny", other, None)
    assert one != scoring_identity("fake:tiny", load_by_name("fake:tiny", LoadOptions(image_size=64)), None)


def test_grounding_by_name(phantom, tmp_path, capsys):
    assert offclip("ground", "fake:tiny", "--data", phantom, "--out", tmp_path, "--resamples", 10) == 0
    assert "fake:tiny on" in capsys.readouterr().out
    written = json.loads((tmp_path / "grounding.json").read_text())
    assert (written["model"], written["weights"]["licence"]) == ("fake:tiny", "CC0-1.0")
    assert {"similarity"} <= set(pl.read_csv(tmp_path / "grounding.csv")["method"])


def test_verify_by_name(capsys):
    assert offclip("verify", "fake:tiny") == 0
    out = capsys.readouterr().out
    for check in ("SHA-256 of all tensors", "preprocessing of the card", "tokens", "alone as in a batch"):
        assert check in out
    assert "checks passed" in out


def test_verify_finds_what_is_wrong_with_a_named_model(monkeypatch, capsys):
    load = fake_family.load

    def spoilt(rest, options):
        model = load("tiny", options)
        if rest == "long":
            model.tokenizer.max_tokens = 2  # says so, and does not do so
        elif rest == "ids":
            model.text_tower.words = torch.nn.Embedding(5, 16)
        elif rest == "batch":
            similarity = model.similarity
            model.similarity = lambda image, text: similarity(image, text) + len(image.pooled)
        else:
            torch.nn.init.constant_(model.image_tower.mix.bias, float("nan"))
        return model

    monkeypatch.setattr(fake_family, "FAMILY", fake_family.Family(spoilt, fake_family.build, None))
    for name, code, message in (
        ("long", 1, "checks failed: tokens"),
        ("batch", 1, "checks failed: alone as in a batch"),
        ("nan", 2, "fake:nan: the model computes values that are not finite"),
        ("ids", 2, "fake:ids: the text tower does not take the ids of the tokenizer"),
    ):
        assert offclip("verify", f"fake:{name}") == code
        captured = capsys.readouterr()
        assert message in captured.out + captured.err


def test_what_is_random_is_warned_of(phantom, tmp_path, caplog):
    data = ["--data", phantom, "--out", tmp_path, "--resamples", 100]
    for command in (
        ["verify", "fake:untrained"],
        ["evaluate", "fake:untrained", *data],
        ["ground", "fake:untrained", *data],
    ):
        caplog.clear()
        assert offclip(*command) == 0
        told = [record.message for record in caplog.records if "mean nothing" in record.message]
        assert told == [
            "fake:untrained: all of it is random until it is trained. Its scores mean nothing before that."
        ]
    run = json.loads((tmp_path / "results.json").read_text())["run"]
    assert run["weights"]["untrained"] == "all of it is random until it is trained"


def test_prompts_are_linted_by_name(capsys):
    assert offclip("prompts", "lint", "There is goiter ß.", "--model", "fake:tiny") == 0
    assert "unknown-token" in capsys.readouterr().out


def test_conversion_by_name(tmp_path, capsys):
    assert (
        offclip("convert", "fake:tied", "--out", tmp_path / "m", "--image-size", 40, "--local", "tokens") == 0
    )
    out = capsys.readouterr().out
    assert "40 pixels, 24 tokens" in out
    assert "not stated where the weights were found" in out
    card = read_card(tmp_path / "m")
    model = load_by_name("fake:tied", LoadOptions(image_size=40, local="tokens"))
    assert card["source"] == {
        "name": "fake:tied",
        "loaded": "fake:tied",
        "tensors_sha256": state_hash(model),
        "pickle_allowed": False,
    }
    assert state_hash(load_model(tmp_path / "m")) == state_hash(model)
    assert offclip("verify", tmp_path / "m") == 0
    capsys.readouterr()
    assert offclip("convert", "fake:untrained", "--out", tmp_path / "n") == 0
    assert "all of it is random" in capsys.readouterr().out


def test_consent_to_a_pickle(tmp_path, capsys):
    assert offclip("convert", "fake:pickle", "--out", tmp_path / "m") == 2
    assert "offclip convert NAME --allow-pickle --out FOLDER" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
    assert offclip("convert", "fake:pickle", "--out", tmp_path / "m", "--allow-pickle") == 0
    assert read_card(tmp_path / "m")["source"]["pickle_allowed"] is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fake:tiny", "--tokenizer", "x", "--max-gib", "1"], "--tokenizer, --max-gib does not go with it"),
        (["CARZero.ckpt", "--allow-pickle"], "--allow-pickle does not go with it"),
        (["none.ckpt"], "none.ckpt"),
        (["fake:tiny", "--local", "cells"], "--local cells is unknown"),
        (["{run}"], "is a folder of offclip: there is nothing to convert"),
        (["cxr-clip"], "cannot load it by name"),
        (["medsiglp"], "near to it: medsiglip"),
    ],
)
def test_mistakes_of_a_conversion(arguments, message, finished_run, tmp_path, capsys):
    command = [argument.format(run=finished_run) for argument in arguments]
    assert offclip("convert", *command, "--out", tmp_path / "m") == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "m").exists()

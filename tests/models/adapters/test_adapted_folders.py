"""Saved folders of models that another library made: commands take them, and damage is our error."""

import json
import random

import pytest
import torch

pytest.importorskip("transformers", reason="needs 'offclip[hf]'")
import hf_small

import offclip
from offclip.cli.console import run_safely
from offclip.cli.main import app
from offclip.errors import CheckpointError, OffclipError
from offclip.models import load_model

TEXTS = ["There is no finding.", "There is edema."]


def command(*arguments: object) -> int:
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small CLIP of transformers, converted by the command; what it was converted from is gone."""
    root = tmp_path_factory.mktemp("converted")
    source = hf_small.save("clip", root / "source")
    assert command("convert", f"hf:{source}", "--out", root / "model") == 0
    source.rename(root / "gone")
    return root / "model"


def test_a_converted_folder_is_a_model_for_the_commands(folder, capsys):
    assert command("verify", folder) == 0
    assert "All 12 checks passed." in capsys.readouterr().out
    assert command("models", "show", folder) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["config"]["family"] == "hf"
    assert card["source"]["name"].startswith("hf:")
    assert command("prompts", "lint", *TEXTS, "--model", folder) == 0


def test_a_damaged_configuration_is_our_error_or_harmless(folder):
    file = folder / "card.json"
    text = file.read_text()
    draw = random.Random(0)
    values = [None, 0, -1, "", "x", [], {}, 1.5, True, [[1]], {"a": 1}]
    refused = 0
    for _ in range(60):
        card = json.loads(text)
        place = card["config"]
        while True:
            key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not isinstance(place[key], dict | list) or not place[key] or draw.random() < 0.15:
                break
            place = place[key]
        place[key] = draw.choice(values)
        file.write_text(json.dumps(card))
        try:
            model = load_model(folder)
            with torch.inference_mode():
                model.similarity(model.encode_image(torch.rand(1, 3, 32, 32)), model.embed_texts(TEXTS))
        except OffclipError as error:
            refused += isinstance(error, CheckpointError)
    file.write_text(text)
    assert refused > 30
    assert offclip.load(folder).preprocess.size == 32

"""`offclip train` on a model that is there: its options reach the recipe, and mistakes are explained."""

import json

import pytest

from offclip.cli.console import run_safely
from offclip.cli.main import app
from offclip.cli.train import make_config
from offclip.errors import ConfigError


def offclip(*arguments: object) -> int:
    return run_safely(lambda: app([str(a) for a in arguments], prog_name="offclip"), debug=False)


def test_what_is_typed_reaches_the_recipe(phantom, finished_run, tmp_path, capsys):
    out = tmp_path / "run"
    options = {
        "--image-layers": "last-1", "--text-layers": "none", "--layer-decay": 0.5, "--lora-rank": 4,
        "--ema": 0.9, "--batch-size": 40, "--epochs": 1, "--precision": "fp32",
    }  # fmt: skip
    typed = [part for option in options.items() for part in option]
    assert offclip("train", phantom / "studies.parquet", "--model", finished_run, "--out", out, *typed) == 0
    recipe = json.loads((out / "config.json").read_text())["config"]
    found = {name: recipe[name.removeprefix("--").replace("-", "_")] for name in options}
    assert found == options
    assert (recipe["image_size"], recipe["learning_rate"], recipe["cache_chunk"]) == (16, 1e-4, 0)
    assert "Wrote" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--image-layers", "first-2"], "image_layers is 'first-2'"),
        (["--text-layers", "last-9"], "has 2 blocks, not 9"),
        (["--cache-chunk", "8"], "the image tower has batch norm"),
        (["--image-size", "32"], "16 pixels wide"),
    ],
)
def test_mistakes_are_explained(phantom, finished_run, tmp_path, capsys, options, message):
    out = tmp_path / "run"
    assert offclip("train", phantom / "studies.parquet", "--model", finished_run, "--out", out, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_fields_that_may_be_left_to_the_model(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text('image_size = 32\nlearning_rate = 1\nlayer_decay = 1\ncell_weighting = "mean"\n')
    config = make_config(file, {})
    assert (config.image_size, config.learning_rate, config.layer_decay) == (32, 1, 1)
    for text in ("image_size = 32.5", "image_size = true", 'learning_rate = "fast"', "cell_weighting = 1"):
        file.write_text(text)
        with pytest.raises(ConfigError, match="of the wrong type") as caught:
            make_config(file, {})
        assert "its default is" in caught.value.remedy
